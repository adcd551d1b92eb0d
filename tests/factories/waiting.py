"""Tests of who waits for whom."""

import asyncio

from regulars.kit.database import connect


async def until_somebody_waits(database_url: str) -> None:
    """Return when a connection to the database waits for a lock that another holds."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20), connect(database_url) as connection:
        await connection.execute("SET ROLE NONE")  # what others wait for is shown to the server's owner only
        while not (await connection.execute(waiting)).rowcount:  # noqa: ASYNC110 - the server tells nobody who waits
            await asyncio.sleep(0.01)
