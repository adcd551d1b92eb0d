"""The worker as `regulars serve` and `regulars worker` keep it at work."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from regulars.cli.worker import background_worker
from regulars.kit.database import connect
from regulars.kit.queue import enqueue
from regulars.kit.settings import Settings

Owner = psycopg.Connection[tuple[object, ...]]


def until_a_worker_after(owner: Owner, last: int) -> int:
    """The number of the next worker that signs in."""
    for _ in range(2400):
        row = owner.execute("SELECT max(id) FROM procrastinate_workers WHERE id > %s", [last]).fetchone()
        if row and isinstance(row[0], int):
            return row[0]
        time.sleep(0.05)
    pytest.fail("no worker signed in within two minutes")


def until_it_works_again(url: str, owner: Owner) -> None:
    """Until a task is done that was queued only now: by this worker, which found its way back, or by the next."""

    async def queue() -> None:
        async with connect(url) as connection, connection.transaction():
            await enqueue(connection, "forget_finished_jobs", timestamp=0)

    asyncio.run(queue())
    done = "SELECT FROM procrastinate_jobs WHERE task_name = 'forget_finished_jobs' AND status = 'succeeded'"
    for _ in range(2400):
        if owner.execute(done).fetchone() is not None:
            return
        time.sleep(0.05)
    pytest.fail("nothing was done within two minutes")


def cut_connections(owner: Owner) -> None:
    owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'regulars%'"
    )


def test_a_worker_whose_connections_are_cut_goes_on_or_is_followed_by_another(
    own_database_url: str, tmp_path: Path
) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with (
        psycopg.connect(own_database_url, autocommit=True) as owner,
        background_worker(own_database_url, settings),
    ):
        until_a_worker_after(owner, 0)
        cut_connections(owner)
        until_it_works_again(own_database_url, owner)


def test_the_program_of_its_own_does_so_too_and_ends_when_told(own_database_url: str, tmp_path: Path) -> None:
    settings = {
        "REGULARS_DATABASE_URL": own_database_url,
        "REGULARS_DATA_DIR": str(tmp_path),
        "REGULARS_JWT_SECRET": "f3c1a0d2b4e6978812345678901234567890abcd",
    }
    command = [sys.executable, "-m", "regulars", "worker"]
    with (
        psycopg.connect(own_database_url, autocommit=True) as owner,
        subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **settings}, stderr=subprocess.DEVNULL) as worker,
    ):
        try:
            until_a_worker_after(owner, 0)
            cut_connections(owner)
            until_it_works_again(own_database_url, owner)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
