"""What schemas are made of: strict base classes, and field types that take one plain form each.

Bodies are validated in Python mode, so that types which JSON lacks (ids, days, instants, money) bring their own
parser here. Each accepts exactly the form that the API writes and refuses everything Pydantic would guess.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema

from regulars.kit import bounds
from regulars.kit.validation import most_errors

Item = TypeVar("Item")
Choice = TypeVar("Choice", bound=Enum)


def broken_rule(code: Literal["missing", "range"], message: str, *fields: str) -> PydanticCustomError:
    """The error of a rule that concerns several fields, for the validator of a whole schema.

    Args:
        code: What the fault is, for programs.
        message: What the rule is, for people.
        fields: Which fields; each is pointed at.
    """
    return PydanticCustomError(code, "{expected}", {"expected": message, "fields": fields})


class RequestSchema(BaseModel):
    """What a caller sends: no unknown fields, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class QuerySchema(BaseModel):
    """Query parameters as one schema: text in one plain form becomes numbers, days and truth values."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class ResponseSchema(BaseModel):
    """What we answer; reads its fields from a row's attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(ResponseSchema, Generic[Item]):
    """A part of a search result, and how much there is."""

    items: list[Item]
    total: int = Field(description="Exact up to 10,000; above, an estimate.")
    total_is_estimate: bool
    limit: int
    offset: int


class Slice(ResponseSchema, Generic[Item]):
    """A part of a log, newest first, and where to read on."""

    items: list[Item]
    next_cursor: str | None = Field(description="Send as `cursor` to read on; null at the end.")


class Accepted(ResponseSchema):
    """The request was taken; what follows comes by another way."""

    status: Literal["accepted"] = "accepted"


class ProblemError(ResponseSchema):
    """One fault of a request."""

    in_: Literal["body", "query", "path", "header"] = Field(alias="in")
    pointer: str
    code: Literal["missing", "type", "range", "length", "format", "enum", "unknown", "repeated", "characters"]
    message: str


class Problem(ResponseSchema):
    """Any refusal or fault (RFC 9457). More members may follow, as the slug needs them."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/<slug>`: identifies the kind of problem; need not resolve.")
    title: str = Field(description="One fixed sentence for the slug.")
    status: int = Field(description="The HTTP status.")
    detail: str | None = Field(default=None, description="One of a few fixed sentences for the slug.")
    instance: str = Field(description="`urn:uuid:` and the trace id.")
    trace_id: str = Field(description="32 hex digits, the same as in the log line.")
    errors: list[ProblemError] = Field(
        default=[], description=f"What is wrong with which value; no more than {most_errors}."
    )
    more_errors: int | None = Field(default=None, ge=1, description="How many there are besides those in `errors`.")


def unchanged(description: str | None = None) -> Any:  # noqa: ANN401 - it stands for a value of any type
    """The default of a field of a change: left out, it is not touched, and is missing from `model_fields_set`.

    Null is a value of the field only if its type says so.
    """
    return Field(default=None, description=description, json_schema_extra=lambda schema: schema.pop("default", None))


def _parsed(pattern: str, parse: Callable[[str], Any], expected: str) -> BeforeValidator:
    """A parser for one plain form of text; a value that is parsed already passes on."""
    compiled = re.compile(pattern, re.ASCII)

    def validate(value: object) -> object:
        if not isinstance(value, str):
            if isinstance(value, (int, float, list, dict, type(None))):
                raise PydanticCustomError("type", "{expected}", {"expected": expected})
            return value
        if not compiled.fullmatch(value):
            raise PydanticCustomError("format", "{expected}", {"expected": expected})
        try:
            return parse(value)
        except PydanticCustomError:  # a ValueError that says already what is wrong
            raise
        except (ValueError, OverflowError) as error:
            raise PydanticCustomError("format", "{expected}", {"expected": expected}) from error

    return BeforeValidator(validate)


def _within(first: Any, last: Any, value: Any) -> Any:  # noqa: ANN401 - days or instants
    """A day or instant that a caller sent, if it lies within the bounds."""
    if first <= value <= last:
        return value
    expected = f"must lie between {bounds.earliest_day} and {bounds.latest_day}"
    raise PydanticCustomError("range", "{expected}", {"expected": expected})


def _day(text: str) -> date:
    day: date = _within(bounds.earliest_day, bounds.latest_day, date.fromisoformat(text))
    return day


def _instant(text: str) -> datetime:
    # Compared with its own offset: at the ends of the calendar there is no UTC to go by.
    sent = datetime.fromisoformat(text.upper())
    instant: datetime = _within(bounds.earliest_instant, bounds.latest_instant, sent)
    return instant.astimezone(UTC)


def decimal_form(digits: int, decimals: int, *, signed: bool = False) -> str:
    """The pattern of a number in a string, with up to so many digits before and after the point."""
    sign = "-?" if signed else ""
    return rf"{sign}(0|[1-9][0-9]{{0,{digits - 1}}})(\.[0-9]{{1,{decimals}}})?"


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


Id: TypeAlias = Annotated[
    UUID,
    _parsed(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", UUID, "must be a UUID with hyphens"),
]
"""An id: a UUID with hyphens, in any case; written in lower case."""

Day: TypeAlias = Annotated[date, _parsed(r"\d{4}-\d\d-\d\d", _day, "must be a day such as 2026-01-31")]
"""A calendar day, `YYYY-MM-DD`, from 1900 to 2999."""

Instant: TypeAlias = Annotated[
    datetime,
    _parsed(
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)",
        _instant,
        "must be an instant with offset such as 2026-01-31T12:00:00Z",
    ),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in RFC 3339 with an offset, from 1900 to 2999; kept and written in UTC."""


