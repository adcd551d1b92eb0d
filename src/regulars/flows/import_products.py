"""Import a catalogue: each row is checked as one product would be, and written with thousands of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from time import perf_counter

from psycopg import Rollback
from pydantic import ValidationError

from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, Progress, Reject, be_silent
from regulars.flows.importing.rows import ImportRow, ImportRows
from regulars.flows.importing.staged import ImportOptions, in_own_session
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.orders.models import ProductEntry
from regulars.orders.products import ProductService
from regulars.orders.repository_products import CatalogueChange
from regulars.orders.schemas_products import ProductImport

products_per_batch = 5_000


async def import_products(
    url: str,
    rows: ImportRows,
    *,
    clock: Clock,
    options: ImportOptions | None = None,
    on_reject: OnReject | None = None,
    on_progress: OnProgress = be_silent,
) -> ImportResult:
    """Import products by their sku: new ones are added, of known ones what the row says is changed.

    An empty value leaves what is known. Of several rows with one sku the last one counts. A repeat changes nothing.

    Args:
        url: The database; the import opens a session of its own.
        rows: The products, read once as a stream.
        clock: Tells when it happens.
        options: How it is done; points and events have nothing to do with products.
        on_reject: Told every line that is not imported, in the order of the file.
        on_progress: Told how far it is.

    Raises:
        UnusableFile: the rows end in something that cannot be read; batches before it are written, unless all or
            nothing was asked for.
        OperatorError: the database cannot be reached, or went away.
    """
    one_by_one = _ProductsImport(rows, clock, on_reject, on_progress)
    is_atomic = options is not None and options.atomic
    return await in_own_session(url, one_by_one.run_at_once if is_atomic else one_by_one.run)


@dataclass
class _ProductsImport:
    rows: ImportRows
    clock: Clock
    on_reject: OnReject | None
    on_progress: OnProgress
    _received: int = 0
    _rejected: int = 0
    _change: CatalogueChange = field(default_factory=CatalogueChange)

    async def run_at_once(self, connection: Connection) -> ImportResult:
        """Import all rows, or nothing if one of them is rejected."""
        async with connection.transaction() as everything:
            result = await self.run(connection)
            if result.rejected:
                raise Rollback(everything)
        return self._undone(result) if self._rejected else result

    async def run(self, connection: Connection) -> ImportResult:
        """Import batch by batch, each in its transaction."""
        started, rows = perf_counter(), iter(self.rows.rows)
        while batch := list(islice(rows, products_per_batch)):
            entries = list(self._entries(batch))
            async with connection.transaction():
                self._change += await ProductService(connection, self.clock).upsert_products(entries)
            self._received += len(batch)
            self.on_progress(Progress("writing", self._received))
        return self._result(perf_counter() - started)

    def _entries(self, rows: Sequence[ImportRow]) -> Iterator[ProductEntry]:
        for row in rows:
            values = {name: text for name, text in zip(self.rows.columns, row.values, strict=False) if text.strip()}
            code = row.problem
            if code is None:
                try:
                    yield ProductEntry(**ProductImport.model_validate(values).model_dump(exclude_unset=True))
                except ValidationError as error:
                    code = _codes_of(error)
            if code is not None:
                self._rejected += 1
                if self.on_reject:
                    self.on_reject(Reject(row.line, code, dict.fromkeys(self.rows.columns, "") | values, row.raw))

    def _undone(self, result: ImportResult) -> ImportResult:
        return replace(result, created=0, updated=0, unchanged=0, is_written=False)

    def _result(self, seconds: float) -> ImportResult:
        return ImportResult(
            received=self._received,
            created=self._change.created,
            updated=self._change.updated,
            unchanged=self._change.unchanged,
            rejected=self._rejected,
            customers_created=0,
            seconds=seconds,
        )


def _codes_of(error: ValidationError) -> str:
    """The codes of the faults of a row."""
    return " ".join(dict.fromkeys(_code_of(fault["type"], fault["loc"]) for fault in error.errors()))


def _code_of(fault: str, place: tuple[int | str, ...]) -> str:
    kind = "length" if fault == "string_too_long" else "missing" if fault == "missing" else "characters"
    if place == ("sku",):
        return "product-characters" if kind == "characters" else f"sku-{kind}"
    return f"product-{kind}"
