"""What identifies a customer, in the one form in which it is stored and compared.

Two spellings of one address or number must become one key, or one person becomes two customers. Nothing here reaches
out: no name server, no carrier. No message repeats what was sent.
"""

import re
import unicodedata
from typing import NewType

from email_validator import EmailNotValidError, validate_email
from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    national_significant_number,
    parse,
)

Email = NewType("Email", str)
Phone = NewType("Phone", str)
CustomerNumber = NewType("CustomerNumber", str)

longest_email = 254
_longest_phone_text = 32
_phone_characters = re.compile(r"\+?[0-9][0-9 ().\-/]*")
# A spreadsheet that took the number for one with a fraction, and the mark by which another keeps it a text.
_fraction = re.compile(r"(\+?[0-9]+)\.00?")
# One point before zeros that may be a fraction or digits: nobody can know.
_may_be_fraction = re.compile(r"[^.]*\.00?|\+?[0-9]+\.0+")
_text_marks = "'\u2018\u2019`\u00b4"
_dashes = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_customer_number = re.compile(r"CUST-[0-9]{8}-[0-9]{4,9}")

blank_marks = " \t\u00a00-\u2013\u2014.'\"`"
"""A reference made of nothing but these is empty: `0`, `0.0`, `-`, `''`, a UUID of zeros."""
words_for_nobody = (
    *("n/a", "#n/a", "#value!", "#ref!", "na", "<na>", "nan", "nat", "null", "(null)", "[null]", r"\n", "nil", "none"),
    *("undefined", "unknown", "-1", "guest", "anonymous", "walk-in", "walkin"),
)
"""What systems write, in any case, into a column of customers where there is no customer."""


# Runs of digits that people type where a number is asked for: all the same, or those of the keyboard in their order.
_typed_for_any = re.compile(r"(\d)\1{6,}|0?1234567(8(90?)?)?")

# What all of them hold, with the code of their country too: it spares most numbers the parser.
_may_be_typed_for_any = re.compile(r"(\d)\1{6}$|1234567")


def is_placeholder(phone: str) -> bool:
    """Whether a phone number in normal form is one that is typed where none is to be given, such as `+919999999999`."""
    if not _may_be_typed_for_any.search(phone):
        return False
    return bool(_typed_for_any.fullmatch(national_significant_number(parse(phone))))


def names_nobody(text: str) -> bool:
    """Whether a reference to a customer is one of the placeholders that stand for no customer."""
    return not text.strip(blank_marks) or text.strip().lower() in words_for_nobody


def parse_email(text: str) -> Email:
    """The key of an e-mail address: trimmed, NFC, lower case, the domain in its ASCII (IDNA) form.

    Dots and `+tags` stay as they are: what they mean is up to the mail server. Names reserved for tests and examples
    (`example.com`, `shop.test`) are addresses like any other.

    Raises:
        ValueError: not an e-mail address of at most 254 characters.
    """
    trimmed = text.strip()
    if len(trimmed) > longest_email:
        raise ValueError(f"must be an e-mail address of at most {longest_email} characters")
    try:
        # "test environment" admits names under .test; nothing else changes, as no name server is asked either way.
        address = validate_email(trimmed, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError("must be an e-mail address such as name@example.com") from error
    local_part = unicodedata.normalize("NFC", address.local_part.lower())
    email = f"{local_part}@{address.ascii_domain.lower()}"
    if len(email) > longest_email:
        raise ValueError(f"must be an e-mail address of at most {longest_email} characters")
    return Email(email)


def parse_phone(text: str, default_region: str | None = None) -> Phone:
    """The key of a phone number: E.164, such as `+4930123456`.

    What word processors and spreadsheets leave around a number is no part of it: an apostrophe before it, marks that
    show nothing, other blanks and dashes than those of the keyboard, and a fraction of zeros. Digits after a point are
    otherwise taken for digits of the number only where points set them apart in groups.

    Its length must be possible in its country; whether the number is assigned is not asked, because numbering plans
    change faster than programs.

    Args:
        text: Digits, with spaces, dots, hyphens, slashes or brackets between them if need be.
        default_region: ISO 3166 code of the country of numbers without `+`, for files that leave it out.

    Raises:
        ValueError: not a phone number, or without `+` although no region is given.
    """
    trimmed = text.strip()
    if len(trimmed) > _longest_phone_text:
        raise ValueError("must be a phone number such as +4930123456")
    trimmed = _plain_phone(trimmed)
    if default_region is None and not trimmed.startswith("+"):
        raise ValueError("must be a phone number that begins with + and the country code")
    if not _phone_characters.fullmatch(trimmed) or _may_be_fraction.fullmatch(trimmed):
        raise ValueError("must be a phone number such as +4930123456")
    try:
        number = parse(trimmed, default_region)
    except NumberParseException as error:
        raise ValueError("must be a phone number such as +4930123456") from error
    if is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise ValueError("must be a phone number with the right count of digits for its country")
    return Phone(format_number(number, PhoneNumberFormat.E164))


def _plain_phone(text: str) -> str:
    """A phone number without what shows nothing, and in plain blanks and dashes."""
    if not text.isascii():
        text = "".join(character for character in text if unicodedata.category(character) != "Cf").translate(_dashes)
        text = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    text = text.strip().lstrip(_text_marks).lstrip()
    fraction = _fraction.fullmatch(text)
    return fraction[1] if fraction else text


def parse_customer_number(text: str) -> CustomerNumber:
    """A customer number, trimmed and in upper case: `CUST-20260615-0001`.

    Raises:
        ValueError: not of this form.
    """
    number = text.strip().upper()
    if not _customer_number.fullmatch(number):
        raise ValueError("must be a customer number such as CUST-20260615-0001")
    return CustomerNumber(number)
