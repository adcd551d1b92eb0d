"""The probes and the three ways not to be ready."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from psycopg import DatabaseError

from regulars.api.limits import Limits
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, is_durable, require_writable
from regulars.kit.settings import Settings
from tests.api.conftest import TokenFor, client_of
from tests.conftest import RolledBackDatabase, as_owner


async def test_the_process_says_that_it_lives(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "failed": None})


async def test_readiness_is_what_the_database_says(client: httpx.AsyncClient, connection: Connection) -> None:
    answer = await client.get("/readyz")
    durable = await is_durable(connection)
    assert answer.json()["failed"] == (None if durable else "durability")
    assert answer.status_code == (200 if durable else 503)


async def test_a_server_that_may_lose_commits_is_not_ready(client: httpx.AsyncClient, connection: Connection) -> None:
    await connection.execute("SET LOCAL synchronous_commit = off")
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "failed": "durability"})


async def test_a_process_that_was_told_to_stop_answers_and_is_not_ready(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    app.state.shutdown.has_begun = True
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failed": "draining"})
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/api/v1/auth/me")).status_code == 401


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = '0000'", "DROP TABLE alembic_version", "DELETE FROM alembic_version"],
)
async def test_a_foreign_schema_is_not_ready(client: httpx.AsyncClient, connection: Connection, change: str) -> None:
    async with as_owner(connection):
        await connection.execute(change)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["failed"]) == (503, "schema")


async def test_without_a_database_the_process_lives_and_is_not_ready(settings: Settings, clock: Clock) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    async with nowhere, client_of(create_app(settings, database=nowhere, clock=clock)) as client:
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["failed"]) == (503, "database")
        refresh = await client.post("/api/v1/auth/refresh", json={"refresh_token": "any"})
        assert (refresh.status_code, refresh.json()["type"]) == (503, "/problems/database-unavailable")
        assert refresh.headers["Retry-After"] == "1"


async def test_probes_are_answered_when_everything_else_is_shed(
    settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    full: FastAPI = create_app(settings, database=database, clock=clock, limits=Limits(in_flight=0))
    async with client_of(full) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code in {200, 503}
        shed = await client.get("/api/v1/auth/me")
        assert (shed.status_code, shed.json()["type"]) == (503, "/problems/overloaded")
        assert shed.headers["Retry-After"] == "1"


def asking(path: str, *headers: tuple[bytes, bytes], method: str = "POST", query: bytes = b"") -> dict[str, object]:
    return {
        "type": "http", "method": method, "path": path, "query_string": query, "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), *headers],
    }  # fmt: skip


class SlowClient:
    """Sends the beginning of a body and then nothing, or reads nothing of an answer."""

    def __init__(self) -> None:
        self.is_waited_for = asyncio.Event()
        self._pieces: list[dict[str, object]] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def send_body(self) -> dict[str, object]:
        return self._pieces.pop() if self._pieces else await self.wait_for_ever()

    async def send_nothing(self) -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def read(self, _: object) -> None:
        await self.wait_for_ever()

    async def wait_for_ever(self) -> dict[str, object]:
        self.is_waited_for.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("what", ["a body", "an upload", "an answer"])
async def test_who_is_slow_holds_no_place(
    settings: Settings, database: RolledBackDatabase, clock: Clock, token_for: TokenFor, what: str
) -> None:
    """A place is for work: nobody who sends slowly or does not read keeps others out."""
    app, slow = create_app(settings, database=database, clock=clock, limits=Limits(in_flight=1)), SlowClient()
    token, _ = await token_for("admin")
    bearer = (b"authorization", f"Bearer {token}".encode())
    json, csv = (b"content-type", b"application/json"), (b"content-type", b"text/csv")
    length = (b"content-length", b"9")
    begun = {
        "a body": lambda: app(asking("/api/v1/auth/refresh", json, length), slow.send_body, slow.read),
        "an upload": lambda: app(
            asking("/api/v1/orders/import", csv, length, bearer, query=b"source=till"), slow.send_body, slow.read
        ),
        "an answer": lambda: app(asking("/api/v1/auth/me", bearer, method="GET"), slow.send_nothing, slow.read),
    }
    waiting = asyncio.create_task(begun[what]())
    async with asyncio.timeout(10):
        await slow.is_waited_for.wait()
    async with client_of(app, token) as client:
        assert (await client.get("/api/v1/auth/me")).status_code == 200
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_place_is_given_back_when_the_caller_goes_away(app: FastAPI) -> None:
    slow = SlowClient()
    headers = ((b"content-type", b"application/json"), (b"content-length", b"9"))
    waiting = asyncio.create_task(app(asking("/api/v1/auth/refresh", *headers), slow.send_body, slow.read))
    await slow.is_waited_for.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert app.state.in_flight.now == 0


async def test_a_server_that_cannot_write_is_not_ready(client: httpx.AsyncClient, connection: Connection) -> None:
    """A limit of nothing stands in for a full disk: both refuse the first block of a file."""
    await connection.execute("SET LOCAL synchronous_commit = on")
    async with as_owner(connection):
        await connection.execute("SET LOCAL temp_file_limit = 0")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["failed"] in {"writing", "durability"}


async def test_what_a_server_cannot_write_is_found(connection: Connection) -> None:
    async with connection.transaction():
        await require_writable(connection)
    for setting in ("temp_file_limit = 0", "transaction_read_only = on"):
        with pytest.raises(DatabaseError):
            await _write_with(connection, setting)
    async with connection.transaction():
        await require_writable(connection)


async def _write_with(connection: Connection, setting: str) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")
        await connection.execute(f"SET LOCAL {setting}")
        await require_writable(connection)
