"""What comes with every answer, and what is answered when nothing else can be."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI

from regulars.api.access import public
from regulars.api.deps import TransactionDep
from regulars.api.routing import Router, RouteWithoutPolicy
from regulars.app import create_app
from regulars.kit import database as databases
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.logs import JsonLines
from regulars.kit.settings import Settings
from tests.api.conftest import client_of
from tests.api.probes import slug, with_probes
from tests.conftest import RolledBackDatabase


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(with_probes(app)) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nothing", "/api/v1/parcels/", "/api/v1/parcels/..%2f..%2fetc%2fpasswd", "/docs", "/openapi.json", "/"],
)
async def test_what_is_no_route_is_not_found_and_never_redirected(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, slug(answer)) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", f"/api/v1/parcels/{UUID(int=7)}", "DELETE, GET"),
        ("TRACE", "/api/v1/parcels", "GET, POST"),
        ("HEAD", "/livez", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "headers", "status", "expected"),
    [
        ("/livez", {"Host": "evil.example"}, 400, "bad-host"),
        ("/livez", {"Host": "localhost.evil.example"}, 400, "bad-host"),
        ("/api/v1/%ff", {}, 400, "malformed-request"),
        ("/livez?q=%ff", {}, 400, "malformed-request"),
        ("/livez", {"X-Note": "a\x1bb"}, 400, "malformed-request"),
        ("/" + "a" * 8192, {}, 414, "uri-too-long"),
        ("/livez?" + "a" * 8192, {}, 414, "uri-too-long"),
        ("/livez", {"Authorization": "Bearer " + "a" * 10_000}, 431, "headers-too-large"),
        ("/livez", {f"X-{number}": "a" * 8000 for number in range(5)}, 431, "headers-too-large"),
    ],
)
async def test_addresses_and_headers_have_limits(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], status: int, expected: str
) -> None:
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, slug(answer)) == (status, expected)


async def test_the_host_may_carry_a_port_and_forwarded_hosts_are_not_read(client: httpx.AsyncClient) -> None:
    headers = {"Host": "LOCALHOST:8000", "X-Forwarded-Host": "evil.example"}
    assert (await client.get("/livez", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["10.244.1.7:8000", "[2001:db8::7]:8000", "[::1]", "192.0.2.1", ""])
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_who_watches_may_call_by_address(client: httpx.AsyncClient, host: str, path: str) -> None:
    """An orchestrator, a load balancer and Prometheus know the address of a process, not the names of the shop."""
    answer = await client.get(path, headers={"Host": host} if host else {})
    assert answer.status_code in {200, 401, 503}


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/api/v1/auth/me", "10.244.1.7:8000"), ("/api/v1/auth/me", "[::1]"), ("/livez", "10.244.1.7.evil.example"),
        ("/livez", "evil.example"), ("/livez", "10.244.1.7:8000:1"), ("/livez", "10.244.1"),
        ("/metrics", "evil.example"),
    ],
)  # fmt: skip
async def test_everything_else_is_called_by_its_names(client: httpx.AsyncClient, path: str, host: str) -> None:
    answer = await client.get(path, headers={"Host": host})
    assert (answer.status_code, slug(answer)) == (400, "bad-host")


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/api/v1/auth/me", 400)])
async def test_a_check_of_http_1_0_names_no_host(app: FastAPI, path: str, status: int) -> None:
    answers: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert answers[0]["status"] == status


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [("bug", 500, "internal"), ("timeout", 504, "timeout"), ("lock", 503, "overloaded"), ("refusal", 409, "broken")],
)
async def test_whatever_goes_wrong_is_a_problem_and_is_rolled_back(
    client: httpx.AsyncClient, database: RolledBackDatabase, kind: str, status: int, expected: str
) -> None:
    answer = await client.post(f"/api/v1/fault/{kind}")
    assert (answer.status_code, slug(answer)) == (status, expected)
    assert "secret" not in answer.text
    async with database.transaction() as connection:
        assert await (await connection.execute("SELECT 1 FROM products WHERE sku = 'lost'")).fetchone() is None


async def test_a_problem_has_the_members_of_rfc_9457(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/fault/refusal")
    trace_id = answer.headers["X-Request-Id"]
    assert answer.json() == {
        "type": "/problems/broken",
        "title": "It does not go on.",
        "status": 409,
        "instance": UUID(trace_id).urn,
        "trace_id": trace_id,
        "of": str(UUID(int=7)),
    }


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/api/v1/parcels?x=1"])
async def test_every_answer_has_the_same_headers(client: httpx.AsyncClient, path: str) -> None:
    first, second = await client.get(path), await client.get(path, headers={"X-Request-Id": "mine"})
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert len(first.headers["X-Request-Id"]) == 32
    assert second.headers["X-Request-Id"] not in {"mine", first.headers["X-Request-Id"]}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    lines, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(lines)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("regulars")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_a_request_is_one_log_line_without_anything_of_the_caller(
    client: httpx.AsyncClient, log: io.StringIO
) -> None:
    headers = {"User-Agent": b'\x9b31m"quoted" person@example.com'}
    answer = await client.get(f"/api/v1/parcels/{UUID(int=7)}?colour=red", headers=headers)
    (line,) = log.getvalue().splitlines()
    fields = json.loads(line)
    assert fields.keys() == {
        "time",
        "level",
        "logger",
        "message",
        "trace_id",
        "method",
        "route",
        "status",
        "milliseconds",
    }
    assert (fields["route"], fields["status"]) == ("/api/v1/parcels/{parcel_id}", 422)
    assert fields["trace_id"] == answer.headers["X-Request-Id"]
    assert str(UUID(int=7)) not in line


async def test_a_fault_is_in_the_log_under_its_trace_id(client: httpx.AsyncClient, log: io.StringIO) -> None:
    answer = await client.post("/api/v1/fault/bug")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["trace_id"] for line in lines} == {answer.json()["trace_id"]}
    (fault_line,) = [line for line in lines if "traceback" in line]
    assert "RuntimeError" in fault_line["traceback"]
    assert "secret detail" not in fault_line["traceback"]


async def test_work_is_committed_before_the_answer_leaves(committing_app: FastAPI, own_database_url: str) -> None:
    """Another connection sees the row at the moment the first byte is sent."""
    seen: list[object] = []
    async with Database(own_database_url, size=1) as onlooker:

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                async with onlooker.transaction() as connection:
                    seen.append(await (await connection.execute("SELECT sku FROM products")).fetchone())

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/products/saved", "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        await with_probes(committing_app)(scope, receive, send)
    assert seen == [("saved",)]


async def test_an_exhausted_pool_sheds_at_once(
    settings: Settings, own_database_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "longest_wait_seconds", 60)
    app = create_app(settings.model_copy(update={"database_url": own_database_url}), clock=clock)
    async with app.state.database as database, AsyncExitStack() as busy, client_of(app) as client:
        for _ in range(8):
            await busy.enter_async_context(database.transaction())
        async with asyncio.timeout(10):
            answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": "any"})
    assert (answer.status_code, slug(answer), answer.headers["Retry-After"]) == (503, "overloaded", "1")


async def test_a_statement_over_its_time_is_a_timeout(settings: Settings, own_database_url: str, clock: Clock) -> None:
    slow = Router(tags=["Operations"])

    @slow.post("/sleep", dependencies=[public])
    async def sleep(transaction: TransactionDep) -> None:
        await transaction.execute("SELECT pg_sleep(10)")

    async with Database(own_database_url, size=1, statement_seconds=0.05) as database:
        app = create_app(settings, database=database, clock=clock)
        app.include_router(slow)
        async with client_of(app) as client:
            answer = await client.post("/api/v1/sleep")
    assert (answer.status_code, slug(answer), answer.headers["Retry-After"]) == (504, "timeout", "1")


def test_a_route_without_a_policy_stops_the_start_up() -> None:
    unguarded = Router()
    with pytest.raises(RouteWithoutPolicy, match="/api/v1/open"):

        @unguarded.get("/open")
        async def leak() -> None: ...


async def test_a_foreign_route_stops_the_start_up(
    settings: Settings, database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = APIRouter()

    @foreign.post("/foreign")
    async def leak(body: Annotated[dict[str, str], Body()]) -> None: ...

    monkeypatch.setattr("regulars.app.routers", [foreign])
    with pytest.raises(RouteWithoutPolicy, match="/foreign"):
        create_app(settings, database=database)
