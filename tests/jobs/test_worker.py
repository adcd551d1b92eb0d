import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg import OperationalError

from regulars.jobs.tasks import Task
from regulars.jobs.toolbox import Toolbox
from regulars.jobs.worker import run_worker
from regulars.kit.database import Connection, DatabaseUnavailable, connect
from regulars.kit.messages import FinalDeliveryError, PassingDeliveryError, TextMessage
from regulars.kit.queue import enqueue
from regulars.kit.settings import Settings

state = "SELECT status::text, attempts FROM procrastinate_jobs WHERE task_name = 'deliver'"
bring_forward = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE task_name = 'deliver'"
age_heartbeats = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'"

other_process = """
import asyncio, sys
from regulars.jobs.toolbox import Toolbox
from regulars.jobs.worker import run_worker
from regulars.kit.settings import Settings

async def deliver(toolbox: Toolbox, number: str) -> None:
    await asyncio.Event().wait()

asyncio.run(run_worker(sys.argv[1], Settings(data_dir=sys.argv[2]), tasks=[deliver]))
"""


@pytest.fixture
async def admin(own_database_url: str) -> AsyncIterator[Connection]:
    async with connect(own_database_url) as connection:
        yield connection


async def queue_delivery(connection: Connection) -> None:
    async with connection.transaction():
        await enqueue(connection, "deliver", number="+4930123456")


async def work(url: str, data_dir: Path, task: Task) -> None:
    await run_worker(url, Settings(data_dir=data_dir), tasks=[task], install_signal_handlers=False, until_empty=True)


async def fetch(connection: Connection, query: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query)).fetchall()


async def until(connection: Connection, expected: tuple[str, int]) -> None:
    async with asyncio.timeout(30):
        while await fetch(connection, state) != [expected]:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.05)


async def deliver(toolbox: Toolbox, number: str) -> None:
    await toolbox.messenger.send_text(TextMessage(number, "Hello"))


async def test_a_task_is_given_its_tools(own_database_url: str, admin: Connection, tmp_path: Path) -> None:
    await queue_delivery(admin)
    await work(own_database_url, tmp_path, deliver)
    assert await fetch(admin, state) == [("succeeded", 1)]
    assert len(list((tmp_path / "outbox").glob("*.json"))) == 1


def failing_with(fault: BaseException) -> Task:
    async def deliver(toolbox: Toolbox, number: str) -> None:
        raise fault

    return deliver


@pytest.mark.parametrize(
    "fault", [PassingDeliveryError("busy"), DatabaseUnavailable(), OperationalError("restarts")], ids=repr
)
async def test_after_a_fault_that_passes_a_job_is_done_later(
    fault: Exception, own_database_url: str, admin: Connection, tmp_path: Path
) -> None:
    await queue_delivery(admin)
    await work(own_database_url, tmp_path, failing_with(fault))
    assert await fetch(admin, state) == [("todo", 1)]
    await work(own_database_url, tmp_path, deliver)
    assert await fetch(admin, state) == [("todo", 1)]  # its time has not come
    await admin.execute(bring_forward)
    await work(own_database_url, tmp_path, deliver)
    assert await fetch(admin, state) == [("succeeded", 2)]


@pytest.mark.parametrize("fault", [FinalDeliveryError("refused"), ValueError("a mistake of ours")], ids=repr)
async def test_a_fault_that_stays_is_not_tried_again(
    fault: Exception, own_database_url: str, admin: Connection, tmp_path: Path
) -> None:
    await queue_delivery(admin)
    await work(own_database_url, tmp_path, failing_with(fault))
    assert await fetch(admin, state) == [("failed", 1)]


async def test_patience_ends(own_database_url: str, admin: Connection, tmp_path: Path) -> None:
    await queue_delivery(admin)
    await admin.execute("UPDATE procrastinate_jobs SET attempts = 8")
    await work(own_database_url, tmp_path, failing_with(PassingDeliveryError("busy")))
    assert await fetch(admin, state) == [("failed", 9)]


async def test_a_worker_that_has_to_stop_leaves_its_job_to_the_next(
    own_database_url: str, admin: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deliver(toolbox: Toolbox, number: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("regulars.jobs.worker.shutdown_seconds", 0.05)
    await queue_delivery(admin)
    worker = asyncio.create_task(
        run_worker(own_database_url, Settings(data_dir=tmp_path), tasks=[deliver], install_signal_handlers=False)
    )
    await until(admin, ("doing", 0))
    worker.cancel()
    await asyncio.wait([worker])
    assert await fetch(admin, state) == [("todo", 1)]


@contextmanager
def worker_process(url: str, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen([sys.executable, "-c", other_process, url, str(data_dir)], cwd=data_dir)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


async def test_the_job_of_a_killed_worker_goes_to_the_next(
    own_database_url: str, admin: Connection, tmp_path: Path
) -> None:
    await queue_delivery(admin)
    with worker_process(own_database_url, tmp_path) as worker:
        await until(admin, ("doing", 0))
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()

    async def look_after_stalled_jobs() -> None:
        async with admin.transaction():
            await enqueue(admin, "retry_stalled_jobs", timestamp=0)
        await work(own_database_url, tmp_path, deliver)

    await look_after_stalled_jobs()
    assert await fetch(admin, state) == [("doing", 0)]  # it may still be alive
    await admin.execute(age_heartbeats)
    await look_after_stalled_jobs()
    await work(own_database_url, tmp_path, deliver)
    assert await fetch(admin, state) == [("succeeded", 2)]


async def test_a_job_that_kills_its_worker_each_time_is_given_up(
    own_database_url: str, admin: Connection, tmp_path: Path
) -> None:
    await queue_delivery(admin)
    with worker_process(own_database_url, tmp_path) as worker:
        await until(admin, ("doing", 0))
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    await admin.execute("UPDATE procrastinate_jobs SET attempts = 8 WHERE task_name = 'deliver'")
    await admin.execute(age_heartbeats)
    async with admin.transaction():
        await enqueue(admin, "retry_stalled_jobs", timestamp=0)
    await work(own_database_url, tmp_path, deliver)
    assert await fetch(admin, state) == [("failed", 9)]
