"""How every import of customers and their orders runs: stage, check, match, write batch by batch, tell the rejects."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from psycopg import OperationalError
from psycopg.errors import DeadlockDetected, InvalidParameterValue, UniqueViolation

from regulars.flows.importing.copytext import CopyText
from regulars.flows.importing.repository_customers import CustomerWritingRepository
from regulars.flows.importing.repository_matching import Batch, MatchingRepository
from regulars.flows.importing.repository_people import PeopleRepository
from regulars.flows.importing.repository_shared import SharedContactsRepository
from regulars.flows.importing.repository_staging import StagingRepository
from regulars.flows.importing.repository_writing import WorldMoved
from regulars.flows.importing.result import ImportResult, OnProgress, OnReject, Progress, be_silent
from regulars.flows.importing.rows import ImportRows, Subject
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.errors import OperatorError
from regulars.kit.money import minor_units
from regulars.kit.settings import Settings

# An import looks again when others wrote the same customers or orders meanwhile; so often in a row it cannot be chance.
_most_attempts = 10


@dataclass(frozen=True)
class ImportOptions:
    """How an import is done.

    Attributes:
        atomic: Write nothing if any line is rejected.
        award: Give the points of the programme for every paid order of the file that has earned none: now, as if it
            had been posted now.
        events: Tell the outbox of new customers and orders; without it only of points that were awarded.
    """

    atomic: bool = False
    award: bool = False
    events: bool = False


@dataclass(frozen=True)
class ImportJob:
    """What an import has to do, and for whom.

    Attributes:
        rows: Read once as a stream.
        subject: What the rows are about.
        source: The system whose ids the rows carry.
        settings: Currency and time zone of the installation.
        clock: Tells what would lie in the future.
        batch_size: Rows of one transaction, about.
        options: How it is done.
        on_progress: Told how far it is.
    """

    rows: ImportRows
    subject: Subject
    source: str
    settings: Settings
    clock: Clock
    batch_size: int
    options: ImportOptions = ImportOptions()
    on_progress: OnProgress = be_silent


class StagedImport(ABC):
    """One import in its session. What differs between subjects is in the methods that a subclass must have.

    Attributes:
        written: The batches that are done.
    """

    def __init__(self, connection: Connection, job: ImportJob) -> None:
        self.job = job
        self.connection = connection
        self.columns = job.rows.columns
        self.staging = StagingRepository(connection)
        self.matching = MatchingRepository(connection)
        self.customers = CustomerWritingRepository(
            connection, clock=job.clock, columns=self.columns, subject=job.subject
        )
        self._people = PeopleRepository(connection)
        self._shared = SharedContactsRepository(connection)
        self.written: list[Batch] = []

    @abstractmethod
    async def check(self) -> int:
        """Ask every rule; answers how many lines merely repeat an earlier one."""

    @abstractmethod
    async def match(self) -> None:
        """Find out what is to be done with each row, now that it is known whose it is."""

    async def prepare(self) -> None:  # noqa: B027 - not every subject needs it
        """What the first transaction does before its batches; again if it fails and is begun anew."""

    @abstractmethod
    async def write(self, batch: Batch) -> Batch:
        """Write a batch in the transaction of the caller; answers it with what was really done."""

    async def follow_up(self, batch: Batch) -> None:  # noqa: B027 - not every subject needs it
        """What a written batch leads to, after its transaction, or in it if it is all or nothing."""

    async def finish(self) -> None:  # noqa: B027 - not every subject needs it
        """What can only be done when everything is written."""

    async def run(self, on_reject: OnReject | None) -> ImportResult:
        """Read, check, write, and tell the rejects."""
        job, started = self.job, perf_counter()
        received = await stage_rows(self.staging, job.rows, job.subject, job.settings, job.on_progress)
        job.on_progress(Progress("checking", 0, received))
        repeated = await self.check()
        await self._shared.set_aside(self.columns, job.source)
        if not await self.staging.take_turn(wait=False):
            job.on_progress(Progress("waiting", 0, received))
            await self.staging.take_turn(wait=True)
        await self._find_out()
        is_written = await self._write(received)
        rejected = await self.staging.count_rejects()
        if rejected and on_reject:
            async for reject in self.staging.get_rejects(self.columns):
                on_reject(reject)
        return ImportResult(
            received=received,
            created=sum(batch.created for batch in self.written),
            updated=sum(batch.updated for batch in self.written),
            unchanged=sum(batch.unchanged for batch in self.written) + (repeated if is_written else 0),
            rejected=rejected,
            customers_created=sum(batch.customers_created for batch in self.written),
            seconds=perf_counter() - started,
            is_written=is_written,
        )

    async def _find_out(self) -> None:
        """Find out whose the rows are and what is to be done with each."""
        await self._people.settle(self.columns, self.job.source, batch_size=self.job.batch_size)
        await self.match()

    async def _write(self, received: int) -> bool:
        """Write all batches, and look again whenever somebody else was faster.

        Answers whether it was done: not so if it is all or nothing, and a line is rejected.
        """
        if not self.job.options.atomic:
            await self._stop_identifying()
        for _ in range(_most_attempts):
            if self.job.options.atomic and await self.staging.count_rejects():
                return False
            finished: list[Batch] = []
            try:
                await self._write_batches(await self.matching.get_batches(), finished, received)
            except (WorldMoved, UniqueViolation, DeadlockDetected):
                await self.matching.forget([batch.number for batch in finished])
                await self._find_out()
            else:
                await self.finish()
                return True
        raise OperatorError(
            "Other programs kept changing the customers and orders of this import.", "Run the same import again."
        )

    async def _write_batches(self, batches: Sequence[Batch], finished: list[Batch], received: int) -> None:
        """Write batches, each in its transaction, or all in one if it is all or nothing."""
        for together in [batches] if self.job.options.atomic else [[batch] for batch in batches]:
            for batch in together:
                await self.customers.reserve_numbers(batch)
            async with self.connection.transaction():
                if not self.written:
                    if self.job.options.atomic:
                        await self._stop_identifying()
                    await self.prepare()
                done = [await self._write_one(batch) for batch in together]
            finished += done
            self.written += done
            if not self.job.options.atomic:
                await self._follow_up(done)
            self.job.on_progress(Progress("writing", sum(batch.rows for batch in self.written), received))

    async def _stop_identifying(self) -> None:
        """Let contacts that turned out to be of several people identify nobody."""
        await self._shared.stop_identifying(self.columns, at=self.job.clock.now())

    async def _follow_up(self, batches: Sequence[Batch]) -> None:
        """Do what written batches lead to. They are not written again, so this must not be mistaken for a reason to."""
        try:
            for batch in batches:
                await self.follow_up(batch)
        except (UniqueViolation, DeadlockDetected) as error:
            raise OperatorError(
                "Other programs kept changing the points of these customers.",
                "Run the same import again: what is written already is recognised and not written twice.",
            ) from error

    async def _write_one(self, batch: Batch) -> Batch:
        filled = await self.customers.write(batch)
        if self.job.options.events:
            await self.customers.tell_created(batch, at=self.job.clock.now())
        done = await self.write(replace(batch, filled=filled))
        if self.job.options.atomic:
            await self.follow_up(done)
        return done


async def stage_rows(
    staging: StagingRepository, rows: ImportRows, subject: Subject, settings: Settings, on_progress: OnProgress
) -> int:
    """Bring the rows of a file into the session as texts; answers how many.

    Raises:
        UnusableFile: they end in something that cannot be read.
        OperatorError: the database server does not know the time zone of the store.
    """
    try:
        await staging.prepare_session(settings.store_timezone, subject)
    except InvalidParameterValue as error:
        raise OperatorError(
            f"The database server does not know the time zone {settings.store_timezone}.",
            "Set REGULARS_STORE_TIMEZONE to a name that pg_timezone_names lists.",
        ) from error
    text = CopyText(
        rows.columns, minor_units=minor_units(settings.currency), lines_are_canonical=rows.lines_are_canonical
    )
    received = await staging.copy_rows(
        rows.columns, text.blocks(rows.rows), lambda count: on_progress(Progress("reading", count))
    )
    await staging.restore_ids(rows.columns)
    return received


async def in_own_session(url: str, work: Callable[[Connection], Awaitable[ImportResult]]) -> ImportResult:
    """Run an import in a session of its own, and say what to do when the database goes away.

    Raises:
        OperatorError: the database cannot be reached, or went away.
    """
    try:
        async with connect(url) as connection:
            return await work(connection)
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise OperatorError(
            f"The database broke off the import ({reason}).",
            "Run the same import again: what is written already is recognised and not written twice.",
        ) from error
