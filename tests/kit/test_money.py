from decimal import Decimal

import pytest

from regulars.kit.money import currencies, format_money, minor_units


def test_amounts_carry_exactly_the_minor_units() -> None:
    assert format_money(Decimal("1E+3"), "EUR") == "1000.00"
    assert format_money(Decimal("0.005"), "EUR") == "0.01"
    assert format_money(Decimal("-0.005"), "EUR") == "-0.01"
    assert format_money(Decimal("12.5"), "JPY") == "13"
    assert format_money(Decimal("1"), "KWD") == "1.000"


def test_unknown_currencies_are_refused() -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        minor_units("XXX")
    assert len(currencies) > 150
