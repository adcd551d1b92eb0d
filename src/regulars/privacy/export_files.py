"""An export as files: JSON as it is read, and CSV beside it, whatever the size, with little memory."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

from regulars.kit.csv_files import Cell, Verbatim, csv_bytes
from regulars.privacy.schemas import export_format


class JsonExport:
    """Writes the text of a `CustomerDataExport`, section by section, as the rows come.

    Args:
        into: Where the text goes.
        customer_id: Whose data.
        exported_at: When they were read.
        explanations: How the scores came about.
    """

    def __init__(
        self, into: IO[bytes], customer_id: UUID, exported_at: datetime, explanations: Mapping[str, object]
    ) -> None:
        self._into = into
        head = {
            "format": export_format,
            "customer_id": customer_id,
            "exported_at": exported_at,
            "explanations": explanations,
        }
        into.write(_json(head)[:-1] + b', "sections": {')
        self._sections = self._rows = 0

    def begin(self, section: str) -> None:
        """Begin a section."""
        self._into.write((b", " if self._sections else b"") + _json(section) + b": [")
        self._sections, self._rows = self._sections + 1, 0

    def add(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to the section that was begun."""
        objects = b",\n".join(_json(dict(zip(columns, row, strict=True))) for row in rows)
        self._into.write((b",\n" if self._rows else b"\n") + objects)
        self._rows += len(rows)

    def end(self) -> None:
        """End the section that was begun."""
        self._into.write(b"]")

    def close(self) -> None:
        """End the text."""
        self._into.write(b"}}\n")


def csv_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as lines of a CSV file that is safe to open."""
    return csv_bytes([_cell(value) for value in row] for row in rows)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
    message = f"no rule for a {type(value).__name__} in an export"
    raise TypeError(message)


def _cell(value: Any) -> Cell:  # noqa: ANN401 - whatever a column holds
    match value:
        case Decimal():
            return Verbatim(value)
        case float():
            return Verbatim(repr(value))
        case dict():
            return json.dumps(value, ensure_ascii=False, default=_plain)
        case list():
            return [str(item) for item in value]
    cell: Cell = value
    return cell
