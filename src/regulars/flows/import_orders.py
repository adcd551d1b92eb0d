"""Import many orders: read them, ask every rule, find out whose they are, write them batch by batch."""

import re
from collections.abc import Sequence
from decimal import Decimal

from regulars.analytics.live import LiveScoring
from regulars.flows.follow_orders import follow_some
from regulars.flows.importing.awards import OrderAwards
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.repository_products import ImportProductsRepository
from regulars.flows.importing.repository_writing import WritingRepository
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, Progress, be_silent
from regulars.flows.importing.rows import ImportRows, source_form
from regulars.flows.importing.rows import orders as subject
from regulars.flows.importing.staged import ImportJob, ImportOptions, StagedImport, in_own_session
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings
from regulars.loyalty.repository_programmes import ProgrammeRepository
from regulars.loyalty.retries import with_retries
from regulars.orders.service import clock_tolerance

orders_per_batch = 50_000


async def import_orders(
    url: str,
    rows: ImportRows,
    *,
    source: str,
    settings: Settings,
    clock: Clock,
    options: ImportOptions | None = None,
    on_reject: OnReject | None = None,
    on_progress: OnProgress = be_silent,
) -> ImportResult:
    """Import orders and the customers who made them.

    Orders are recognised by (source, order_id): repeating an import changes nothing, whatever ended the first one.
    Imports wait for each other; everybody else goes on meanwhile.

    Args:
        url: The database; the import opens a session of its own.
        rows: The orders, read once as a stream.
        source: The system whose ids the rows carry.
        settings: Currency and time zone of the installation.
        clock: Tells which orders would lie in the future, and when points are awarded.
        options: How it is done; by default line by line, without points and events.
        on_reject: Told every line that is not imported, in the order of the file.
        on_progress: Told how far it is.

    Raises:
        UnusableFile: the rows end in something that cannot be read; nothing was written.
        OperatorError: the database cannot be reached, or went away.
    """
    job = ImportJob(
        rows, subject, parse_source(source), settings, clock, orders_per_batch, options or ImportOptions(), on_progress
    )
    return await in_own_session(url, lambda connection: _OrdersImport(connection, job).run(on_reject))


def parse_source(text: str) -> str:
    """The name of a system that orders come from.

    Raises:
        OperatorError: not up to 50 letters, digits, dots, hyphens or underscores.
    """
    if not re.fullmatch(source_form, text):
        raise OperatorError(
            "The source is not a name of up to 50 letters, digits, dots, hyphens and underscores.",
            "Name the system that the orders come from: --source webshop.",
        )
    return text


def source_of_ids(source: str | None, columns: Sequence[str]) -> str:
    """The name of the system whose customer ids a file has; one that no system can have, if it has none.

    Raises:
        OperatorError: it is no name, or is needed and missing.
    """
    if source is not None:
        return parse_source(source)
    if "customer_id" in columns:
        raise OperatorError("The file has customer ids, but of which system?", "Name it: --source webshop.")
    return "-"


class _OrdersImport(StagedImport):
    """One import of orders in its session."""

    def __init__(self, connection: Connection, job: ImportJob) -> None:
        super().__init__(connection, job)
        self._awards: OrderAwards | None = None
        self._is_first = True
        self._live = LiveScoring(connection, job.settings, job.clock)
        self._products = ImportProductsRepository(connection)
        self._writing = WritingRepository(
            connection, source=job.source, currency=job.settings.currency, clock=job.clock, columns=job.rows.columns
        )
        self._has_products = "lines" in self.columns or bool(job.rows.products)

    async def run(self, on_reject: OnReject | None) -> ImportResult:
        """Read, check, write, award, and tell the rejects."""
        result = await super().run(on_reject)
        return self._awards.added_to(result) if self._awards else result

    async def check(self) -> int:
        """Ask the rules of orders, and settle which of several lines with one id counts."""
        if self._has_products:
            await self._products.copy_products(self.job.rows.products)
        await self.staging.check(
            self.columns,
            currency=self.job.settings.currency,
            latest=self.job.clock.now() + clock_tolerance,
            points_per_unit=await self._rate(),
        )
        return await self.staging.settle_repeats()

    async def _rate(self) -> Decimal:
        """How many points a unit of money earns."""
        if not self.job.options.award:
            return Decimal(0)
        return (await ProgrammeRepository(self.connection).current()).points_per_unit

    async def match(self) -> None:
        """Compare with the orders that are stored."""
        await self.matching.match_orders(self.columns, self.job.source)

    async def prepare(self) -> None:
        """Write the catalogue. Awards are counted from here on: those of a transaction that failed do not count."""
        self._awards = OrderAwards(self.connection, self.job.clock) if self.job.options.award else None
        if self._has_products:
            await self._products.write_products(self.job.clock.now())

    async def write(self, batch: Batch) -> Batch:
        """Write the orders; a run of scores that begins now waits for them."""
        await self._live.hold_off_runs()
        await self._writing.write(batch)
        if self.job.options.events:
            await self._writing.tell_recorded(batch)
        return batch

    async def follow_up(self, batch: Batch) -> None:
        """Have the points of changed orders follow them, also of an import that was killed; award new ones."""
        if batch.updated or self._is_first:
            while await with_retries(self._follow_some):
                pass
        self._is_first = False
        if self._awards:
            await self._awards.award(batch)
            self.job.on_progress(Progress("awarding", self._awards.orders))

    async def _follow_some(self) -> int:
        async with self.connection.transaction():
            return await follow_some(self.connection, self.job.clock)

    async def finish(self) -> None:
        """Give the planner fresh statistics."""
        await self._writing.analyze(sum(batch.created + batch.updated for batch in self.written))
