"""Who gets a connection when there are too few: a queue that moves is waited in, one that stands still is not."""

import asyncio

import pytest

from regulars.kit import database as databases
from regulars.kit.database import Database, Overloaded


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits as long as this has not been refused in time."""
    monkeypatch.setattr(databases, "longest_wait_seconds", 60)


async def test_nobody_waits_for_connections_that_do_not_come_back(own_database_url: str) -> None:
    async with Database(own_database_url, size=2, stuck_seconds=0.05) as database, asyncio.timeout(10):
        async with database.transaction(), database.transaction():
            for _ in range(3):
                with pytest.raises(Overloaded) as refusal:
                    await database.transaction().__aenter__()
                assert refusal.value.retry_after == 1
        async with database.transaction() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


async def test_a_burst_is_served_however_long_its_queue_is(own_database_url: str) -> None:
    """The last waits for a second, twice as long as the pool may stand still."""
    async with Database(own_database_url, size=2, stuck_seconds=0.5) as database:

        async def work() -> None:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(0.05)")

        async with asyncio.timeout(30):
            await asyncio.gather(*(work() for _ in range(40)))


async def test_a_pool_that_still_grows_is_not_stuck(own_database_url: str) -> None:
    """Opening a connection may take longer than the pool may stand still."""
    database = Database(own_database_url, size=4, stuck_seconds=0.001)
    async with database, asyncio.timeout(30), database.transaction() as first, database.transaction() as second:
        assert first is not second


async def test_a_caller_who_is_cancelled_gives_the_connection_back(own_database_url: str) -> None:
    async with Database(own_database_url, size=1, stuck_seconds=0.05) as database:

        async def work() -> None:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(60)")

        for _ in range(3):
            working = asyncio.create_task(work())
            await asyncio.sleep(0.05)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
        async with database.transaction() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
