"""Jobs that callers follow."""

import io
from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound, Refusal, problem_of
from regulars.kit.jobs import Jobs, result_life
from regulars.kit.models_jobs import Job
from regulars.kit.repository_jobs import JobRepository
from regulars.kit.security import Principal, operator


async def finished_job(
    connection: Connection,
    clock: Clock,
    *,
    by: Principal = operator,
    content: bytes = b"{}",
    media_type: str = "application/json",
    name: str | None = None,
    same_as: str | None = None,
    customer_id: UUID | None = None,
    names_people: bool = False,
    is_fetched_once: bool = False,
) -> Job:
    """A job that has just succeeded, with its result."""
    jobs, rows = Jobs(connection, clock), JobRepository(connection)
    job = await jobs.start("score", by=by, same_as=same_as, customer_id=customer_id, is_fetched_once=is_fetched_once)
    await rows.begin(job.id, now=clock.now())
    await rows.succeed(
        job.id, attempt=1, media_type=media_type, name=name, names_people=names_people, now=clock.now(),
        until=clock.now() + result_life,
    )  # fmt: skip
    await rows.write_pieces(job.id, "result", io.BytesIO(content))
    return await jobs.get(job.id, by=operator)


async def failed_job(connection: Connection, clock: Clock, *, by: Principal, refusal: Refusal | None = None) -> Job:
    """A job that has just failed."""
    jobs, rows = Jobs(connection, clock), JobRepository(connection)
    job = await jobs.start("score", by=by)
    await rows.begin(job.id, now=clock.now())
    await rows.fail(job.id, problem_of(refusal or NotFound(), job.id.hex), attempt=1, now=clock.now())
    return await jobs.get(job.id, by=operator)
