"""What tests stand on: one PostgreSQL for a run, a migrated database for each worker, a rollback for each test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect, runtime_role
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.models import LoyaltyTransaction
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService
from regulars.migrations import migrate
from regulars.preferences.models import CustomerPreference, NewPreference, PreferenceType
from regulars.preferences.repository import CustomerPreferenceRepository
from tests.factories.customers import make_customer

template_name = os.environ.get("REGULARS_TEST_TEMPLATE", "template_regulars")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_url(worker_id: str) -> Iterator[str]:
    """A superuser's address of the server: REGULARS_TEST_SERVER_URL, or an embedded one shared by the workers."""
    if given := os.environ.get("REGULARS_TEST_SERVER_URL"):
        yield given
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}-{uuid4().hex[:8]}")
    folder = Path(tempfile.gettempdir()) / f"regulars-tests-{run}"
    server = EmbeddedPostgres(folder, durable=False)
    with server as url:
        yield url
    if not server.is_running():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a migrated, empty database to copy; made by the first worker that needs it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7265)")
        name = sql.Identifier(template_name)
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template_name]).fetchone()
        if exists and os.environ.get("REGULARS_TEST_SERVER_URL"):
            try:
                migrate(make_conninfo(server_url, dbname=template_name))
            except Exception:  # noqa: BLE001 - an older working copy left it: make it anew
                connection.execute(sql.SQL("DROP DATABASE {}").format(name))
                exists = None
        if not exists:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
            migrate(make_conninfo(server_url, dbname=template_name))
    return template_name


@pytest.fixture(scope="session")
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A database of this worker, for tests that roll back."""
    with _copy(server_url, template) as url:
        yield url


@pytest.fixture
def own_database_url(server_url: str, template: str) -> Iterator[str]:
    """A database of this test, for tests of commits, locks and other processes."""
    with _copy(server_url, template) as url:
        yield url


@contextmanager
def _copy(server_url: str, template: str) -> Iterator[str]:
    """The address of a copy of the template, which is dropped in the end."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7265)")
        connection.execute(
            # Copying files takes a third of the time that going through the write-ahead log takes.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield make_conninfo(server_url, dbname=name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """A connection with the rights of the running program, whose work is rolled back when the test ends."""
    async with connect(database_url) as connection, connection.transaction(force_rollback=True):
        yield connection


@asynccontextmanager
async def as_owner(connection: Connection) -> AsyncIterator[None]:
    """In the block, statements have the rights of the server's owner, not those of the running program."""
    await connection.execute("SET ROLE NONE")
    yield
    await connection.execute(f"SET ROLE {runtime_role}")  # after an error, the rollback of a transaction does it


class RolledBackDatabase:
    """Stands in for `Database`: commits into a savepoint of the test's own transaction.

    Deferred constraints fire where a request would commit, so that a test sees what production would.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._connection.transaction():
            yield self._connection
            await self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await self._connection.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def database(connection: Connection) -> RolledBackDatabase:
    return RolledBackDatabase(connection)


@pytest.fixture
def clock() -> Clock:
    """Noon of 15 June 2026 in a shop in Berlin."""
    return Clock(ZoneInfo("Europe/Berlin"), stopped_at=datetime(2026, 6, 15, 10, 0, tzinfo=UTC))


@pytest.fixture
async def retail_customer(connection: Connection, clock: Clock) -> RetailCustomer:
    """A customer."""
    return await make_customer(connection, clock)


@pytest.fixture
async def loyalty_transaction(
    connection: Connection, clock: Clock, retail_customer: RetailCustomer
) -> LoyaltyTransaction:
    """An award of 100 points to the customer."""
    award = LoyaltyPointsEarn(customer_id=retail_customer.id, points=100, description="Welcome")
    return await LoyaltyService(connection, Settings(_env_file=None), clock).earn_loyalty_points(award, by=operator)


@pytest.fixture
async def customer_preference(
    connection: Connection, clock: Clock, retail_customer: RetailCustomer
) -> CustomerPreference:
    """A preference of the customer."""
    said = NewPreference(PreferenceType.SHOPPING, "favourite_style", "plain")
    written = await CustomerPreferenceRepository(connection).upsert_preference(retail_customer.id, said, at=clock.now())
    assert written is not None
    return written