def _amount(
    decimals: int, *, signed: bool = False, digits: int = bounds.money_digits
) -> tuple[BeforeValidator, WithJsonSchema]:
    """An amount in a string. One with too many digits is read too, so that it is refused for being too large."""
    read = _parsed(decimal_form(30, decimals, signed=True), Decimal, 'must be an amount in a string such as "19.99"')
    form = decimal_form(digits, decimals, signed=signed)
    return read, WithJsonSchema({"type": "string", "pattern": f"^{form}$", "examples": ["19.99"]})


Money: TypeAlias = Annotated[Decimal, Field(ge=0, lt=bounds.money_limit), *_amount(3)]
"""An amount as callers send it: a string. That it has no more than the currency's minor units is for the service."""

SignedMoney: TypeAlias = Annotated[
    Decimal, Field(gt=-bounds.money_limit, lt=bounds.money_limit), *_amount(3, signed=True)
]
"""An amount that may be below zero."""

CashRounding: TypeAlias = Annotated[
    Decimal,
    Field(gt=-(10**bounds.cash_rounding_digits), lt=10**bounds.cash_rounding_digits),
    *_amount(3, signed=True, digits=bounds.cash_rounding_digits),
]
"""What was added to an amount so that it could be paid in coins; below zero if it was taken off."""

Price: TypeAlias = Annotated[Decimal, Field(ge=0, lt=bounds.money_limit), *_amount(bounds.price_decimals)]
"""The price of one unit, with up to four decimals in any currency."""

MoneyText: TypeAlias = Annotated[str, Field(pattern=r"^-?\d+(\.\d{1,3})?$", examples=["19.99"])]
"""An amount as we write it: `format_money()` in a string."""

Source: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$", examples=["webshop"])]
"""The system that orders come from; an API client writes under one."""

Points: TypeAlias = Annotated[int, Field(ge=1, le=bounds.most_points)]
"""Points of one award, redemption or adjustment: always positive."""

Limit: TypeAlias = Annotated[int, Field(ge=1, le=100, description="How many to return.")]
Offset: TypeAlias = Annotated[int, Field(ge=0, le=100_000, description="How many to leave out at the start.")]

OneOf: TypeAlias = Annotated[Choice, Field(strict=False)]
"""A member of an enum by its value: `OneOf[LoyaltyTier]`."""


@dataclass(frozen=True)
class Text:
    """Marks a text that is trimmed and kept in NFC: `Annotated[str, Text(100)]`.

    Refused are control characters, characters that turn the direction of reading, text that shows nothing, and more
    marks on one letter than any language puts there. Length and marks are looked at before the text is composed: the
    time that takes grows with the square of a run of marks.

    Args:
        max_length: In code points, after trimming.
        min_length: In code points, after trimming.
        lines: Whether tabs and line ends may occur, as in notes.
    """

    max_length: int
    min_length: int = 1
    lines: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:  # noqa: ANN401
        """Clean before the length is taken."""
        text = core_schema.str_schema(min_length=self.min_length, max_length=self.max_length, strict=True)
        return core_schema.no_info_before_validator_function(self.clean, text)

    def clean(self, value: object) -> object:
        """The trimmed NFC form of a text; anything else passes on to be refused as no text."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        if len(text) > self.max_length * most_parts_of_a_letter:
            raise PydanticKnownError("string_too_long", {"max_length": self.max_length})
        if not text.isascii():
            _require_few_marks(text)
            text = unicodedata.normalize("NFC", text)
        allowed = "\t\n\r" if self.lines else ""
        if any(_is_hidden_control(character) and character not in allowed for character in text):
            raise PydanticCustomError("characters", "contains characters that are not allowed")
        if text and all(_shows_nothing(character) for character in text):
            raise PydanticCustomError("characters", "shows nothing")
        return text


most_parts_of_a_letter = 4
"""Into how many code points one that is kept may have been taken apart."""
most_marks = 30
"""In a row, as in the Stream-Safe Text Format of Unicode (UAX 15)."""


def _require_few_marks(text: str) -> None:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > most_marks:
            raise PydanticCustomError("characters", "contains characters that are not allowed")


_direction_overrides = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_blank_letters = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")


def _is_hidden_control(character: str) -> bool:
    return character in _direction_overrides or unicodedata.category(character) in {"Cc", "Zl", "Zp"}


def _shows_nothing(character: str) -> bool:
    return (
        character in _blank_letters
        or character.isspace()
        or unicodedata.category(character) in {"Cf", "Cc", "Cs", "Cn"}
    )


most_json_bytes = 4096


def _digits_beyond(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """How many more digits its numbers have where they are kept, which is without exponents: 309 for 1e308."""
    if isinstance(value, float):
        return len(f"{Decimal(repr(value)):f}") - len(repr(value))
    if isinstance(value, dict):
        return sum(map(_digits_beyond, value.values()))
    return sum(map(_digits_beyond, value)) if isinstance(value, list) else 0


def _require_small(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) + _digits_beyond(value) > most_json_bytes:
        raise PydanticCustomError("too_long", "must be at most 4 KiB as JSON")
    return value


small_json = AfterValidator(_require_small)
"""Marks JSON that is kept as it comes: `Annotated[dict[str, Any], small_json]` has at most 4 KiB.

Counted in UTF-8 without blanks and exponents, however it was sent.
"""


def _unique(items: list[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


most_tags = 50

Tags: TypeAlias = Annotated[list[Annotated[str, Text(50)]], Field(max_length=most_tags), AfterValidator(_unique)]
"""Up to 50 tags of up to 50 characters; one that is repeated counts once."""
