"""The nightly erasure, by the worker."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.queue import enqueue
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer, set_columns


async def test_every_night_those_are_erased_whose_deletion_cannot_be_undone(
    own_database_url: str, clock: Clock, tmp_path: Path
) -> None:
    running = replace(clock, stopped_at=None)
    settings = Settings(_env_file=None, data_dir=tmp_path, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")
    async with connect(own_database_url) as connection:
        customer = await make_customer(connection, running)
        await set_columns(connection, customer, deleted_at=running.now() - timedelta(days=31))
        async with connection.transaction():
            await enqueue(connection, "erase_who_is_due", timestamp=0)
        await run_worker(own_database_url, settings, install_signal_handlers=False, until_empty=True)
        cursor = await connection.execute("SELECT first_name, erased_at IS NOT NULL FROM customers")
        assert await cursor.fetchall() == [(None, True)]
        reason = await (await connection.execute("SELECT reason FROM erasure_log")).fetchall()
        assert reason == [("deletion",)]
