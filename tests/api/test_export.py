"""The export over HTTP: a file, whole or not at all."""

import csv
import io

import httpx
import pytest
from fastapi import FastAPI

from regulars.api import downloads
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.api.probes import codes, slug
from tests.factories.customers import make_customer

export_url = "/api/v1/retail-customers/export"


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_an_admin_gets_a_file_of_everybody_in_clear(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    ann, bob = await make_customer(connection, clock, city="Köln"), await make_customer(connection, clock)
    answer = await (await as_role("admin")).post(export_url, json={"sort": "customer_number"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="customers-2026-06-15.csv"'
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["cache-control"] == "no-store"
    assert [(row["id"], row["email"], row["masked"]) for row in rows_of(answer)] == [
        (str(one.id), one.email, "false") for one in (ann, bob)
    ]
    assert answer.content.endswith(b"\r\n")
    assert "Köln" in answer.content.decode()


async def test_an_analyst_gets_it_masked(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    await make_customer(connection, clock)
    analyst = await as_role("analyst")
    [row] = rows_of(await analyst.post(export_url, json={}))
    assert (row["email"], row["masked"]) == ("j***@***", "true")
    refused = await analyst.post(export_url, json={"q": "john"})
    assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")


@pytest.mark.parametrize("role", ["customer", "service", "staff"])
async def test_nobody_else_gets_one(as_role: AsRole, role: str) -> None:
    answer = await (await as_role(role)).post(export_url, json={})  # type: ignore[arg-type]
    assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


async def test_without_a_match_there_is_a_header(as_role: AsRole) -> None:
    answer = await (await as_role("admin")).post(export_url, json={"email": "nobody@example.com"})
    assert (answer.status_code, len(answer.text.splitlines())) == (200, 1)


async def test_it_can_only_be_csv(as_role: AsRole) -> None:
    answer = await (await as_role("admin")).post(export_url, json={}, headers={"Accept": "application/json"})
    assert (answer.status_code, slug(answer)) == (406, "not-acceptable")
    answer = await (await as_role("admin")).post(export_url, json={"colour": "red"})
    assert (answer.status_code, codes(answer)) == (422, {"body/colour": "unknown"})


async def test_a_file_that_does_not_fit_into_memory_is_sent_whole(
    as_role: AsRole, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_in_memory_bytes", 100)
    monkeypatch.setattr(downloads, "_piece_bytes", 64)
    for _ in range(3):
        await make_customer(connection, clock)
    answer = await (await as_role("admin")).post(export_url, json={})
    assert (len(rows_of(answer)), len(answer.content)) == (3, int(answer.headers["content-length"]))


async def test_a_fault_on_the_way_is_answered_as_one(
    as_role: AsRole, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(self: object, filters: object, into: io.BytesIO, *, by: object) -> int:
        into.write(b"id\r\n")
        raise RuntimeError

    monkeypatch.setattr(RetailCustomerService, "export_customers", break_off)
    answer = await (await as_role("admin")).post(export_url, json={})
    assert (answer.status_code, slug(answer)) == (500, "internal")
