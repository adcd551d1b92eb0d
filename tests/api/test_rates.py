"""Step 4 of the order of checks, and how long an operation may take."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.api import rates
from regulars.api.access import public, requires
from regulars.api.deps import TransactionDep
from regulars.api.limits import Limits
from regulars.api.rates import CallerRates, register_rate, sign_in_rate
from regulars.api.routing import Router
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.errors import OperatorError
from regulars.kit.ratelimit import RateLimit, RateLimited, Window
from regulars.kit.security import Principal, Role
from regulars.kit.settings import Settings, load_settings
from tests.api.conftest import TokenFor, client_of
from tests.api.probes import Parcel, slug
from tests.conftest import RolledBackDatabase

router = Router(tags=["Operations"])


def twice(_: Settings) -> RateLimit:
    return RateLimit("probe", (Window(2, timedelta(minutes=1)),))


@router.post("/counted", dependencies=[public], rate=twice)
async def counted(parcel: Parcel) -> None: ...


@router.post("/counted/guarded", dependencies=[requires("customers:erase")], rate=twice)
async def guarded(parcel: Parcel) -> None: ...


def with_routes(app: FastAPI) -> FastAPI:
    app.include_router(router)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(with_routes(app)) as client:
        yield client


async def test_the_third_has_to_wait(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/api/v1/counted", json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (slug(answers[-1]), answers[-1].headers["Retry-After"]) == ("rate-limited", "60")


async def test_rate_comes_before_token_and_body(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/api/v1/counted/guarded", content=b"{") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


async def test_a_refused_request_stays_counted(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await client.post("/api/v1/counted", json={"points": 0})).status_code == 422
    assert (await client.post("/api/v1/counted", json={})).status_code == 429


async def test_a_wrong_method_or_path_is_not_counted(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await client.get("/api/v1/counted")).status_code == 405
        assert (await client.post("/api/v1/counted/", json={})).status_code == 404
    assert (await client.post("/api/v1/counted", json={})).status_code == 200


async def test_counts_outlive_the_process_and_hold_for_all_of_them(
    settings: Settings, own_database_url: str, clock: Clock
) -> None:
    statuses = []
    for _ in range(3):
        database = Database(own_database_url, size=1)
        app = with_routes(create_app(settings, database=database, clock=clock))
        async with database, client_of(app) as client:
            statuses.append((await client.post("/api/v1/counted", json={})).status_code)
    assert statuses == [200, 200, 429]


async def test_forwarded_addresses_count_apart_only_if_the_proxy_is_ours(
    settings: Settings, database: RolledBackDatabase, clock: Clock
) -> None:
    behind_proxy = settings.model_copy(update={"trusted_proxies": ["127.0.0.0/8"]})
    for each, last in ((settings, 429), (behind_proxy, 200)):
        async with client_of(with_routes(create_app(each, database=database, clock=clock))) as client:
            statuses = [
                (
                    await client.post("/api/v1/counted", json={}, headers={"X-Forwarded-For": f"203.0.113.{n}"})
                ).status_code
                for n in range(3)
            ]
        assert statuses == [200, 200, last]


async def test_sign_ins_and_refreshes_of_one_address_end(
    client: httpx.AsyncClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.api.rates.Window", lambda most, within: Window(1, within))
    for path, first in (("token", 422), ("refresh", 401), ("password/forgot", 422), ("password/reset", 400)):
        body: dict[str, object] = {"data": {}} if path == "token" else {"json": {
            "refresh": {"refresh_token": "guessed"}, "password/forgot": {},
            "password/reset": {"token": "guessed", "new_password": "x"},
        }[path]}  # fmt: skip
        await connection.execute("DELETE FROM rate_limits")
        statuses = [(await client.post(f"/api/v1/auth/{path}", **body)).status_code for _ in range(2)]  # type: ignore[arg-type]
        assert statuses == [first, 429], path


def test_registrations_are_limited_as_the_setting_says(settings: Settings) -> None:
    limit = register_rate(settings.model_copy(update={"register_per_hour": 7}))
    assert limit.windows == (Window(7, timedelta(hours=1)),)
    assert register_rate(settings).windows[0].most == 10
    assert sign_in_rate(settings).windows[0].most >= 300


def test_a_proxy_that_is_no_network_is_told_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example")
    with pytest.raises(OperatorError, match="REGULARS_TRUSTED_PROXIES"):
        load_settings()
    monkeypatch.setenv("REGULARS_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    assert load_settings().trusted_proxies == ["10.0.0.0/8", "::1"]


slow = Router(tags=["Operations"])


@slow.post("/slow", dependencies=[public])
async def dawdle(transaction: TransactionDep) -> None:
    await transaction.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('a', now(), now())")
    await asyncio.sleep(60)


@slow.post("/long", dependencies=[public], long_work=True)
async def calculate(transaction: TransactionDep) -> None:
    await transaction.execute("INSERT INTO products (sku, created_at, updated_at) VALUES ('b', now(), now())")
    await asyncio.sleep(0.2)


async def test_an_operation_over_its_time_is_rolled_back_and_long_work_is_not(
    settings: Settings, own_database_url: str, clock: Clock
) -> None:
    async with Database(own_database_url, size=1) as database:
        app = create_app(settings, database=database, clock=clock, limits=Limits(handler_seconds=0.1))
        app.include_router(slow)
        async with client_of(app) as client:
            answer = await client.post("/api/v1/slow")
            assert (answer.status_code, slug(answer), answer.headers["Retry-After"]) == (504, "timeout", "1")
            assert (await client.post("/api/v1/long")).status_code == 200
        async with database.transaction() as connection:
            assert await (await connection.execute("SELECT sku FROM products")).fetchall() == [("b",)]


@pytest.mark.parametrize(
    ("role", "setting"),
    [
        ("customer", "customer_requests_per_minute"),
        ("staff", "staff_requests_per_minute"),
        ("analyst", "staff_requests_per_minute"),
        ("admin", "staff_requests_per_minute"),
        ("service", "client_requests_per_minute"),
    ],
)
async def test_each_caller_has_a_rate_of_its_own(
    settings: Settings, database: RolledBackDatabase, clock: Clock, token_for: TokenFor, role: Role, setting: str
) -> None:
    app = create_app(settings.model_copy(update={setting: 3}), database=database, clock=clock)
    (token, _), (other, _) = await token_for(role), await token_for(role)
    async with client_of(app, token) as client, client_of(app, other) as beside:
        statuses = [(await client.get("/api/v1/jobs/none")).status_code for _ in range(3)]
        assert 429 not in statuses
        refused = await client.get("/api/v1/jobs/none")
        assert (refused.status_code, slug(refused)) == (429, "rate-limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert (await beside.get("/api/v1/jobs/none")).status_code != 429


async def test_long_work_counts_apart_and_nothing_counts_at_zero(
    settings: Settings, database: RolledBackDatabase, clock: Clock, token_for: TokenFor
) -> None:
    settled = {"long_requests_per_minute": 2, "staff_requests_per_minute": 0}
    app = create_app(settings.model_copy(update=settled), database=database, clock=clock)
    token, _ = await token_for("admin")
    async with client_of(app, token) as client:
        exports = [(await client.post("/api/v1/retail-customers/export", json={})).status_code for _ in range(3)]
        assert exports == [200, 200, 429]
        assert 429 not in [(await client.get("/api/v1/orders")).status_code for _ in range(5)]


def test_a_caller_that_waits_is_let_in_again(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    now, till = [1000.0], Principal(id=uuid4(), kind="client", role="service", scopes=frozenset())
    monkeypatch.setattr(rates, "monotonic", lambda: now[0])
    counted_by = CallerRates(settings.model_copy(update={"client_requests_per_minute": 60}))
    for _ in range(60):
        counted_by.take(till, is_long=False)
    with pytest.raises(RateLimited) as refused:
        counted_by.take(till, is_long=False)
    assert refused.value.retry_after is not None
    now[0] += refused.value.retry_after
    counted_by.take(till, is_long=False)
    with pytest.raises(RateLimited):
        counted_by.take(till, is_long=False)
