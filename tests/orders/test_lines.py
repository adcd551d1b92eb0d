"""The arithmetic of order lines."""

from dataclasses import replace
from decimal import Decimal

import pytest

from regulars.orders.lines import add_up, canonical_lines, complete_line
from regulars.orders.models import OrderLine, OrderTotals


def line(quantity: str, price: str | None, total: str | None, discount: str = "0", minor_units: int = 2) -> OrderLine:
    return complete_line(
        "S",
        Decimal(quantity),
        None if price is None else Decimal(price),
        Decimal(discount),
        None if total is None else Decimal(total),
        minor_units=minor_units,
    )


def test_a_total_that_is_left_out_follows_from_the_price() -> None:
    assert line("0.333", "2.99", None).total == Decimal("1.00")
    assert line("3", "1.005", None, discount="0.50").total == Decimal("2.52")
    assert line("2", "100.4", None, minor_units=0).total == Decimal(201)


def test_a_price_that_is_left_out_follows_from_the_total() -> None:
    assert line("3", None, "9.00", discount="1.00").unit_price == Decimal("3.3333")
    assert line("-2", None, "-5.00").unit_price == Decimal("2.5000")
    assert line("0", None, "0.50").unit_price == Decimal("0.5000")


@pytest.mark.parametrize("total", ["1.00", "0.99", "1.01"])
def test_tills_may_round_another_way(total: str) -> None:
    assert line("0.333", "2.99", total).total == Decimal(total)


def test_a_total_that_does_not_follow_is_refused() -> None:
    with pytest.raises(ValueError, match="not quantity times"):
        line("2", "5.00", "10.02")
    with pytest.raises(ValueError, match="needs unit_price or total"):
        line("2", None, None)


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (OrderTotals(Decimal("10.00")), True),
        (OrderTotals(Decimal("9.99")), True),
        (OrderTotals(Decimal("9.98")), False),
        (OrderTotals(Decimal("9.00"), discount_total=Decimal(1)), True),
        (OrderTotals(Decimal("10.00"), discount_total=Decimal(1)), False),
        (OrderTotals(Decimal("14.90"), shipping_total=Decimal("4.90")), True),
        (OrderTotals(Decimal("10.00"), tax_total=Decimal("1.60")), True),
        (OrderTotals(Decimal("11.60"), tax_total=Decimal("1.60")), True),
        (OrderTotals(Decimal("10.80"), tax_total=Decimal("1.60")), False),
    ],
)
def test_lines_add_up_with_taxes_inside_or_on_top(totals: OrderTotals, *, expected: bool) -> None:
    assert add_up([line("1", "4.00", None), line("2", "3.00", None)], totals, minor_units=2) is expected


sold = [
    # what each line is, how many of them, the totals, by how much more the total is too much
    (("1", "6.68", None), 12, OrderTotals(Decimal("96.12"), tax_total=Decimal("16.02")), Decimal("-0.01")),
    (("3", "0.335", None), 20, OrderTotals(Decimal("20.10")), Decimal("-0.01")),
    (("0.333", "1.00", None), 30, OrderTotals(Decimal("9.99")), Decimal("0.07")),
    (("40", "1.6067", None), 1, OrderTotals(Decimal("64.27")), Decimal("0.02")),
    (("1", "12.03", None), 1, OrderTotals(Decimal("12.05"), cash_rounding=Decimal("0.02")), Decimal("0.02")),
    (("1", "12.02", None), 1, OrderTotals(Decimal("12.00"), cash_rounding=Decimal("-0.02")), Decimal("-0.02")),
]


@pytest.mark.parametrize(("values", "count", "totals", "more"), sold)
def test_each_line_may_be_off_by_half_a_step_and_no_more(
    values: tuple[str, str, None], count: int, totals: OrderTotals, more: Decimal
) -> None:
    lines = [line(*values)] * count
    assert add_up(lines, totals, minor_units=2)
    assert not add_up(lines, replace(totals, total=totals.total + more), minor_units=2)
    for sign in (-1, 1):
        wrong = totals.total + sign * (Decimal("0.01") * count + Decimal("0.02"))
        assert not add_up(lines, replace(totals, total=wrong, tax_total=Decimal(0)), minor_units=2)


def test_a_currency_without_decimals_rounds_by_whole_units() -> None:
    lines = [line("0.333", "100", None, minor_units=0)] * 30  # 33 each, of 33.3
    assert add_up(lines, OrderTotals(Decimal(999)), minor_units=0)
    assert not add_up(lines, OrderTotals(Decimal(1006)), minor_units=0)


@pytest.mark.parametrize(
    "values",
    [
        ("99999999.999", "999999999999.9999", None),
        ("0.001", None, "999999999999.99"),
        ("1", "0", None, "1000000000000"),
        ("100000000", "0.01", None),
    ],
)
def test_a_line_keeps_the_bounds_also_in_what_follows(values: tuple[str, str | None, str | None]) -> None:
    with pytest.raises(ValueError, match="too large"):
        line(*values)


def test_equal_lines_have_one_text_however_their_numbers_are_written() -> None:
    assert canonical_lines([line("1", "2.50", None)]) == canonical_lines([line("1.000", "2.5", "2.5")])
    assert canonical_lines([line("1", "2.50", None)]) == '[["S","1.000","2.5000","0.0000","2.5000"]]'
    assert canonical_lines([line("1", "2.50", None)]) != canonical_lines([line("1", "2.51", None)])
    assert canonical_lines([]) == ""
