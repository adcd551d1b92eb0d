from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from regulars.kit.schemas import (
    Day,
    Id,
    Instant,
    Money,
    OneOf,
    Page,
    Points,
    QuerySchema,
    RequestSchema,
    ResponseSchema,
    Tags,
    Text,
    small_json,
)


class Colour(StrEnum):
    RED = "red"


class Everything(RequestSchema):
    id: Id | None = None
    day: Day | None = None
    at: Instant | None = None
    price: Money | None = None
    points: Points | None = None
    colour: OneOf[Colour] | None = None
    tags: Tags | None = None
    note: Annotated[str, Text(20, lines=True)] | None = None
    data: Annotated[dict[str, Any], small_json] | None = None


class EverythingInTheQuery(Everything, QuerySchema): ...


@pytest.mark.parametrize(
    ("field", "given", "meant"),
    [
        ("id", "0199C1DE-7A10-7C3E-9D55-0C5B4F1E2A77", UUID("0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77")),
        ("day", "2024-02-29", date(2024, 2, 29)),
        ("at", "2026-06-15T12:00:00+02:00", datetime(2026, 6, 15, 10, tzinfo=UTC)),
        ("at", "2026-06-15t10:00:00.5z", datetime(2026, 6, 15, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("price", "19.99", Decimal("19.99")),
        ("price", "0", Decimal(0)),
        ("points", 10_000_000, 10_000_000),
        ("colour", "red", Colour.RED),
        ("tags", [" vip ", "vip", "new"], ["vip", "new"]),
        ("note", "two\nlines\t", "two\nlines"),
        ("data", {"a": "x" * 4088}, {"a": "x" * 4088}),
        ("data", {"a": "é" * 2044}, {"a": "é" * 2044}),
    ],
)
def test_each_type_takes_its_plain_form(field: str, given: Any, meant: Any) -> None:
    assert getattr(Everything.model_validate({field: given}), field) == meant


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("id", "0199c1de7a107c3e9d550c5b4f1e2a77"), ("id", 7), ("day", "2023-02-29"), ("day", "2026-1-1"),
        ("day", 1700000000), ("day", "2026-01-01T00:00:00Z"), ("at", "2026-06-15T12:00:00"), ("at", "2026-06-15"),
        ("at", 1700000000), ("at", "0001-01-01T00:00:00+14:00"), ("price", 19.99), ("price", 19), ("price", "1e3"),
        ("price", "-1"), ("price", "+1"), ("price", "1."), ("price", ".5"), ("price", "01"), ("price", "NaN"),
        ("price", "1.0000"), ("price", "100000000000000"), ("price", "\u0661"), ("points", 0), ("points", True),
        ("points", 1.0), ("points", "1"), ("colour", "RED"), ("colour", "blue"), ("tags", "vip"),
        ("tags", ["x" * 51]), ("tags", [str(number) for number in range(51)]), ("tags", ["\u202e"]), ("tags", [{}]),
        ("note", "a\x07"), ("note", "x" * 21), ("data", {"a": "x" * 4089}), ("data", {"a": "é" * 2045}), ("unknown", 1),
    ],
)  # fmt: skip
def test_nothing_else_is_guessed(field: str, given: Any) -> None:
    with pytest.raises(ValidationError):
        Everything.model_validate({field: given})


def test_one_schema_serves_body_and_query() -> None:
    """In a query all values are text, so numbers and truth values are read from it there, and only there."""
    assert EverythingInTheQuery.model_validate({"points": "10", "price": "1.5"}).points == 10


def test_instants_are_written_in_utc_and_pages_read_rows() -> None:
    class Row(ResponseSchema):
        at: Instant

    page = Page[Row](
        items=[Row(at=datetime.fromisoformat("2026-06-15T12:00:00+02:00"))],
        total=1,
        total_is_estimate=False,
        limit=50,
        offset=0,
    )
    assert page.model_dump(mode="json")["items"] == [{"at": "2026-06-15T10:00:00Z"}]


@pytest.mark.parametrize(("marks", "is_taken"), [(20, True), (30, True), (31, False)])
def test_a_letter_carries_no_more_marks_than_any_language_puts_there(marks: int, is_taken: bool) -> None:
    class Note(RequestSchema):
        text: Annotated[str, Text(100)]

    text = "x" + "\u0316" * marks
    try:
        assert Note(text=text).text == text
    except ValidationError:
        assert not is_taken
    else:
        assert is_taken


def test_a_text_is_measured_when_it_is_composed_and_refused_before_if_it_is_far_too_long() -> None:
    assert Everything(note="e\u0301" * 20).note == "\u00e9" * 20
    for long in ("e\u0301" * 21, "e" * 81):
        with pytest.raises(ValidationError) as refused:
            Everything(note=long)
        (error,) = refused.value.errors()
        assert (error["type"], error["ctx"]) == ("string_too_long", {"max_length": 20})
