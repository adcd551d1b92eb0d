"""One run of a visible job: what the work gets, what it gives back, and how the job ends.

A job may begin more than once: its worker died, or had to stop. Then the run before has no say any more, whatever
became of it; it can neither report nor end the job.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from io import SEEK_END, BytesIO
from typing import IO, Any, Final, TypeAlias, TypeVar
from uuid import UUID

from psycopg import OperationalError
from pydantic import BaseModel
from pydantic_core import to_json

from regulars.accounts.principals import principal_of
from regulars.jobs.faults import passes
from regulars.jobs.toolbox import Toolbox
from regulars.kit.database import Connection, refusal_for
from regulars.kit.errors import Internal, Refusal, Unprocessable, problem_of
from regulars.kit.jobs import result_life
from regulars.kit.logs import current_trace_id, log_fault
from regulars.kit.models_jobs import Job
from regulars.kit.repository_jobs import JobRepository
from regulars.kit.security import Principal

json_type: Final = "application/json"
most_begins: Final = 5
"""A job that has taken so many workers down with it is not begun again."""

report_seconds = 1.0
sign_of_life_seconds: Final = 10.0
forsaken_after: Final = timedelta(minutes=1)
in_memory_bytes: Final = 1 << 20

Request = TypeVar("Request", bound=BaseModel)


class ResultTooLarge(Unprocessable):
    """The result is larger than what is kept; ask for less."""


class SupersededError(Exception):
    """Another run of the job began meanwhile, so what this one did does not count."""


@dataclass(frozen=True)
class JobResult:
    """What came of a job.

    Attributes:
        content: Read from its beginning.
        media_type: What it is.
        name: Its name as a file; None for an answer.
        names_people: Whether people besides the one whom the job is about may stand in it, so that it goes with the
            erasure of anybody.
        kept_for: How long it can be read.
    """

    content: IO[bytes]
    media_type: str = json_type
    name: str | None = None
    names_people: bool = False
    kept_for: timedelta = result_life

    @classmethod
    def of(cls, body: BaseModel, *, names_people: bool = False, kept_for: timedelta = result_life) -> "JobResult":
        """The answer that the request would have got without a job."""
        content = BytesIO(body.model_dump_json(by_alias=True).encode())
        return cls(content, names_people=names_people, kept_for=kept_for)


@dataclass
class JobRun:
    """What the work of a job gets.

    Attributes:
        toolbox: Database, settings and clock of the worker.
        job: The job; `job.arguments` are those it was started with.
        by: In whose name the work is done, with the rights of now.
    """

    toolbox: Toolbox
    job: Job
    by: Principal
    is_finished: bool = field(default=False, init=False)
    progress: int = field(default=0, init=False)

    def report(self, progress: int) -> None:
        """Tell how far the work is, 0 to 100; written about once a second, and 100 only with the result."""
        self.progress = max(self.progress, min(progress, 99))

    @asynccontextmanager
    async def given(self) -> AsyncIterator[IO[bytes]]:
        """What was given to the job, as a file; on disk if it is large."""
        with tempfile.SpooledTemporaryFile(max_size=in_memory_bytes) as file:
            async with self.toolbox.database.transaction() as connection:
                async for piece in JobRepository(connection).read_pieces(self.job.id, "input"):
                    file.write(piece)
            file.seek(0)
            yield file

    async def remember(self, content: bytes) -> None:
        """Keep what another run of the job shall go on from; `given()` gives it then."""
        async with self.toolbox.database.transaction() as connection:
            await JobRepository(connection).remember(self.job.id, BytesIO(content), attempt=self.job.attempts)

    async def request(self, schema: type[Request]) -> Request:
        """The body of the request that asked for the job."""
        async with self.given() as file:
            return schema.model_validate(json.load(file))

    async def finish(self, connection: Connection, result: JobResult) -> None:
        """End the job with its result, in the caller's transaction: what was done there counts only with it.

        Raises:
            ResultTooLarge: over the setting `job_result_max_bytes`.
            SupersededError: another run has the say by now.
        """
        jobs, now = JobRepository(connection), self.toolbox.clock.now()
        if result.content.seek(0, SEEK_END) > self.toolbox.settings.job_result_max_bytes:
            raise ResultTooLarge
        result.content.seek(0)
        if not await jobs.succeed(
            self.job.id,
            attempt=self.job.attempts,
            media_type=result.media_type,
            name=result.name,
            names_people=result.names_people,
            now=now,
            until=now + result.kept_for,
        ):
            raise SupersededError
        await jobs.write_pieces(self.job.id, "result", result.content)
        self.is_finished = True


Work: TypeAlias = Callable[[JobRun], Awaitable[JobResult]]
"""`async def export_customers(run: JobRun) -> JobResult`: may begin again after any interruption."""


def in_one_transaction(work: Callable[[JobRun, Connection], Awaitable[JobResult]]) -> Work:
    """Work whose effect commits together with its result: however often it begins, it is done once."""

    @wraps(work)
    async def run_work(run: JobRun) -> JobResult:
        async with run.toolbox.database.transaction() as connection:
            result = await work(run, connection)
            await run.finish(connection, result)
        return result

    return run_work


async def perform(toolbox: Toolbox, job_id: UUID, kinds: Mapping[str, Work], *, is_queued: bool = True) -> None:
    """Run a job to its end, unless it has ended already.

    Args:
        toolbox: What the work works with.
        job_id: The job.
        kinds: The work of every kind.
        is_queued: Whether the job waits for a worker again when it meets a fault that passes; if not, it fails.

    Raises:
        Exception: a fault that passes; the job waits to be run again.
    """
    async with toolbox.database.transaction() as connection:
        job = await JobRepository(connection).begin(job_id, now=toolbox.clock.now())
    if job is None:
        return
    current_trace_id.set(job.id.hex)
    if job.attempts > most_begins:
        await _fail(toolbox, job, Internal())
        return
    try:
        await _work(toolbox, job, kinds[job.kind])
    except SupersededError:
        return
    except BaseException as fault:
        if passes(fault) and is_queued:
            await _put_back(toolbox, job)
            raise
        if not isinstance(fault, Exception):
            raise
        await _fail(toolbox, job, _told(fault, job))


async def fail_forsaken(toolbox: Toolbox) -> None:
    """End the jobs that nothing will run any more, because all patience with them was in vain."""
    now = toolbox.clock.now()
    async with toolbox.database.transaction() as connection:
        jobs = JobRepository(connection)
        for job in await jobs.find_forsaken(unheard_since=now - forsaken_after):
            await jobs.fail(job.id, _problem(Internal(), job), attempt=job.attempts, now=now)


async def _work(toolbox: Toolbox, job: Job, work: Work) -> None:
    async with toolbox.database.transaction() as connection:
        by = await principal_of(connection, toolbox.clock, job.creator_kind, job.creator_id)
    run = JobRun(toolbox, job, by)
    async with _told_while_it_runs(run):
        result = await work(run)
    with result.content:
        if not run.is_finished:
            async with toolbox.database.transaction() as connection:
                await run.finish(connection, result)


@asynccontextmanager
async def _told_while_it_runs(run: JobRun) -> AsyncIterator[None]:
    async def tell() -> None:
        told, silent_for = 0, 0.0
        while True:
            await asyncio.sleep(report_seconds)
            silent_for += report_seconds
            if run.progress == told and silent_for < sign_of_life_seconds:
                continue
            with suppress(Refusal, OperationalError):  # told a second later
                async with run.toolbox.database.transaction() as connection:
                    await JobRepository(connection).report(
                        run.job.id, run.progress, attempt=run.job.attempts, now=run.toolbox.clock.now()
                    )
                told, silent_for = run.progress, 0.0

    teller = asyncio.create_task(tell())
    try:
        yield
    finally:
        teller.cancel()
        await asyncio.wait([teller])


async def _put_back(toolbox: Toolbox, job: Job) -> None:
    # A database that is away keeps the attempt counted; nothing worse comes of that.
    with suppress(Exception):
        async with toolbox.database.transaction() as connection:
            await JobRepository(connection).put_back(job.id, attempt=job.attempts)


async def _fail(toolbox: Toolbox, job: Job, refusal: Refusal) -> None:
    async with toolbox.database.transaction() as connection:
        await JobRepository(connection).fail(
            job.id, _problem(refusal, job), attempt=job.attempts, now=toolbox.clock.now()
        )


def _told(fault: Exception, job: Job) -> Refusal:
    """The refusal that stands for a fault; what is our mistake goes to the log."""
    refusal = fault if isinstance(fault, Refusal) else refusal_for(fault)
    if refusal is None:
        log_fault(fault, trace_id=job.id.hex, expected=False)
    return refusal or Internal()


def _problem(refusal: Refusal, job: Job) -> dict[str, Any]:
    problem: dict[str, Any] = json.loads(to_json(problem_of(refusal, job.id.hex)))
    return problem
