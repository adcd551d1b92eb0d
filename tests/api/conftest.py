"""An application over the test's own transaction, and callers of every role.

async def test_staff_read_customers(as_role):
    staff = await as_role("staff")
    answer = await staff.get(f"/api/v1/retail-customers/{customer.id}")
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.passwords import PasswordHash, PasswordHashing
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.security import Principal, Role
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import password, sign_in
from tests.factories.customers import make_customer
from tests.factories.post import PostOffice

TokenFor = Callable[..., Awaitable[tuple[str, Principal]]]
AsRole = Callable[..., Awaitable[httpx.AsyncClient]]
Later = Callable[[timedelta], httpx.AsyncClient]


@pytest.fixture
def settings() -> Settings:
    return Settings(
        _env_file=None,
        jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd",
        store_timezone="Europe/Berlin",
        session_check_seconds=0,  # whoever ends a session here, on the database itself too, sees it ended at once
    )


@pytest.fixture
def app(settings: Settings, database: RolledBackDatabase, clock: Clock) -> FastAPI:
    """The application on the test's transaction, at noon of 15 June 2026."""
    return create_app(settings, database=database, clock=clock)


def client_of(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    """A caller of an application, with a token or without."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a token."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
def token_for(connection: Connection, settings: Settings, clock: Clock) -> TokenFor:
    """`token, caller = await token_for("customer", customer_id=...)`; also `source=` and `scopes=` for `service`."""

    async def issue(role: Role, **who: UUID | str | frozenset[str]) -> tuple[str, Principal]:
        return await sign_in(connection, settings, clock, role=role, **who)

    return issue


@pytest.fixture
async def as_role(app: FastAPI, token_for: TokenFor) -> AsyncIterator[AsRole]:
    """`staff = await as_role("staff")`: a caller who has signed in; takes what `token_for` takes."""
    async with AsyncExitStack() as stack:

        async def caller(role: Role, **who: UUID | str | frozenset[str]) -> httpx.AsyncClient:
            token, _ = await token_for(role, **who)
            return await stack.enter_async_context(client_of(app, token))

        yield caller


@pytest.fixture
async def staff(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("staff")


@pytest.fixture
async def admin(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("admin")


@pytest.fixture
def later(settings: Settings, database: RolledBackDatabase, clock: Clock) -> Later:
    """`async with later(timedelta(hours=1)) as client`: a caller of the same application, some time later."""

    def move(by: timedelta) -> httpx.AsyncClient:
        return client_of(create_app(settings, database=database, clock=replace(clock, stopped_at=clock.now() + by)))

    return move


@pytest.fixture
async def customer_id(connection: Connection, clock: Clock) -> UUID:
    return (await make_customer(connection, clock)).id


@pytest.fixture
def post(connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock) -> PostOffice:
    return PostOffice(connection, database, settings, clock)


@pytest.fixture(scope="session")
async def hashed() -> PasswordHash:
    """The hash of the password of tests, for those that sign in with it."""
    return await PasswordHashing().hash(password)


@pytest.fixture
async def committing_app(settings: Settings, own_database_url: str, clock: Clock) -> AsyncIterator[FastAPI]:
    """The application on a database of its own, where requests really commit: for tests of many at once."""
    async with Database(own_database_url, size=4, statement_seconds=5, lock_seconds=2) as database:
        yield create_app(settings, database=database, clock=clock)
