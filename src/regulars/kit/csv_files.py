"""CSV files (RFC 4180, UTF-8) that spreadsheets open without running what strangers wrote into a field."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TypeAlias
from uuid import UUID

Cell: TypeAlias = str | int | float | bool | date | datetime | UUID | Sequence[str] | None

media_type = "text/csv"
_formula = re.compile(r"'*[=+\-@\t\r]")
_guarded = re.compile(r"'+[=+\-@\t\r]")


class Verbatim(str):
    """A text that was made or checked by us and is no formula: an amount, a phone number."""

    __slots__ = ()


def csv_bytes(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as lines of a CSV file.

    Values look as in the API: instants in UTC, `true` and `false`, lists as JSON; nothing for None and for an empty
    list. A text that a spreadsheet would take for a formula gets a leading `'`; so does one that has such a guard
    already, so that `unguarded()` gives back every text as it was.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_text(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def unguarded(text: str) -> str:
    """A text of a file that `csv_bytes()` wrote, as it was before."""
    return text[1:] if _guarded.match(text) else text


def _text(cell: Cell) -> str:
    match cell:
        case None:
            text = ""
        case str():
            is_formula = _formula.match(cell) and not isinstance(cell, Verbatim)
            text = f"'{cell}" if is_formula else str(cell)
        case bool():
            text = "true" if cell else "false"
        case datetime():
            text = cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | int() | float() | UUID():
            text = str(cell)
        case _:
            text = json.dumps(list(cell), ensure_ascii=False) if cell else ""
    return text
