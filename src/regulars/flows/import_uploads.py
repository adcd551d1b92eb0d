"""Order files that came over HTTP: read by what they were said to be, imported, and told line by line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from regulars.flows.import_orders import import_orders
from regulars.flows.importing.files import read_text
from regulars.flows.importing.problems import sentences
from regulars.flows.importing.readers import read_csv, read_ndjson
from regulars.flows.importing.result import Progress, Reject
from regulars.flows.importing.rows import ImportRows, UnusableFile
from regulars.kit.clock import Clock
from regulars.kit.database import DatabaseUnavailable
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.orders.schemas import ImportLineError, ImportResult

csv_type: Final = "text/csv"
ndjson_type: Final = "application/x-ndjson"
most_errors: Final = 1_000

_readers: Final = {csv_type: read_csv, ndjson_type: read_ndjson}
_what_a_file_is = "must be UTF-8 text: JSON lines, or CSV with the columns order_id, ordered_at, total and a customer's"
_reading_ends_at = 30
"""In per cent: reading and checking take about a third of the time, writing the rest."""


@contextmanager
def rows_of(file: IO[bytes], media_type: str) -> Iterator[ImportRows]:
    """The orders in a file.

    Raises:
        Validation: it is empty, no UTF-8 text, or lacks a column. What it holds is not repeated.
    """
    try:
        yield _readers[media_type](read_text(file, name="The body"), {})
    except UnusableFile as error:
        raise Validation.at("", "format", _what_a_file_is) from error


def require_usable(file: IO[bytes], media_type: str) -> None:
    """Refuse a file that cannot be one of orders, by its beginning; the file is left where it begins.

    Raises:
        Validation: as `rows_of()` says.
    """
    with rows_of(file, media_type):
        pass
    file.seek(0)


async def import_upload(
    url: str,
    file: IO[bytes],
    media_type: str,
    *,
    source: str,
    settings: Settings,
    clock: Clock,
    report: Callable[[int], None] | None = None,
    lines: int = 0,
) -> ImportResult:
    """Import the orders in a file; again is harmless.

    Args:
        url: The database; the import opens a session of its own.
        file: Stands at its beginning.
        media_type: `text/csv` or `application/x-ndjson`.
        source: The system whose ids the orders carry.
        settings: Currency and time zone of the installation.
        clock: Tells which orders would lie in the future.
        report: Told how far it is, in per cent.
        lines: About how many there are.

    Raises:
        Validation: it is no file of orders; nothing was written.
        DatabaseUnavailable: the database cannot be reached, or went away; the same import may be done again.
    """
    rejects: list[Reject] = []
    try:
        with rows_of(file, media_type) as rows:
            result = await import_orders(
                url,
                rows,
                source=source,
                settings=settings,
                clock=clock,
                on_reject=lambda reject: rejects.append(reject) if len(rejects) < most_errors else None,
                on_progress=lambda progress: report(per_cent(progress, lines)) if report else None,
            )
    except OperatorError as error:
        raise DatabaseUnavailable(retry_after=1) from error
    messages = sentences(settings.currency)
    return ImportResult(
        received=result.received,
        created=result.created,
        updated=result.updated,
        unchanged=result.unchanged,
        failed=result.rejected,
        customers_created=result.customers_created,
        errors=[
            ImportLineError(line=bad.line, code=code, message=messages[code]) for bad in rejects for code in bad.codes
        ][:most_errors],
    )


def per_cent(progress: Progress, lines: int) -> int:
    """How far an import is, of a file with about so many lines."""
    total = progress.total or max(lines, progress.done, 1)
    if progress.stage == "reading":
        return _reading_ends_at * progress.done // total
    if progress.stage == "writing":
        return _reading_ends_at + (100 - _reading_ends_at) * progress.done // total
    return _reading_ends_at
