"""Jobs that callers follow: work that is promised with 202, done by a worker, and asked for later.

    job = await Jobs(connection, clock).start("export_customers", by=caller, given=filters.model_dump_json().encode())

starts one in the caller's transaction: job and cause commit together. The worker finds the work under the kind's name
in `regulars.jobs.kinds`; what a new kind needs is told there. Doors and flows start jobs and read them; only the worker
moves them on (`regulars.jobs.runs`).
"""

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Final
from uuid import UUID, uuid4

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import Conflict, Gone, NotFound
from regulars.kit.models_jobs import Job, State
from regulars.kit.queue import enqueue
from regulars.kit.repository_jobs import JobRepository
from regulars.kit.security import Principal

result_life: Final = timedelta(hours=24)
kept_for: Final = timedelta(days=7)
"""How long a finished job is told of; its result is gone before."""

sees_all: Final = "audit:read"
"""Who may read what others did may also follow their jobs."""

look_again_seconds: Final = 2


class JobNotFinished(Conflict):
    """The job has not ended; ask again."""


class ResultGone(Gone):
    """The result is kept no longer."""


class Jobs:
    """Jobs in one transaction, as those see them who start them and wait for them."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._jobs = JobRepository(connection)

    async def start(  # noqa: PLR0913 - each says one thing of the job, by name
        self,
        kind: str,
        *,
        by: Principal,
        arguments: Mapping[str, str] | None = None,
        given: bytes | IO[bytes] | None = None,
        same_as: str | None = None,
        customer_id: UUID | None = None,
        is_fetched_once: bool = False,
        is_queued: bool = True,
        serial_for: str | None = None,
    ) -> Job:
        """Start a job when the transaction commits, or answer the one that does the same and has not ended.

        Args:
            kind: Name of the work, as `regulars.jobs.kinds` has it.
            by: Who asks, and in whose name the work is done, with the rights that this caller has by then.
            arguments: Ids and words of ours, for the work. Never what a person said of themselves: rows of jobs stay.
            given: Everything else that the work needs, such as the body of the request; deleted when the job ends.
            same_as: Jobs with one text do the same for everybody: while one has not ended, no second is started.
            customer_id: The person it is about, whose erasure takes input and result with it.
            is_fetched_once: Whether the result is gone once it was read.
            is_queued: Whether a worker shall do it; False for a program that does it itself, and at once.
            serial_for: Jobs of one kind for the same object run one after the other, those for different objects side
                by side. By default the object is the person that the job is about, else the whole shop.
        """
        job_id, now = uuid4(), self._clock.now()
        job = await self._jobs.add(
            Job(
                id=job_id,
                kind=kind,
                creator_kind=by.kind,
                creator_id=by.id,
                customer_id=customer_id,
                arguments=dict(arguments or {}),
                is_fetched_once=is_fetched_once,
                created_at=now,
            ),
            same_as=same_as,
        )
        if job.id == job_id:
            file = io.BytesIO(given) if isinstance(given, bytes) else given
            if file is not None:
                await self._jobs.write_pieces(job_id, "input", file)
            if is_queued:
                lock = f"job:{kind}:{serial_for or customer_id or 'shop'}"
                await enqueue(self._connection, "run_job", one_at_a_time=lock, job_id=str(job_id))
        return job

    async def find_unfinished(self, same_as: str, *, by: Principal) -> Job | None:
        """The job that does the same and has not ended; the caller may follow it from now on."""
        return await self._jobs.join_unfinished(same_as, by.id)

    async def get(self, job_id: UUID, *, by: Principal) -> Job:
        """A job that the caller started, or asked for too; all of them for those who may see what others do.

        Raises:
            NotFound: there is no such job for this caller.
        """
        job = await self._jobs.get(job_id)
        if job is None or not (by.may(sees_all) or by.id in {job.creator_id, *job.also_asked_by}):
            raise NotFound
        return job

    async def find_latest(
        self, kind: str, arguments: Mapping[str, str] | None = None, *, state: State | None = None
    ) -> Job | None:
        """The newest job of a kind and state with these arguments among others, whoever asked for it."""
        return await self._jobs.find_latest(kind, arguments or {}, state)

    async def read(self, job: Job) -> bytes:
        """A short result in one piece; empty when it is gone."""
        return b"".join([piece async for piece in self.pieces(job.id)])

    async def open_result(self, job_id: UUID, *, by: Principal) -> Job:
        """A job that has ended, whose result may be read now; one that is fetched once is taken by this call.

        The result of a job that failed is its `error`.

        Raises:
            NotFound: there is no such job for this caller.
            JobNotFinished: the job has not ended.
            ResultGone: the result is a day old, was fetched already, or was about somebody who was erased.
        """
        job, now = await self.get(job_id, by=by), self._clock.now()
        if job.finished_at is None:
            raise JobNotFinished(retry_after=look_again_seconds)
        if job.state == "failed":
            return job
        if not job.has_result(now) or (job.is_fetched_once and not await self._jobs.take(job_id, now=now)):
            raise ResultGone
        return job

    def pieces(self, job_id: UUID) -> AsyncIterator[bytes]:
        """The result of a job, piece by piece."""
        return self._jobs.read_pieces(job_id, "result")

    async def forget_customer(self, customer_id: UUID) -> None:
        """Delete inputs and results about a person, and results about many in which the person may stand."""
        await self._jobs.forget_customer(customer_id, now=self._clock.now())


@dataclass(frozen=True)
class Backlog:
    """How the queue of jobs stands.

    Attributes:
        queued: Jobs that wait.
        running: Jobs at work.
        failed: Jobs that failed and are told of still.
        oldest_seconds: For how long the oldest unfinished one has been there; 0 without any.
    """

    queued: int
    running: int
    failed: int
    oldest_seconds: float


async def backlog(connection: Connection, *, now: datetime) -> Backlog:
    """How many jobs wait, run and failed, and how old the oldest is that has not ended."""
    counts: Mapping[str, Any] = await JobRepository(connection).count()
    oldest = counts["oldest"]
    return Backlog(
        counts["queued"], counts["running"], counts["failed"], (now - oldest).total_seconds() if oldest else 0.0
    )
