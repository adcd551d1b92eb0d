"""Settings that are checked when they are read."""

import pytest
from pydantic import ValidationError

from regulars.kit.settings import Settings


def test_countries_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_SMS_COUNTRIES", "de, AT")
    assert Settings(_env_file=None).sms_countries == ["DE", "AT"]


@pytest.mark.parametrize("text", ["Germany", "DE;AT", "XX"])
def test_what_is_no_country_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("REGULARS_SMS_COUNTRIES", text)
    with pytest.raises(ValidationError, match="ISO 3166"):
        Settings(_env_file=None)
