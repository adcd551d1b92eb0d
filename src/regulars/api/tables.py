"""Reports as JSON, or as a CSV file for whoever prefers `text/csv`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from regulars.api.bodies import preferred
from regulars.api.routing import json_type
from regulars.kit.csv_files import Cell, Verbatim, csv_bytes
from regulars.kit.csv_files import media_type as csv_type

Answer = TypeVar("Answer")
Row = TypeVar("Row", bound=BaseModel)

json_or_csv: Final = (json_type, csv_type)
as_table: Final[dict[str, Any]] = {
    "produces": json_or_csv,
    "responses": {200: {"content": {csv_type: {"schema": {"type": "string"}}}}},
}
"""What a decorator needs to say for a report that is also a table: `@router.get(path, **as_table)`."""


@dataclass(frozen=True)
class ReportFormat:
    """How the caller wants a report."""

    is_csv: bool

    def __call__(self, name: str, answer: Answer, rows: Sequence[Row], of: type[Row]) -> Answer | Response:
        """The answer, or its rows as a file `name`.csv with a header row; numbers and amounts stand as they are.

        Args:
            name: Of the file.
            answer: What is sent as JSON.
            rows: The part of it that is a table.
            of: What each row is, also where there is none: its fields are the header.
        """
        if not self.is_csv:
            return answer
        header = list(of.model_fields)
        cells = [[_cell(getattr(row, column)) for column in header] for row in rows]
        disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(csv_bytes([header, *cells]), media_type=csv_type, headers=disposition)


def _report_format(request: Request) -> ReportFormat:
    return ReportFormat(preferred(request.headers, json_or_csv) == csv_type)


ReportFormatDep = Annotated[ReportFormat, Depends(_report_format)]


def _cell(value: Any) -> Cell:  # noqa: ANN401 - any field of a report
    """A value of a field; an amount is no formula although it may begin with a minus."""
    if isinstance(value, str) and value.removeprefix("-").replace(".", "", 1).isdecimal():
        return Verbatim(value)
    plain: Cell = value
    return plain
