"""How a job ends, whatever happens to it and to those who work on it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg import OperationalError
from psycopg.errors import QueryCanceled

from regulars.jobs import runs
from regulars.jobs.runs import JobResult, JobRun, Work, in_one_transaction, most_begins
from regulars.jobs.tasks import runner_of
from regulars.jobs.worker import run_worker
from regulars.kit.bulk import BulkResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.errors import NotFound
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.queue import enqueue
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from tests.factories.accounts import make_user

nothing_done = BulkResult(requested=1, changed=0, unchanged=1, failed=0, items=[])
bring_forward = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE task_name = 'run_job' AND status = 'todo'"
age_heartbeats = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'"
running = "SELECT FROM jobs WHERE kind = 'score' AND state = 'running'"
age_jobs = "UPDATE jobs SET heard_at = now() - interval '61 seconds' WHERE kind = 'score'"

other_process = """
import asyncio, sys
from regulars.jobs.runs import JobResult, JobRun, in_one_transaction
from regulars.jobs.tasks import runner_of
from regulars.jobs.worker import run_worker
from regulars.kit.settings import Settings

@in_one_transaction
async def work(run, connection):
    await connection.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('done', now(), now())")
    await asyncio.Event().wait()

asyncio.run(run_worker(sys.argv[1], Settings(data_dir=sys.argv[2]), tasks=[runner_of({"score": work})]))
"""


@pytest.fixture
async def admin(own_database_url: str) -> AsyncIterator[Connection]:
    async with connect(own_database_url) as connection:
        yield connection


@pytest.fixture
def utc() -> Clock:
    return Settings(_env_file=None).clock


async def start(connection: Connection, clock: Clock, **more: Any) -> Job:
    async with connection.transaction():
        return await Jobs(connection, clock).start("score", by=more.pop("by", operator), **more)


@pytest.fixture
def work_off(own_database_url: str, tmp_path: Path) -> Callable[..., Any]:
    async def work_off(work: Work, **settings: Any) -> None:
        await run_worker(
            own_database_url,
            Settings(_env_file=None, data_dir=tmp_path, **settings),
            tasks=[runner_of({"score": work})],
            install_signal_handlers=False,
            until_empty=True,
        )

    return work_off


async def state_of(connection: Connection, clock: Clock, job: Job) -> Job:
    return await Jobs(connection, clock).get(job.id, by=operator)


async def result_of(connection: Connection, clock: Clock, job: Job) -> bytes:
    async with aclosing(Jobs(connection, clock).pieces(job.id)) as pieces:
        return b"".join([piece async for piece in pieces])


async def answer(run: JobRun) -> JobResult:
    return JobResult.of(nothing_done)


async def products(connection: Connection) -> list[str]:
    return [sku for (sku,) in await (await connection.execute("SELECT sku FROM products ORDER BY sku")).fetchall()]


async def add_product(run: JobRun, connection: Connection) -> JobResult:
    await connection.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('done', now(), now())")
    return JobResult.of(nothing_done)


async def test_the_result_is_what_the_operation_would_have_answered(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc)
    await work_off(answer)
    ended = await state_of(admin, utc, job)
    assert (ended.state, ended.progress, ended.attempts, ended.error) == ("succeeded", 100, 1, None)
    assert (ended.result_media_type, ended.result_name) == ("application/json", None)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert await result_of(admin, utc, job) == nothing_done.model_dump_json().encode()


async def test_work_gets_what_was_given_and_in_whose_name_it_is_done(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    user = await make_user(admin, utc, role="analyst")
    caller = Principal(user.id, "user", "analyst", frozenset())
    told: list[object] = []

    async def work(run: JobRun) -> JobResult:
        told.extend([await run.request(BulkResult), run.by.id, run.by.role, run.by.may("analytics:run")])
        told.append(run.job.arguments)
        return JobResult.of(nothing_done)

    await start(admin, utc, by=caller, given=nothing_done.model_dump_json().encode(), arguments={"source": "till"})
    await work_off(work)
    assert told == [nothing_done, user.id, "analyst", True, {"source": "till"}]
    pieces = await admin.execute("SELECT part FROM job_pieces JOIN jobs ON jobs.id = job_id WHERE kind = 'score'")
    assert await pieces.fetchall() == [("result",)]


async def test_nothing_is_done_for_who_may_not_sign_in_any_more(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    user = await make_user(admin, utc)
    job = await start(admin, utc, by=Principal(user.id, "user", "staff", frozenset()))
    await admin.execute("UPDATE users SET is_enabled = false")
    await work_off(in_one_transaction(add_product))
    assert (await state_of(admin, utc, job)).error["type"] == "/problems/session-revoked"  # type: ignore[index]
    assert await products(admin) == []


def failing_with(fault: BaseException) -> Work:
    @in_one_transaction
    async def work(run: JobRun, connection: Connection) -> JobResult:
        await add_product(run, connection)
        raise fault

    return work


@pytest.mark.parametrize(
    ("fault", "slug", "status"),
    [
        (NotFound(), "not-found", 404),
        (ValueError("john@example.com is bad"), "internal", 500),
        (QueryCanceled(), "timeout", 504),
    ],
    ids=["refusal", "mistake", "timeout"],
)
async def test_a_job_that_fails_says_why_and_nothing_of_what_it_met(
    fault: Exception, slug: str, status: int, admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc, given=b"body")
    await work_off(failing_with(fault))
    ended = await state_of(admin, utc, job)
    assert ended.state == "failed"
    assert ended.error is not None
    assert (ended.error["type"], ended.error["status"]) == (f"/problems/{slug}", status)
    assert ended.error["trace_id"] == job.id.hex
    assert "john" not in str(ended.error)
    assert await products(admin) == []
    pieces = await admin.execute("SELECT FROM job_pieces JOIN jobs ON jobs.id = job_id WHERE kind = 'score'")
    assert await pieces.fetchall() == []


async def test_after_a_fault_that_passes_it_is_done_later(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc)
    await work_off(failing_with(OperationalError("restarts")))
    waiting = await state_of(admin, utc, job)
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    await admin.execute(bring_forward)
    await work_off(in_one_transaction(add_product))
    assert (await state_of(admin, utc, job)).state == "succeeded"
    assert await products(admin) == ["done"]


async def test_a_result_that_is_too_large_takes_the_effect_with_it(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc)
    await work_off(in_one_transaction(add_product), job_result_max_bytes=10)
    assert (await state_of(admin, utc, job)).error["type"] == "/problems/result-too-large"  # type: ignore[index]
    assert await products(admin) == []


async def test_progress_is_told_while_it_runs(
    admin: Connection, utc: Clock, work_off: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "report_seconds", 0.01)
    job = await start(admin, utc)
    seen: list[int] = []

    async def work(run: JobRun) -> JobResult:
        for progress in (40, 30, 100):
            run.report(progress)
            async with asyncio.timeout(10):
                while (await state_of(admin, utc, job)).progress != run.progress:  # noqa: ASYNC110 - written beside
                    await asyncio.sleep(0.01)
            seen.append(run.progress)
        return JobResult.of(nothing_done)

    await work_off(work)
    assert seen == [40, 40, 99]  # never back, and done only when it is
    assert (await state_of(admin, utc, job)).progress == 100


async def doing(connection: Connection) -> None:
    async with asyncio.timeout(30):
        while not await (await connection.execute(running)).fetchall():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.05)


@contextmanager
def worker_process(url: str, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen([sys.executable, "-c", other_process, url, str(data_dir)], cwd=data_dir)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


async def look_after_stalled_jobs(connection: Connection) -> None:
    await connection.execute(age_heartbeats)
    async with connection.transaction():
        await enqueue(connection, "retry_stalled_jobs", timestamp=0)


async def test_a_job_survives_the_killing_of_its_worker_with_one_effect(
    own_database_url: str, admin: Connection, utc: Clock, work_off: Callable[..., Any], tmp_path: Path
) -> None:
    job = await start(admin, utc)
    for _ in range(2):
        with worker_process(own_database_url, tmp_path) as worker:
            await doing(admin)
            os.kill(worker.pid, signal.SIGKILL)
        assert (await state_of(admin, utc, job)).state == "running"
        await look_after_stalled_jobs(admin)
        await admin.execute(
            "UPDATE jobs SET state = 'queued' WHERE id = %s", [job.id]
        )  # so that the next beginning can be seen
    await work_off(in_one_transaction(add_product))
    await work_off(in_one_transaction(add_product))
    ended = await state_of(admin, utc, job)
    assert (ended.state, ended.attempts) == ("succeeded", 3)
    assert await products(admin) == ["done"]


async def test_a_job_that_kills_every_worker_ends_as_failed(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc)
    await admin.execute("UPDATE jobs SET attempts = %s WHERE id = %s", [most_begins, job.id])
    await work_off(in_one_transaction(add_product))
    assert (await state_of(admin, utc, job)).error["type"] == "/problems/internal"  # type: ignore[index]
    assert await products(admin) == []


async def test_a_run_that_was_taken_over_has_no_say(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    job = await start(admin, utc)

    @in_one_transaction
    async def work(run: JobRun, connection: Connection) -> JobResult:
        await admin.execute(
            "UPDATE jobs SET attempts = attempts + 1 WHERE id = %s", [run.job.id]
        )  # as another worker's beginning does
        return await add_product(run, connection)

    await work_off(work)
    assert (await state_of(admin, utc, job)).state == "running"
    assert await products(admin) == []


async def test_a_job_that_nothing_will_run_ends_as_failed(
    admin: Connection, utc: Clock, work_off: Callable[..., Any]
) -> None:
    waiting, forsaken = await start(admin, utc), await start(admin, utc)
    await admin.execute(
        "UPDATE procrastinate_jobs SET status = 'failed' WHERE args ->> 'job_id' = %s", [str(forsaken.id)]
    )
    await admin.execute("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
    await look_after_stalled_jobs(admin)
    await work_off(answer)
    assert (await state_of(admin, utc, forsaken)).state == "queued"  # a worker may be about to tell
    await admin.execute(age_jobs)
    await look_after_stalled_jobs(admin)
    await work_off(answer)
    assert (await state_of(admin, utc, forsaken)).state == "failed"
    assert (await state_of(admin, utc, waiting)).state == "queued"


async def test_a_job_that_ended_is_not_run_again(admin: Connection, utc: Clock, work_off: Callable[..., Any]) -> None:
    job = await start(admin, utc)
    await work_off(answer)
    async with admin.transaction():
        await enqueue(admin, "run_job", job_id=str(job.id))
    await work_off(in_one_transaction(add_product))
    assert (await state_of(admin, utc, job)).attempts == 1
    assert await products(admin) == []
