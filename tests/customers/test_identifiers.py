"""One person, one key, however it was spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.customers.identifiers import parse_customer_number, parse_email, parse_phone


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  John.Doe+shop@EXAMPLE.com ", "john.doe+shop@example.com"),
        ("j.o.h.n@example.com", "j.o.h.n@example.com"),
        ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("Jose\u0301@example.com", "jos\u00e9@example.com"),
        ("ann@shop.test", "ann@shop.test"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_spellings_of_an_address_become_one_key(text: str, key: str) -> None:
    assert parse_email(text) == key
    assert parse_email(key) == key


@pytest.mark.parametrize(
    "text",
    [
        "someone.example.com",
        "ann@",
        "ann@example.com\r\nBcc: bob@example.com",
        "ann@exa mple.com",
        "Ann <ann@example.com>",
        "ann@[127.0.0.1]",
        "ann@localhost",
        "ann@-bad-.com",
        "ann@xn--a.com",
        "ann\x00@example.com",
        "ann@example.com\u202e",
        "a" * 243 + "@example.com",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be an e-mail address") as refused:
        parse_email(text)
    assert str(refused.value) in {
        "must be an e-mail address such as name@example.com",
        "must be an e-mail address of at most 254 characters",
    }


@given(st.emails())
def test_the_key_of_a_key_is_itself(address: str) -> None:
    try:
        key = parse_email(address)
    except ValueError:
        return
    assert parse_email(key) == key
    assert len(key) <= 254


@pytest.mark.parametrize(
    "text", ["+4930123456", " +49 30 123456 ", "+49 (30) 12-34-56", "+49.30.123456", "+49/30/123456"]
)
def test_spellings_of_a_number_become_one_key(text: str) -> None:
    assert parse_phone(text) == "+4930123456"


def test_numbers_of_files_may_leave_out_the_country() -> None:
    assert parse_phone("030 123456", default_region="DE") == "+4930123456"
    assert parse_phone("+91 98765 43210", default_region="DE") == "+919876543210"


@pytest.mark.parametrize(
    "text",
    [
        "9876543210",
        "030 123456",
        "+91CALLNOW",
        "+919876543210 ext 5",
        "+919876543210;ext=5",
        "+9198765432101234",
        "+49",
        "+",
        "++4930123456",
        "+٤٩٣٠١٢٣٤٥٦",
        "+" + "1" * 200,
        "",
    ],
)
def test_what_is_no_number_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be a phone number") as refused:
        parse_phone(text)
    assert str(refused.value) in {
        "must be a phone number that begins with + and the country code",
        "must be a phone number such as +4930123456",
        "must be a phone number with the right count of digits for its country",
    }


def test_customer_numbers_are_read_in_any_case() -> None:
    assert parse_customer_number(" cust-20260615-0001 ") == "CUST-20260615-0001"
    assert parse_customer_number("CUST-20260615-1234567") == "CUST-20260615-1234567"


@pytest.mark.parametrize("text", ["", "CUST-2026-0001", "CUST-20260615-001", "CUST-20260615-0001x", "1"])
def test_other_texts_are_no_customer_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="must be a customer number"):
        parse_customer_number(text)
