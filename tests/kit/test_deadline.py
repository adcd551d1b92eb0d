"""Work over its time is undone; work that is committed is never called late."""

import asyncio

import pytest

from regulars.kit.database import Connection, Database, connect
from regulars.kit.deadline import Timeout, deadline
from tests.conftest import as_owner

add_product = "INSERT INTO products (sku, created_at, updated_at) VALUES ('a', now(), now())"


async def products(url: str) -> int:
    async with connect(url) as connection:
        [(count,)] = await (await connection.execute("SELECT count(*) FROM products")).fetchall()
        return int(count)


async def test_late_work_is_rolled_back_and_its_connection_is_good(own_database_url: str) -> None:
    async with Database(own_database_url, size=1) as database:

        async def late(connection: Connection) -> None:
            await connection.execute(add_product)
            await connection.execute("SELECT pg_sleep(60)")

        with pytest.raises(Timeout):
            async with deadline(0.05), database.transaction() as connection:
                await late(connection)
        async with database.transaction() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert await products(own_database_url) == 0


async def test_what_has_begun_to_commit_is_waited_for(own_database_url: str) -> None:
    async with Database(own_database_url, size=1) as database:
        async with database.transaction() as connection, as_owner(connection):
            # Every commit of this database takes longer than the deadline.
            await connection.execute("""
                CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$
            """)
            await connection.execute(
                "CREATE CONSTRAINT TRIGGER doze AFTER INSERT ON products DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION doze()"
            )
        async with deadline(0.1), database.transaction() as connection:
            await connection.execute(add_product)
    assert await products(own_database_url) == 1


async def test_after_a_commit_nothing_is_late(own_database_url: str) -> None:
    async with Database(own_database_url, size=1) as database, deadline(0.05):
        async with database.transaction() as connection:
            await connection.execute(add_product)
        await asyncio.sleep(0.1)
    assert await products(own_database_url) == 1


async def test_work_that_swallows_its_cancellation_is_not_committed(own_database_url: str) -> None:
    async with Database(own_database_url, size=1) as database:

        async def stubborn(connection: Connection) -> None:
            await connection.execute(add_product)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return

        with pytest.raises(Timeout):
            async with deadline(0.05), database.transaction() as connection:
                await stubborn(connection)
    assert await products(own_database_url) == 0


async def test_another_time_limit_is_not_ours() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(60), asyncio.timeout(0):
            await asyncio.sleep(60)


async def test_without_a_limit_nothing_is_late() -> None:
    async with deadline(None):
        await asyncio.sleep(0)
