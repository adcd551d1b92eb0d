"""Work that may take long: done at once with the result, or as a job that the caller follows.

    @router.post("/analytics/clv/calculate", operation_id="calculate_clv", response_model=CLVAnalysisResponse, ...)
    async def calculate_clv(request: CLVCalculationRequest, clv: CLVDep, caller: MayRun, long_work: LongWorkDep) -> ...:
        async def work() -> Answer:
            return Answer(await clv.calculate_clv(request, by=caller), status=200)

        rows = clv.rows_of(request.customer_ids)
        return (await long_work.run("calculate_clv", request, work, rows=rows, is_shared=True)).response()

`Prefer: respond-async`, or more rows than the setting `sync_max_customers`, makes it a job of the kind that is named,
which `regulars.jobs.kinds` must know. Under an Idempotency-Key the whole call goes into `once.run`.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import BaseModel, Field

from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer
from regulars.api.routing import api_prefix
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, allow_long_work
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.schemas import Id, Instant, Problem, ResponseSchema
from regulars.kit.security import Principal

Rows = int | Callable[[int], Awaitable[int]]
"""How many rows the work is about, or what counts them up to a bound."""

_preference = re.compile(r"\s*respond-async\s*(?:;.*)?", re.IGNORECASE)


class JobResponse(ResponseSchema):
    """Background work: how far it is, and where its result will be."""

    id: Id
    kind: str = Field(description="The operation that was asked for.", examples=["calculate_rfm_scores"])
    state: Literal["queued", "running", "succeeded", "failed"]
    progress: int = Field(ge=0, le=100, description="Starts again from 0 when another worker takes over.")
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    error: Problem | None = Field(description="Why it failed: what the operation would have answered.")
    result_url: str | None = Field(description="Where the result is, once the job succeeded; null when it is gone.")

    @classmethod
    def of(cls, job: Job, clock: Clock) -> "JobResponse":
        """The job as its caller sees it."""
        error = Problem.model_validate(job.error) if job.error else None
        result_url = f"{job_path(job.id)}/result" if job.has_result(clock.now()) else None
        return cls.model_validate({**vars(job), "error": error, "result_url": result_url})


def job_path(job_id: UUID) -> str:
    """Where a job is followed."""
    return f"{api_prefix}/jobs/{job_id}"


@dataclass(frozen=True)
class LongWork:
    """Decides between an answer and a job."""

    connection: Connection
    clock: Clock
    caller: Principal
    is_preferred: bool
    most_rows: int

    async def run(
        self,
        kind: str,
        request: BaseModel,
        work: Callable[[], Awaitable[Answer]],
        *,
        rows: Rows,
        is_shared: bool = False,
        only_reads: bool = False,
    ) -> Answer:
        """The answer of the work, done now, or what `promise()` answers."""
        promised = await self.promise(kind, request, rows=rows, is_shared=is_shared, only_reads=only_reads)
        return await work() if promised is None else promised

    async def promise(
        self, kind: str, request: BaseModel, *, rows: Rows, is_shared: bool = False, only_reads: bool = False
    ) -> Answer | None:
        """202 with a job that does it; None if it is to be done now, with the time that the statements of a worker get.

        Args:
            kind: Of the job.
            request: The body; the job gets it.
            rows: How many it is about.
            is_shared: Whether the result is the same for all who may ask: then nobody starts what is under way already.
            only_reads: Whether jobs of several callers may run side by side; those of one caller take turns, and the
                same again is the job that is under way.
        """
        jobs = Jobs(self.connection, self.clock)
        same_as = _same_as(kind, request, self.caller) if is_shared else None
        job = await jobs.find_unfinished(same_as, by=self.caller) if same_as else None
        if job is None and await self._is_job(rows):
            given = request.model_dump_json(exclude_unset=True).encode()
            serial_for = str(self.caller.id) if only_reads else None
            if only_reads and same_as is None:
                same_as = f"{_same_as(kind, request, self.caller)}:{self.caller.id}"
            job = await jobs.start(kind, by=self.caller, given=given, same_as=same_as, serial_for=serial_for)
        if job is not None:
            return accepted(job, self.clock)
        await allow_long_work(self.connection)
        return None

    async def _is_job(self, rows: Rows) -> bool:
        """Whether the caller asked for a job, or it is about too many rows for a request."""
        if self.is_preferred:
            return True
        return (rows if isinstance(rows, int) else await rows(self.most_rows + 1)) > self.most_rows


def accepted(job: Job, clock: Clock) -> Answer:
    """202 with a job, whether it was asked for or not."""
    headers = {"Location": job_path(job.id), "Preference-Applied": "respond-async"}
    return Answer(JobResponse.of(job, clock), status=202, headers=headers, concerns=job.customer_id)


async def prefers_job(
    request: Request,
    prefer: Annotated[  # noqa: ARG001 - declared for the documentation; it may come more than once
        str | None, Header(description="`respond-async` makes it a job: 202, and the result at its `result_url`.")
    ] = None,
) -> bool:
    """Whether the caller wants to be answered before the work is done (RFC 7240)."""
    wishes = ",".join(request.headers.getlist("prefer")).split(",")
    return any(_preference.fullmatch(wish) for wish in wishes)


PrefersJobDep = Annotated[bool, Depends(prefers_job)]


async def long_work(
    request: Request, connection: TransactionDep, clock: ClockDep, settings: SettingsDep, is_preferred: PrefersJobDep
) -> LongWork:
    """What decides for this request."""
    return LongWork(connection, clock, request.state.principal, is_preferred, settings.sync_max_customers)


LongWorkDep = Annotated[LongWork, Depends(long_work)]


def _same_as(kind: str, request: BaseModel, caller: Principal) -> str:
    """What equal calculations have in common. Who sees names gets an answer that others must not get."""
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    return f"{kind}:{'clear' if caller.sees_identifiers() else 'masked'}:{digest}"
