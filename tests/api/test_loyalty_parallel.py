"""Points when many ask at once, over connections that really commit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.security import Role
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from tests.api.conftest import client_of
from tests.api.patience import settled
from tests.factories.accounts import sign_in
from tests.factories.loyalty import make_member
from tests.factories.waiting import until_somebody_waits

base = "/api/v1/retail-customers/loyalty"


@dataclass(frozen=True)
class Shop:
    """An application that commits, and its database for the test itself."""

    app: FastAPI
    connection: Connection
    settings: Settings
    clock: Clock

    async def caller(self, role: Role) -> httpx.AsyncClient:
        token, _ = await sign_in(self.connection, self.settings, self.clock, role=role)
        return client_of(self.app, token)

    async def member(self) -> UUID:
        return await make_member(self.connection, self.clock)

    async def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await (await self.connection.execute(statement, parameters)).fetchall()  # type: ignore[arg-type]


@pytest.fixture
async def shop(committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Shop]:
    """Audited when the test is over."""
    async with connect(own_database_url) as connection:
        await connection.set_autocommit(True)
        yield Shop(committing_app, connection, settings, clock)
        assert (await AuditService(connection).audit_ledger()).violations == 0


async def test_of_fifty_redemptions_exactly_those_with_funds_succeed(shop: Shop) -> None:
    customer_id, admin = await shop.member(), await shop.caller("admin")
    sent = {"customer_id": str(customer_id), "points": 100}
    await admin.post(f"{base}/earn", json=sent | {"points": 1000})
    answers = await asyncio.gather(*(settled(admin, "POST", f"{base}/redeem", json=sent) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 40}
    assert await shop.rows("SELECT balance, last_seq FROM loyalty_accounts") == [(0, 11)]


async def test_fifty_requests_with_one_key_have_one_effect_and_one_answer(shop: Shop) -> None:
    customer_id, admin = await shop.member(), await shop.caller("admin")
    sent = {"customer_id": str(customer_id), "points": 7, "description": "once"}

    async def ask() -> httpx.Response:
        while True:
            answer = await settled(admin, "POST", f"{base}/earn", json=sent, headers={"Idempotency-Key": "one"})
            if answer.status_code != 409:
                return answer

    answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 49
    assert await shop.rows("SELECT points FROM loyalty_transactions") == [(7,)]


@pytest.mark.parametrize("path", ["/earn", "/earn/bulk"])
async def test_a_tills_cap_of_the_day_is_never_passed(shop: Shop, path: str) -> None:
    members = [await shop.member() for _ in range(20)]
    till = await shop.caller("service")
    await shop.connection.execute("UPDATE api_clients SET max_points_per_day = 1000")
    awards: list[dict[str, object]] = [{"customer_id": str(member), "points": 300} for member in members]
    bodies = awards if path == "/earn" else [{"awards": [award]} for award in awards]
    answers = await asyncio.gather(*(settled(till, "POST", base + path, json=body) for body in bodies))
    assert Counter(answer.status_code == 403 for answer in answers) == {True: 17, False: 3}
    assert {answer.json()["type"] for answer in answers if answer.status_code == 403} == {"/problems/limit-exceeded"}
    assert await shop.rows("SELECT sum(points) FROM loyalty_transactions") == [(900,)]


async def test_a_key_whose_first_request_is_held_is_in_progress(shop: Shop, own_database_url: str) -> None:
    token, _ = await sign_in(shop.connection, shop.settings, shop.clock, role="admin")
    sent: dict[str, object] = {"customer_id": str(await shop.member()), "points": 7}
    admin, headers = client_of(shop.app, token), {"Idempotency-Key": "k"}
    await admin.post(f"{base}/earn", json=sent)
    async with Database(own_database_url, lock_seconds=30) as patient, patient.transaction() as holding:
        await holding.execute("SELECT FROM loyalty_accounts FOR UPDATE")
        slow = client_of(create_app(shop.settings, database=patient, clock=shop.clock), token)
        first = asyncio.create_task(slow.post(f"{base}/earn", json=sent, headers=headers))
        await until_somebody_waits(own_database_url)
        second = await admin.post(f"{base}/earn", json=sent, headers=headers)
    assert (second.status_code, second.json()["type"]) == (409, "/problems/idempotency-in-progress")
    assert int(second.headers["Retry-After"]) > 0
    assert (await first).status_code == 201
    assert (await admin.post(f"{base}/earn", json=sent, headers=headers)).content == (await first).content


async def test_who_hangs_up_and_repeats_books_once(shop: Shop) -> None:
    customer_id, admin = await shop.member(), await shop.caller("admin")
    sent, headers = {"customer_id": str(customer_id), "points": 7}, {"Idempotency-Key": "k"}
    for _ in range(20):
        hasty = asyncio.create_task(admin.post(f"{base}/earn", json=sent, headers=headers))
        await asyncio.sleep(0.002)
        hasty.cancel()
        await asyncio.gather(hasty, return_exceptions=True)
    answer = await settled(admin, "POST", f"{base}/earn", json=sent, headers=headers)
    assert answer.status_code == 201
    assert await shop.rows("SELECT points FROM loyalty_transactions") == [(7,)]
    again = await settled(admin, "POST", f"{base}/earn", json=sent, headers=headers)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (answer.content, "true")
