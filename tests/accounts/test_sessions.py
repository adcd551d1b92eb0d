"""A session that opens while the account changes."""

import asyncio
from datetime import timedelta

from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from tests.factories.accounts import make_client, make_user, password_hash
from tests.factories.waiting import until_somebody_waits


async def open_sessions(connection: Connection) -> int:
    [(count,)] = await (await connection.execute("SELECT count(*) FROM sessions WHERE closed_at IS NULL")).fetchall()
    return int(count)


async def test_a_session_that_is_being_opened_is_closed_by_a_change_at_the_same_time(
    own_database_url: str, clock: Clock
) -> None:
    """Otherwise who knows the old password would keep a session that nobody can see yet."""
    now, expires_at = clock.now(), clock.now() + timedelta(days=1)
    async with Database(own_database_url, size=3) as database:
        async with database.transaction() as connection:
            user = await make_user(connection, clock)

        async def change() -> None:
            async with database.transaction() as connection:
                await UserRepository(connection).set_password(user.id, "new", instead_of=password_hash, now=now)
                await SessionRepository(connection).close_all_of(user.id, now=now)

        async with database.transaction() as connection:
            sessions = SessionRepository(connection)
            assert await sessions.open_for_user(user.id, auth_epoch=1, now=now, expires_at=expires_at)
            changing = asyncio.create_task(change())
            await until_somebody_waits(own_database_url)
        await changing
        async with database.transaction() as connection:
            assert await open_sessions(connection) == 0
            late = SessionRepository(connection).open_for_user(user.id, auth_epoch=1, now=now, expires_at=expires_at)
            assert await late is None


async def test_a_program_that_was_changed_meanwhile_opens_no_session(connection: Connection, clock: Clock) -> None:
    client, sessions = await make_client(connection, clock), SessionRepository(connection)
    now, expires_at = clock.now(), clock.now() + timedelta(minutes=15)
    assert await sessions.open_for_client(client.id, auth_epoch=1, now=now, expires_at=expires_at)
    assert await sessions.open_for_client(client.id, auth_epoch=2, now=now, expires_at=expires_at) is None
    await connection.execute("UPDATE api_clients SET is_enabled = false")
    assert await sessions.open_for_client(client.id, auth_epoch=1, now=now, expires_at=expires_at) is None
