"""CSV that any reader takes and no spreadsheet runs."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.kit.csv_files import Cell, Verbatim, csv_bytes, unguarded


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("Ann", "Ann"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        (date(2026, 6, 15), "2026-06-15"),
        (datetime(2026, 6, 15, 10, 0, tzinfo=UTC), "2026-06-15T10:00:00Z"),
        (datetime(2026, 6, 15, 12, 0, tzinfo=timezone(timedelta(hours=2))), "2026-06-15T10:00:00Z"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ([], ""),
        (["vip", 'a"b', "ü"], '"[""vip"", ""a\\""b"", ""ü""]"'),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\r\nlines", '"two\r\nlines"'),
        (Verbatim("+4930123456"), "+4930123456"),
        (Verbatim("-1.50"), "-1.50"),
    ],
)
def test_a_value_looks_as_in_the_api(cell: Cell, text: str) -> None:
    assert csv_bytes([[cell, "x"]]) == f"{text},x\r\n".encode()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_formula_becomes_a_text(first: str) -> None:
    [[cell]] = csv.reader(io.StringIO(csv_bytes([[first + "1"]]).decode(), newline=""))
    assert cell == "'" + first + "1"


def test_what_begins_like_nothing_special_stays() -> None:
    assert csv_bytes([["1-2", "a=b", " =1", "'quoted"]]) == b"1-2,a=b, =1,'quoted\r\n"


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=3)))
def test_any_text_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    written = list(csv.reader(io.StringIO(csv_bytes(rows).decode(), newline="")))
    assert [[unguarded(cell) for cell in row] for row in written] == rows


hostile = st.text(st.sampled_from("'=+-@\t\r a1\"\n,;|["), max_size=6)


@given(hostile)
def test_a_guard_is_taken_away_again_and_nothing_else_is(text: str) -> None:
    [[cell, _]] = csv.reader(io.StringIO(csv_bytes([[text, "x"]]).decode(), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguarded(cell) == text
    assert cell in (text, "'" + text)
