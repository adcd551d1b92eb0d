"""Jobs that have nothing to do with each other do not wait for each other, and dead connections cost them nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from regulars.jobs.kinds import kinds
from regulars.jobs.runs import JobResult, JobRun, Work
from regulars.jobs.tasks import runner_of
from regulars.jobs.worker import run_worker
from regulars.kit.bulk import BulkResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, DatabaseUnavailable, connect
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer

done = BulkResult(requested=1, changed=0, unchanged=1, failed=0, items=[])


@pytest.fixture
async def admin(own_database_url: str) -> AsyncIterator[Connection]:
    async with connect(own_database_url) as connection:
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")


@pytest.fixture
def utc(settings: Settings) -> Clock:
    return settings.clock


@asynccontextmanager
async def working(url: str, settings: Settings, works: dict[str, Work]) -> AsyncIterator[None]:
    """A worker beside the block."""
    worker = asyncio.create_task(run_worker(url, settings, tasks=[runner_of(works)], install_signal_handlers=False))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.wait([worker])


async def start(connection: Connection, clock: Clock, kind: str, **more: Any) -> Job:
    async with connection.transaction():
        return await Jobs(connection, clock).start(kind, by=operator, **more)


async def ended(connection: Connection, clock: Clock, job: Job) -> Job:
    async with asyncio.timeout(30):
        while (found := await Jobs(connection, clock).get(job.id, by=operator)).finished_at is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # the worker changes it
    return found


async def test_an_erasure_that_waits_for_a_locked_row_does_not_delay_the_next_persons(
    own_database_url: str, admin: Connection, utc: Clock, settings: Settings
) -> None:
    first, second = [await make_customer(admin, utc) for _ in range(2)]
    async with connect(own_database_url) as till, till.transaction():
        await till.execute("SELECT FROM customers WHERE id = %s FOR UPDATE", [first.id])
        jobs = [
            await start(admin, utc, "erase_customer", arguments={"reason": "request"}, customer_id=person.id)
            for person in (first, second)
        ]
        async with working(own_database_url, settings, dict(kinds)):
            assert (await ended(admin, utc, jobs[1])).state == "succeeded"
            assert (await Jobs(admin, utc).get(jobs[0].id, by=operator)).finished_at is None


@pytest.mark.parametrize("serial_for", [None, "webshop"])
async def test_a_job_that_waits_to_be_tried_again_lets_the_next_pass(
    own_database_url: str, admin: Connection, utc: Clock, settings: Settings, serial_for: str | None
) -> None:
    begun: list[UUID] = []

    async def work(run: JobRun) -> JobResult:
        begun.append(run.job.id)
        if run.job.id == first.id:
            raise DatabaseUnavailable
        return JobResult.of(done)

    first, second = [await start(admin, utc, "score", serial_for=serial_for) for _ in range(2)]
    async with working(own_database_url, settings, {"score": work}):
        assert (await ended(admin, utc, second)).state == "succeeded"
    assert begun == [first.id, second.id]
    waits = "SELECT status::text, scheduled_at > now() FROM procrastinate_jobs WHERE args ->> 'job_id' = %s"
    assert await (await admin.execute(waits, [str(first.id)])).fetchall() == [("todo", True)]


def overlapping(most: list[int], *, together: int = 1) -> Callable[[JobRun], Any]:
    """Work that notes how many are at it, and ends when so many have begun."""
    at_work, begun = 0, asyncio.Barrier(together)

    async def work(run: JobRun) -> JobResult:
        nonlocal at_work
        at_work += 1
        most.append(at_work)
        async with run.toolbox.database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(0.05)")
        async with asyncio.timeout(20):
            await begun.wait()
        at_work -= 1
        return JobResult.of(done)

    return work


@pytest.mark.parametrize(
    ("objects", "expected"),
    [([None] * 3, 1), (["web"] * 3, 1), (["web", "till", "phone"], 3)],
    ids=["of the whole shop", "of one object", "of different objects"],
)
async def test_jobs_are_serial_for_one_object_only(
    own_database_url: str,
    admin: Connection,
    utc: Clock,
    settings: Settings,
    objects: list[str | None],
    expected: int,
) -> None:
    most: list[int] = []
    jobs = [await start(admin, utc, "score", serial_for=serial_for) for serial_for in objects]
    async with working(own_database_url, settings, {"score": overlapping(most, together=expected)}):
        for job in jobs:
            assert (await ended(admin, utc, job)).state == "succeeded"
    assert max(most) == expected


async def test_twelve_exports_of_one_customer_each_do_not_wait_for_each_other(
    own_database_url: str, admin: Connection, utc: Clock, settings: Settings
) -> None:
    people = [await make_customer(admin, utc) for _ in range(12)]
    jobs = [
        await start(admin, utc, "export_customer_data", arguments={"sections": "customers"}, customer_id=person.id)
        for person in people
    ]
    locks = await (await admin.execute("SELECT count(DISTINCT lock) FROM procrastinate_jobs")).fetchone()
    assert locks == (12,)
    async with working(own_database_url, settings, dict(kinds)):
        exports = [await ended(admin, utc, job) for job in jobs]
    starts = sorted(job.started_at for job in exports if job.started_at)
    assert [job.state for job in exports] == ["succeeded"] * 12
    assert max((after - before).total_seconds() for before, after in pairwise(starts)) < 4


async def test_a_job_after_the_server_ended_what_lay_idle_costs_no_try(
    own_database_url: str, admin: Connection, utc: Clock, settings: Settings
) -> None:
    most: list[int] = []
    async with working(own_database_url, settings, {"score": overlapping(most)}):
        for job in [await start(admin, utc, "score", serial_for=str(number)) for number in range(4)]:
            await ended(admin, utc, job)
        assert await end_idle(admin) > 1
        job = await ended(admin, utc, await start(admin, utc, "score"))
    assert (job.state, job.attempts) == ("succeeded", 1)
    tries = "SELECT attempts FROM procrastinate_jobs WHERE args ->> 'job_id' = %s"
    assert await (await admin.execute(tries, [str(job.id)])).fetchall() == [(1,)]


async def end_idle(connection: Connection) -> int:
    """End the program's idle connections, as a server or a firewall does; how many."""
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")
        cursor = await connection.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle' AND application_name = 'regulars'"
            " AND pid <> pg_backend_pid()"
        )
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
