"""Import many orders: read them, ask every rule, find out whose they are, write them batch by batch."""

import re
from collections.abc import Sequence
from time import perf_counter

from psycopg import OperationalError
from psycopg.errors import DeadlockDetected, InvalidParameterValue, UniqueViolation

from regulars.flows.importing.copytext import CopyText
from regulars.flows.importing.repository_matching import Batch, MatchingRepository
from regulars.flows.importing.repository_people import PeopleRepository
from regulars.flows.importing.repository_products import ImportProductsRepository
from regulars.flows.importing.repository_staging import StagingRepository
from regulars.flows.importing.repository_writing import WorldMoved, WritingRepository
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, Progress, be_silent
from regulars.flows.importing.rows import ImportRows
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.errors import OperatorError
from regulars.kit.money import minor_units
from regulars.kit.settings import Settings
from regulars.orders.service import clock_tolerance

orders_per_batch = 50_000
# An import looks again when others wrote the same customers or orders meanwhile; so often in a row it cannot be chance.
_most_attempts = 10


async def import_orders(
    url: str,
    rows: ImportRows,
    *,
    source: str,
    settings: Settings,
    clock: Clock,
    atomic: bool = False,
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
        clock: Tells which orders would lie in the future.
        atomic: Write nothing if any line is rejected.
        on_reject: Told every line that is not imported, in the order of the file.
        on_progress: Told how far it is.

    Raises:
        UnusableFile: the rows end in something that cannot be read; nothing was written.
        OperatorError: the database cannot be reached, or went away.
    """
    source = parse_source(source)
    try:
        async with connect(url) as connection:
            steps = _Import(connection, rows, source, settings, clock, atomic=atomic, on_progress=on_progress)
            return await steps.run(on_reject)
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise OperatorError(
            f"The database broke off the import ({reason}).",
            "Run the same import again: what is written already is recognised and not written twice.",
        ) from error


def parse_source(text: str) -> str:
    """The name of a system that orders come from.

    Raises:
        OperatorError: not up to 50 letters, digits, dots, hyphens or underscores.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", text):
        raise OperatorError(
            "The source is not a name of up to 50 letters, digits, dots, hyphens and underscores.",
            "Name the system that the orders come from: --source webshop.",
        )
    return text


class _Import:
    """One import in its session."""

    def __init__(
        self,
        connection: Connection,
        rows: ImportRows,
        source: str,
        settings: Settings,
        clock: Clock,
        *,
        atomic: bool,
        on_progress: OnProgress,
    ) -> None:
        self._connection, self._rows, self._source, self._atomic = connection, rows, source, atomic
        self._settings, self._clock, self._on_progress = settings, clock, on_progress
        self._staging = StagingRepository(connection)
        self._people = PeopleRepository(connection)
        self._matching = MatchingRepository(connection)
        self._products = ImportProductsRepository(connection)
        self._writing = WritingRepository(
            connection, source=source, currency=settings.currency, clock=clock, columns=rows.columns
        )
        self._has_products = "lines" in rows.columns or bool(rows.products)
        self._written: list[Batch] = []

    async def run(self, on_reject: OnReject | None) -> ImportResult:
        """Read, check, write, and tell the rejects."""
        started = perf_counter()
        received = await self._read()
        repeated = await self._check(received)
        await self._find_out()
        is_written = await self._write(received)
        rejected = await self._matching.count_rejects()
        if rejected and on_reject:
            async for reject in self._matching.get_rejects(self._rows.columns):
                on_reject(reject)
        return ImportResult(
            received=received,
            created=sum(batch.created for batch in self._written),
            updated=sum(batch.updated for batch in self._written),
            unchanged=sum(batch.unchanged for batch in self._written) + (repeated if is_written else 0),
            rejected=rejected,
            customers_created=sum(batch.customers_created for batch in self._written),
            seconds=perf_counter() - started,
            is_written=is_written,
        )

    async def _read(self) -> int:
        """Bring the rows into the session as texts; answers how many."""
        try:
            await self._staging.prepare_session(self._settings.store_timezone)
        except InvalidParameterValue as error:
            raise OperatorError(
                f"The database server does not know the time zone {self._settings.store_timezone}.",
                "Set REGULARS_STORE_TIMEZONE to a name that pg_timezone_names lists.",
            ) from error
        text = CopyText(
            self._rows.columns,
            minor_units=minor_units(self._settings.currency),
            lines_are_canonical=self._rows.lines_are_canonical,
        )
        received = await self._staging.copy_rows(
            self._rows.columns,
            text.blocks(self._rows.rows),
            lambda rows: self._on_progress(Progress("reading", rows)),
        )
        if self._has_products:
            await self._products.copy_products(self._rows.products)
        return received

    async def _check(self, received: int) -> int:
        """Ask every rule, then wait for a turn; answers how many lines repeat an earlier one."""
        self._on_progress(Progress("checking", 0, received))
        await self._staging.check(
            self._rows.columns, currency=self._settings.currency, latest=self._clock.now() + clock_tolerance
        )
        repeated = await self._staging.settle_repeats()
        if not await self._staging.take_turn(wait=False):
            self._on_progress(Progress("waiting", 0, received))
            await self._staging.take_turn(wait=True)
        return repeated

    async def _find_out(self) -> None:
        """Find out whose the rows are and what is to be done with each."""
        await self._people.settle(self._rows.columns, self._source, batch_size=orders_per_batch)
        await self._matching.match(self._rows.columns, self._source)

    async def _write(self, received: int) -> bool:
        """Write all batches, and look again whenever somebody else was faster.

        Answers whether it was done: not so if it is all or nothing, and a line is rejected.
        """
        for _ in range(_most_attempts):
            if self._atomic and await self._matching.count_rejects():
                return False
            finished: list[Batch] = []
            try:
                await self._write_batches(await self._matching.get_batches(), finished, received)
            except (WorldMoved, UniqueViolation, DeadlockDetected):
                await self._matching.forget([batch.number for batch in finished])
                await self._find_out()
            else:
                await self._writing.analyze(sum(batch.created + batch.updated for batch in self._written))
                return True
        raise OperatorError(
            "Other programs kept changing the customers and orders of this import.", "Run the same import again."
        )

    async def _write_batches(self, batches: Sequence[Batch], finished: list[Batch], received: int) -> None:
        """Write batches, each in its transaction, or all in one if it is all or nothing."""
        for together in [batches] if self._atomic else [[batch] for batch in batches]:
            for batch in together:
                await self._writing.reserve_numbers(batch)
            async with self._connection.transaction():
                if not self._written and self._has_products:
                    await self._products.write_products(self._clock.now())
                for batch in together:
                    await self._writing.write(batch)
            finished += together
            self._written += together
            self._on_progress(Progress("writing", sum(batch.orders for batch in self._written), received))
