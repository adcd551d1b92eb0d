"""How long a session that has ended can still be used."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pytest

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import TokenFor, client_of
from tests.conftest import RolledBackDatabase

auth = "/api/v1/auth"


@dataclass(frozen=True)
class MovingClock(Clock):
    """A clock that a test can move."""

    elapsed: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        return super().now() + sum(self.elapsed, timedelta())


@pytest.fixture
def moving(clock: Clock) -> MovingClock:
    return MovingClock(clock.store_timezone, clock.stopped_at)


@pytest.fixture
async def staff(
    settings: Settings, database: RolledBackDatabase, moving: MovingClock, token_for: TokenFor
) -> httpx.AsyncClient:
    """Staff of a server that checks sessions every five seconds, as servers do unless told otherwise."""
    checking = settings.model_copy(update={"session_check_seconds": 5})
    token, _ = await token_for("staff")
    return client_of(create_app(checking, database=database, clock=moving), token)


async def status(caller: httpx.AsyncClient) -> int:
    return (await caller.get(f"{auth}/me")).status_code


async def test_a_session_closed_by_another_process_goes_on_for_five_seconds_at_most(
    staff: httpx.AsyncClient, moving: MovingClock, connection: Connection, clock: Clock
) -> None:
    assert await status(staff) == 200
    await connection.execute("UPDATE sessions SET closed_at = %s", [clock.now()])
    moving.elapsed.append(timedelta(seconds=4.9))
    assert await status(staff) == 200
    moving.elapsed.append(timedelta(seconds=0.1))
    assert await status(staff) == 401


async def test_a_session_closed_by_the_same_process_is_closed_at_once(staff: httpx.AsyncClient) -> None:
    assert await status(staff) == 200
    assert (await staff.post(f"{auth}/logout")).status_code == 204
    assert await status(staff) == 401


async def test_a_token_ends_when_it_ends(staff: httpx.AsyncClient, moving: MovingClock) -> None:
    leeway = timedelta(seconds=5)
    moving.elapsed.append(timedelta(minutes=15) + leeway - timedelta(seconds=1))
    assert await status(staff) == 200
    moving.elapsed.append(timedelta(seconds=1))
    assert await status(staff) == 401
