"""Import the points that customers bring from an older system."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from time import perf_counter

from regulars.flows.import_orders import source_of_ids
from regulars.flows.importing.repository_points import PointsLine, PointsRepository
from regulars.flows.importing.repository_staging import StagingRepository
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, Progress, be_silent
from regulars.flows.importing.rows import ImportRows
from regulars.flows.importing.rows import points as subject
from regulars.flows.importing.staged import ImportOptions, in_own_session, stage_rows
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import OperatorError
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.opening import OpeningLine, OpeningOutcome, OpeningService, batch_customers
from regulars.loyalty.retries import with_retries

_tables = ("checked",)


async def import_points(
    url: str,
    rows: ImportRows,
    *,
    source: str | None,
    settings: Settings,
    clock: Clock,
    options: ImportOptions | None = None,
    on_reject: OnReject | None = None,
    on_progress: OnProgress = be_silent,
) -> ImportResult:
    """Import opening balances: one adjustment for each customer, with a lot for each day of expiry.

    A customer has one opening balance for good, so that a repeat changes nothing, whatever ended the first import.

    Args:
        url: The database; the import opens a session of its own.
        rows: Portions of points, read once as a stream; a customer may have several.
        source: The system whose customer ids the rows carry; None if they carry none.
        settings: Currency and time zone of the installation.
        clock: Tells what has expired.
        options: How it is done.
        on_reject: Told every line that is not imported, in the order of the file.
        on_progress: Told how far it is.

    Raises:
        UnusableFile: the rows end in something that cannot be read; nothing was written.
        OperatorError: the database cannot be reached, or went away.
    """
    one = _PointsImport(rows, source_of_ids(source, rows.columns), settings, clock, on_progress)
    is_atomic = options is not None and options.atomic

    async def work(connection: Connection) -> ImportResult:
        return await one.run(connection, on_reject, atomic=is_atomic)

    return await in_own_session(url, work)


class _PointsImport:
    def __init__(
        self, rows: ImportRows, source: str, settings: Settings, clock: Clock, on_progress: OnProgress
    ) -> None:
        self._rows, self._source, self._settings, self._clock = rows, source, settings, clock
        self._on_progress = on_progress
        self._result = ImportResult(0, 0, 0, 0, 0, 0, 0)

    async def run(self, connection: Connection, on_reject: OnReject | None, *, atomic: bool) -> ImportResult:
        """Read, check, bring in, and tell the rejects."""
        started, staging, repository = perf_counter(), StagingRepository(connection), PointsRepository(connection)
        received = await stage_rows(staging, self._rows, subject, self._settings, self._on_progress)
        self._on_progress(Progress("checking", 0, received))
        await repository.check(self._rows.columns, source=self._source, today=self._clock.today())
        await repository.hold_back_parts(self._rows.columns, source=self._source)
        is_written = not (atomic and await staging.count_rejects(_tables))
        if is_written:
            async with connection.transaction() if atomic else nullcontext():
                await self._bring_in(connection, repository)
                if atomic and await staging.count_rejects(_tables):
                    raise OperatorError("Customers of the file were deleted meanwhile.", "Run the import again.")
        rejected = await staging.count_rejects(_tables)
        if rejected and on_reject:
            async for reject in staging.get_rejects(self._rows.columns, _tables):
                on_reject(reject)
        return replace(
            self._result,
            received=received,
            rejected=rejected,
            seconds=perf_counter() - started,
            is_written=is_written,
        )

    async def _bring_in(self, connection: Connection, repository: PointsRepository) -> None:
        """Bring in all that can be, 500 customers in a transaction."""
        after = ""
        while lines := await repository.get_lines(after=after, customers=batch_customers):
            by_number: dict[str, list[PointsLine]] = defaultdict(list)
            for line in lines:
                by_number[line.customer_number].append(line)
            for outcome in await with_retries(partial(self._take_in, connection, by_number)):
                await self._count(outcome, by_number[outcome.customer_number], repository)
            after = lines[-1].customer_number
            self._on_progress(Progress("writing", self._result.created + self._result.unchanged))

    async def _take_in(
        self, connection: Connection, by_number: Mapping[str, Sequence[PointsLine]]
    ) -> list[OpeningOutcome]:
        balances = {
            number: [OpeningLine(number, line.points, line.expires_on) for line in lines]
            for number, lines in by_number.items()
        }
        async with connection.transaction():
            return await OpeningService(connection, self._clock).import_balances(balances, by=operator)

    async def _count(self, outcome: OpeningOutcome, lines: Sequence[PointsLine], repository: PointsRepository) -> None:
        result = self._result
        if outcome.status == "imported":
            self._result = replace(result, created=result.created + len(lines), points=result.points + outcome.points)
        elif outcome.status == "unchanged":
            self._result = replace(result, unchanged=result.unchanged + len(lines))
        else:
            code = "points-expired" if outcome.status == "expired" else "customer-unknown"
            await repository.reject([line.line for line in lines], code)
