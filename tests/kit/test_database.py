"""Who gets a connection when there are too few: a queue that moves is waited in, one that stands still is not."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from psycopg import AsyncConnection

from regulars.app import create_app
from regulars.kit import database as databases
from regulars.kit.database import Database, DatabaseUnavailable, Overloaded
from regulars.kit.settings import Settings


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


async def test_connections_that_the_server_ended_meanwhile_are_not_the_works_fault(own_database_url: str) -> None:
    """A transaction begun on a dead connection goes on with another one; all of the pool may be dead."""
    async with Database(own_database_url, size=3) as database, asyncio.timeout(30):
        for _ in range(3):
            async with database.transaction() as first, database.transaction() as second, database.transaction():
                ended = [connection.info.backend_pid for connection in (first, second)]
            await end(own_database_url, ended)
            values = []
            for _ in range(3):
                async with database.transaction() as connection:
                    values.append(await (await connection.execute("SELECT 1")).fetchone())
            assert values == [(1,)] * 3
        async with database.transaction(), database.transaction(), database.transaction():
            pass


async def test_a_connection_that_is_lost_after_the_first_statement_is_a_refusal(own_database_url: str) -> None:
    """What was begun cannot be known to be undone by us alone: it is for the caller to send again."""
    async with Database(own_database_url, size=2) as database, asyncio.timeout(30):
        with pytest.raises(DatabaseUnavailable):
            await lose(database, own_database_url)
        async with database.transaction() as connection:
            await connection.execute("SELECT 1")


async def lose(database: Database, url: str) -> None:
    async with database.transaction() as connection:
        await connection.execute("SELECT 1")
        await end(url, [connection.info.backend_pid])
        await connection.execute("SELECT 1")


async def test_a_request_after_the_server_ended_what_lay_idle_is_answered(own_database_url: str) -> None:
    settings = Settings(_env_file=None, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")
    async with Database(own_database_url, size=4, stuck_seconds=0.075) as database, asyncio.timeout(30):
        async with AsyncExitStack() as open_at_once:
            connections = [await open_at_once.enter_async_context(database.transaction()) for _ in range(4)]
            pids = [connection.info.backend_pid for connection in connections]
        await end(own_database_url, pids)
        transport = httpx.ASGITransport(create_app(settings, database=database))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            form = {"grant_type": "password", "username": "nobody@example.com", "password": "a wrong password"}
            answers = [await client.post("/api/v1/auth/token", data=form) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401] * 4


async def end(url: str, pids: list[int]) -> None:
    async with await AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", [pids])
