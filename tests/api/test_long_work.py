"""Long work over HTTP: promised with 202, done by a worker, and the same as if it had been answered at once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.api.openapi import openapi_document
from regulars.app import create_app
from regulars.jobs.kinds import kinds
from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.security import Role
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer
from tests.factories.shops import make_many_customers

base = "/api/v1/retail-customers"
rfm_url, clv_url = f"{base}/analytics/rfm/calculate", f"{base}/analytics/clv/calculate"
wanted = {"Prefer": "respond-async"}
nobody = str(uuid4())
operations: dict[str, tuple[str, dict[str, Any]]] = {
    "calculate_rfm_scores": (rfm_url, {"recalculate": True, "history_days": 30}),
    "calculate_clv": (clv_url, {"window_days": 90}),
    "expire_loyalty_points": (f"{base}/loyalty/expire-points", {"as_of": "2026-01-31T12:00:00Z"}),
    "bulk_update_status": (f"{base}/bulk/status", {"customer_ids": [nobody], "is_active": False}),
    "bulk_update_tier": (
        f"{base}/bulk/tier",
        {"customer_ids": [nobody], "tier": "gold", "reason": "x", "until": "2999-12-31"},
    ),
    "bulk_update_tags": (f"{base}/bulk/tags", {"customer_ids": [nobody], "add": ["a"]}),
    "export_customers": (
        f"{base}/export",
        {"clv_min": "10.00", "created_from": "2026-01-01", "loyalty_tier": ["gold"], "sort": "customer_number"},
    ),
}


class Shop:
    """The application with a database of its own, and a worker."""

    def __init__(self, settings: Settings, database: Database, stack: AsyncExitStack) -> None:
        self.settings, self.database, self._stack = settings, database, stack
        self.app = create_app(settings, database=database)

    async def caller(self, role: Role) -> httpx.AsyncClient:
        async with self.database.transaction() as connection:
            token, _ = await sign_in(connection, self.settings, self.settings.clock, role=role)
        return await self._stack.enter_async_context(client_of(self.app, token))

    async def work_off(self) -> None:
        await run_worker(self.database.url, self.settings, install_signal_handlers=False, until_empty=True)


@pytest.fixture
async def shop(own_database_url: str, settings: Settings, tmp_path: Path) -> AsyncIterator[Shop]:
    async with Database(own_database_url, size=4) as database, AsyncExitStack() as stack:
        yield Shop(settings.model_copy(update={"data_dir": tmp_path}), database, stack)


@pytest.mark.parametrize("kind", operations)
async def test_what_was_promised_is_what_would_have_been_answered(shop: Shop, kind: str) -> None:
    (url, body), admin = operations[kind], await shop.caller("admin")
    async with shop.database.transaction() as connection:
        await make_customer(connection, shop.settings.clock)
    await admin.post(url, json=body)  # what follows finds nothing left to change
    at_once = await admin.post(url, json=body)
    assert at_once.status_code == 200
    promised = await admin.post(url, json=body, headers=wanted)
    assert promised.status_code == 202
    job = promised.json()
    assert (job["kind"], job["state"], job["result_url"]) == (kind, "queued", None)
    assert promised.headers["preference-applied"] == "respond-async"
    await shop.work_off()
    told = (await admin.get(promised.headers["location"])).json()
    assert (told["state"], told["error"]) == ("succeeded", None)
    result = await admin.get(told["result_url"])
    assert result.headers["content-type"] == at_once.headers["content-type"]
    assert without_runs(result) == without_runs(at_once)
    assert result.headers.get("content-disposition") == at_once.headers.get("content-disposition")


def without_runs(answer: httpx.Response) -> object:
    """The answer without what tells one run of a calculation from another."""
    if answer.headers["content-type"] != "application/json":
        return answer.content
    return {name: value for name, value in answer.json().items() if name not in {"run_id", "seconds", "calculated_at"}}


async def test_a_back_test_by_a_worker_tells_what_would_have_been_answered(shop: Shop) -> None:
    url, analyst = f"{base}/analytics/clv/backtest?holdout_days=120", await shop.caller("analyst")
    async with shop.database.transaction() as connection:
        await make_many_customers(connection, shop.settings.clock, 900)
    promised = await analyst.get(url, headers=wanted)
    assert (promised.status_code, promised.json()["kind"]) == (202, "get_clv_backtest")
    await shop.work_off()
    told = (await analyst.get(promised.headers["location"])).json()
    assert (told["state"], told["error"]) == ("succeeded", None)
    assert (await analyst.get(told["result_url"])).json() == (await analyst.get(url)).json()


async def test_a_back_test_that_cannot_be_made_is_what_the_job_comes_to(shop: Shop) -> None:
    analyst = await shop.caller("analyst")
    promised = await analyst.get(f"{base}/analytics/clv/backtest", headers=wanted)
    await shop.work_off()
    result = await analyst.get(f"{promised.headers['location']}/result")
    assert (result.status_code, slug(result), result.json()["reason"]) == (409, "insufficient-data", "few_customers")


async def test_each_kind_has_a_door_and_each_door_its_kind(app: FastAPI) -> None:
    paths = openapi_document(app)["paths"]
    doors = {
        operation["operationId"]
        for methods in paths.values()
        for operation in methods.values()
        if any(parameter["name"].lower() == "prefer" for parameter in operation.get("parameters", []))
    }
    assert doors <= kinds.keys()
    assert kinds.keys() - doors == {"nightly", "audit_ledger"}
    for methods in paths.values():
        for operation in methods.values():
            assert operation["operationId"] not in doors or "202" in operation["responses"]


async def test_a_refusal_by_a_rule_is_what_the_job_comes_to(shop: Shop) -> None:
    admin = await shop.caller("admin")
    body = {"customer_ids": [nobody], "is_active": False, "atomic": True}
    job = (await admin.post(f"{base}/bulk/status", json=body, headers=wanted)).json()
    await shop.work_off()
    result = await admin.get(f"/api/v1/jobs/{job['id']}/result")
    assert (result.status_code, slug(result)) == (409, "bulk-rejected")
    assert result.json()["items"][0]["customer_id"] == nobody


@pytest.fixture
def many(settings: Settings) -> Settings:
    return settings.model_copy(update={"sync_max_customers": 1})


async def test_what_is_about_too_many_becomes_a_job_by_itself(
    many: Settings, connection: Connection, clock: Clock, token_for: Callable[..., Awaitable[Any]]
) -> None:
    token, _ = await token_for("admin")
    app = create_app(many, database=RolledBackDatabase(connection), clock=clock)
    async with client_of(app, token) as admin:
        for customers, expected in ((1, 200), (2, 202)):
            await make_customer(connection, clock)
            assert (await admin.post(rfm_url, json={"recalculate": True})).status_code == expected, customers
            assert (await admin.post(f"{base}/export", json={})).status_code == expected
        answer = await admin.post(clv_url, json={})
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
        assert (await admin.post(rfm_url, json={"customer_ids": [nobody]})).status_code == 200
        two = {"customer_ids": [nobody, str(uuid4())]}
        assert (await admin.post(f"{base}/bulk/status", json={**two, "is_active": True})).status_code == 202
        assert (await admin.post(f"{base}/loyalty/expire-points")).status_code == 200  # none is due


async def test_the_same_calculation_is_started_once(as_role: AsRole) -> None:
    analyst, other, admin = await as_role("analyst"), await as_role("analyst"), await as_role("admin")
    first = (await analyst.post(clv_url, json={}, headers=wanted)).json()
    assert (await other.post(clv_url, json={}, headers=wanted)).json()["id"] == first["id"]
    assert (await other.get(f"/api/v1/jobs/{first['id']}")).status_code == 200
    not_wanted = await other.post(clv_url, json={})
    assert (not_wanted.status_code, not_wanted.json()["id"]) == (202, first["id"])
    assert (await other.post(clv_url, json={"window_days": 7}, headers=wanted)).json()["id"] != first["id"]
    # The analysis names customers to an admin.
    assert (await admin.post(clv_url, json={}, headers=wanted)).json()["id"] != first["id"]


async def test_changes_are_not_taken_for_the_same(as_role: AsRole) -> None:
    admin, (url, body) = await as_role("admin"), operations["bulk_update_tags"]
    ids = {(await admin.post(url, json=body, headers=wanted)).json()["id"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_key_keeps_the_promise(as_role: AsRole, connection: Connection) -> None:
    admin, (url, body) = await as_role("admin"), operations["bulk_update_tags"]
    first, again = [await admin.post(url, json=body, headers={**wanted, "Idempotency-Key": "k"}) for _ in range(2)]
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    for header in ("location", "preference-applied", "content-type"):
        assert again.headers[header] == first.headers[header]
    assert await (await connection.execute("SELECT count(*) FROM jobs")).fetchone() == (1,)


@pytest.mark.parametrize(
    "header",
    [
        "respond-async",
        "Respond-Async",
        "wait=10, respond-async",
        "respond-async; wait=10",
        "handling=lenient,respond-async",
    ],
)
async def test_the_wish_may_be_one_of_several(as_role: AsRole, header: str) -> None:
    admin, (url, body) = await as_role("admin"), operations["bulk_update_tags"]
    assert (await admin.post(url, json=body, headers={"Prefer": header})).status_code == 202


@pytest.mark.parametrize("header", ["", "wait=10", "respond-asynchronously", "return=minimal"])
async def test_other_wishes_are_no_matter(as_role: AsRole, header: str) -> None:
    admin, (url, body) = await as_role("admin"), operations["bulk_update_tags"]
    assert (await admin.post(url, json=body, headers={"Prefer": header})).status_code == 200


async def test_what_can_be_refused_at_once_is(as_role: AsRole, connection: Connection) -> None:
    analyst, admin = await as_role("analyst"), await as_role("admin")
    refused = await analyst.post(f"{base}/export", json={"q": "john"}, headers=wanted)
    assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")
    future = await admin.post(f"{base}/loyalty/expire-points", json={"as_of": "2999-01-01T00:00:00Z"}, headers=wanted)
    assert (future.status_code, slug(future)) == (422, "validation")
    tier_url, tier = operations["bulk_update_tier"]
    for headers in ({}, wanted):
        past = await admin.post(tier_url, json=tier | {"until": "2026-06-14"}, headers=headers)
        assert (past.status_code, past.json()["errors"][0]["pointer"]) == (422, "/until")
    assert (await analyst.post(clv_url, json={"window_days": 0}, headers=wanted)).status_code == 422
    assert (await analyst.post(f"{base}/bulk/tags", json={}, headers=wanted)).status_code == 403
    assert await (await connection.execute("SELECT count(*) FROM jobs")).fetchone() == (0,)


async def test_what_people_said_is_not_among_the_arguments(as_role: AsRole, connection: Connection) -> None:
    admin = await as_role("admin")
    await admin.post(f"{base}/export", json={"email": "ann@example.com"}, headers=wanted)
    [(arguments, queued)] = await (
        await connection.execute("SELECT j.arguments::text, q.args::text FROM jobs j, procrastinate_jobs q")
    ).fetchall()
    assert "ann" not in arguments + queued


import_url, csv_type = "/api/v1/orders/import", {"Content-Type": "text/csv"}
header, good, bad = (
    "order_id,ordered_at,total,email\n", "1,2026-01-02,10,a@example.com\n", "2,2026-01-02,-1,b@example.com\n"
)  # fmt: skip


async def test_a_file_of_orders_is_imported_by_a_job(shop: Shop) -> None:
    importer = await shop.caller("service")
    promised = await importer.post(import_url, content=header + good + bad, headers=csv_type | wanted)
    assert (promised.status_code, promised.json()["kind"]) == (202, "import_orders")
    await shop.work_off()
    result = (await importer.get(promised.headers["location"] + "/result")).json()
    assert result | {"errors": []} == {
        "received": 2, "created": 1, "updated": 0, "unchanged": 0, "failed": 1, "customers_created": 1, "errors": [],
    }  # fmt: skip
    assert result["errors"] == [{"line": 3, "code": "total-negative", "message": "total is negative"}]
    at_once = await importer.post(import_url, content=header + good, headers=csv_type)
    assert (at_once.status_code, at_once.json()["unchanged"]) == (200, 1)
    async with shop.database.transaction() as connection:
        assert await fetch(connection, "SELECT source FROM orders") == [("till",)]
        assert await fetch(connection, "SELECT FROM job_pieces WHERE part = 'input'") == []
        assert "example.com" not in str(await fetch(connection, "SELECT arguments, error FROM jobs"))


async def test_a_long_file_becomes_a_job_by_itself_and_keeps_its_key(shop: Shop) -> None:
    shop.app.state.settings = shop.settings.model_copy(update={"sync_max_customers": 2})
    importer, key = await shop.caller("service"), csv_type | {"Idempotency-Key": "k"}
    assert (await importer.post(import_url, content=header + good, headers=csv_type)).status_code == 200
    first = await importer.post(import_url, content=header + good + bad, headers=key)
    again = await importer.post(import_url, content=header + good + bad, headers=key)
    assert (first.status_code, again.status_code, again.content) == (202, 202, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = await importer.post(import_url, content=header + good + bad + good, headers=key)
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")
    async with shop.database.transaction() as connection:
        assert await fetch(connection, "SELECT count(*) FROM jobs") == [(1,)]


async def test_a_file_that_is_none_of_orders_is_not_promised(shop: Shop) -> None:
    importer = await shop.caller("service")
    refused = await importer.post(import_url, content="order_id,total\n1,2\n", headers=csv_type | wanted)
    assert (refused.status_code, slug(refused)) == (422, "validation")
    async with shop.database.transaction() as connection:
        assert await fetch(connection, "SELECT count(*) FROM jobs") == [(0,)]


async def fetch(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query)).fetchall()  # type: ignore[arg-type]
