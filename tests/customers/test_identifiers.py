"""One person, one key, however it was spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.customers.identifiers import (
    names_nobody,
    parse_customer_number,
    parse_email,
    parse_phone,
    words_for_nobody,
)


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


@pytest.mark.parametrize(
    "text",
    [
        "'+4930123456",
        "\u2019 +4930123456",
        "+4930123456.0",
        "'+4930123456.00",
        "\u00a0+49\u00a030\u202f123456\u00a0",
        "\u200e+49 30 123456\u200f",
        "\u202a+49 30 123456\u202c",
        "\u2068+49\u200b30123456\u2069",
        "\ufeff+4930\u00ad123456",
        "+49\u201130\u2013123456",
    ],
)
def test_what_programs_leave_around_a_number_is_no_part_of_it(text: str) -> None:
    assert parse_phone(text) == "+4930123456"


@pytest.mark.parametrize("text", ["+91 9876543210.0", "+91-98765-43210.00", "+4930123.000", "+9.19877E+11", "+49.0"])
def test_a_fraction_never_becomes_digits_of_another_number(text: str) -> None:
    with pytest.raises(ValueError, match="must be a phone number"):
        parse_phone(text)


def test_points_that_set_groups_apart_stay_what_they_are() -> None:
    assert parse_phone("+1.212.555.0000") == parse_phone("+1 (212) 555.0000") == "+12125550000"
    assert parse_phone("030.123456.0", default_region="DE") == "+49301234560"
    assert parse_phone("030123456.0", default_region="DE") == "+4930123456"


@pytest.mark.parametrize("mark", ["\x00", "\x07", "\n", "\u2028", "\u0301"])
def test_marks_that_are_no_mere_format_are_refused_inside_a_number(mark: str) -> None:
    with pytest.raises(ValueError, match="must be a phone number"):
        parse_phone(f"+49{mark}30123456")


@given(st.integers(min_value=100_000, max_value=999_999_999_999_999), st.sampled_from([".0", ".00"]))
def test_a_number_with_a_fraction_is_the_number_or_none(digits: int, fraction: str) -> None:
    try:
        number: str | None = parse_phone(f"+{digits}")
    except ValueError:
        number = None
    try:
        assert parse_phone(f"+{digits}{fraction}") == number
    except ValueError:
        assert number is None


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


def test_a_placeholder_is_told_from_an_id() -> None:
    assert all(names_nobody(word.upper()) and names_nobody(f"  {word} ") for word in words_for_nobody)
    assert all(map(names_nobody, ["", "0", "0.0", "-", "--", "''", '""', "00000000-0000-0000-0000-000000000000"]))
    assert not any(map(names_nobody, ["10", "0a", "-2", "17850.0", "nancy", "nullmann", "guest7", "A-0", "n"]))
