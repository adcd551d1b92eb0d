"""Exports and erasures by the worker: as jobs that are followed, and by night."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import httpx
import pytest

from regulars.app import create_app
from regulars.flows.erase_customer import Erasures, Request
from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.queue import enqueue
from regulars.kit.settings import Settings
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer, set_columns

base = "/api/v1/retail-customers"
as_job = {"Prefer": "respond-async"}


@dataclass(frozen=True)
class Shop:
    connection: Connection
    admin: httpx.AsyncClient
    url: str
    settings: Settings
    clock: Clock

    async def work_off(self) -> None:
        await run_worker(self.url, self.settings, install_signal_handlers=False, until_empty=True)

    async def result_of(self, started: httpx.Response) -> httpx.Response:
        assert started.status_code == 202, started.text
        assert started.headers["Preference-Applied"] == "respond-async"
        await self.work_off()
        job = (await self.admin.get(started.headers["Location"])).json()
        assert job["state"] == "succeeded", job
        return await self.admin.get(job["result_url"])


@pytest.fixture
async def shop(own_database_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    settings = Settings(_env_file=None, data_dir=tmp_path, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd")
    clock = settings.clock
    async with Database(own_database_url, size=4) as database, connect(own_database_url) as connection:
        app = create_app(settings, database=database)
        token, _ = await sign_in(connection, settings, clock, role="admin")
        transport, headers = httpx.ASGITransport(app), {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as admin:
            yield Shop(connection, admin, own_database_url, settings, clock)


async def one(connection: Connection, query: str) -> Any:
    return (await (await connection.execute(query)).fetchall())[0][0]  # type: ignore[arg-type]


async def test_an_export_by_job_is_a_zip_that_is_fetched_once(shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock, notes="likes tea")
    started = await shop.admin.post(
        f"{base}/{customer.id}/export", json={"sections": ["customers", "orders"]}, headers=as_job
    )
    result = await shop.result_of(started)
    assert (result.status_code, result.headers["content-type"]) == (200, "application/zip")
    with ZipFile(io.BytesIO(result.content)) as archive:
        assert sorted(archive.namelist()) == ["customer.json", "customers.csv", "orders.csv"]
        assert json.loads(archive.read("customer.json"))["sections"]["customers"][0]["notes"] == "likes tea"
    again = await shop.admin.get(f"{started.headers['Location']}/result")
    assert (again.status_code, again.json()["type"]) == (410, "/problems/result-gone")


async def test_what_is_refused_starts_no_job(shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock)
    wrong = {"customer_number": "CUST-20200101-0001"}
    for path, body, status in (
        ("export", {"sections": ["secrets"]}, 422),
        ("erase", wrong, 422),
        ("erase", {"customer_number": customer.customer_number, "password": "x"}, 422),
    ):
        answer = await shop.admin.post(f"{base}/{customer.id}/{path}", json=body, headers=as_job)
        assert answer.status_code == status
    nobody = await shop.admin.post(f"{base}/{UUID(int=7)}/erase", json=wrong, headers=as_job)
    assert nobody.status_code == 404
    assert await one(shop.connection, "SELECT count(*) FROM jobs") == 0


async def test_an_erasure_by_job_takes_the_results_of_other_jobs_with_it(shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock, first_name="Tellingname")
    export = await shop.admin.post(f"{base}/{customer.id}/export", headers=as_job)
    await shop.work_off()
    body = {"customer_number": customer.customer_number}
    erased = await shop.result_of(await shop.admin.post(f"{base}/{customer.id}/erase", json=body, headers=as_job))
    assert erased.json()["customer_id"] == str(customer.id)
    assert erased.json()["rows"]["customers"] == 1
    assert (await shop.admin.get(f"{export.headers['Location']}/result")).status_code == 410
    kept = await shop.connection.execute(
        "SELECT kind FROM job_pieces JOIN jobs ON jobs.id = job_id WHERE kind NOT IN ('audit_ledger', 'nightly')"
    )
    assert await kept.fetchall() == [("erase_customer",)]


async def test_an_erasure_whose_worker_died_after_it_is_told_by_the_next(shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock)
    body = {"customer_number": customer.customer_number}
    started = await shop.admin.post(f"{base}/{customer.id}/erase", json=body, headers=as_job)
    async with Database(shop.url, size=1) as database:  # the run that died
        await Erasures(database, shop.settings, shop.clock).erase(customer.id, Request("request"))
    result = await shop.result_of(started)
    assert (result.status_code, result.json()["customer_id"]) == (200, str(customer.id))


async def test_every_night_those_are_erased_whose_deletion_cannot_be_undone(shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock)
    await set_columns(shop.connection, customer, deleted_at=shop.clock.now() - timedelta(days=31))
    async with shop.connection.transaction():
        await enqueue(shop.connection, "erase_who_is_due", timestamp=0)
    await shop.work_off()
    assert await one(shop.connection, "SELECT first_name IS NULL AND erased_at IS NOT NULL FROM customers")
    assert await one(shop.connection, "SELECT reason FROM erasure_log") == "deletion"
