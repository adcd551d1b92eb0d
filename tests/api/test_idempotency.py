"""Work under an Idempotency-Key, shown on a route that writes a product and counts how often it works."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Response

from regulars.api.access import requires
from regulars.api.deps import TransactionDep
from regulars.api.idempotency import Answer, OnceDep
from regulars.api.routing import Router
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.errors import Conflict, NotFound
from regulars.kit.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from regulars.kit.schemas import RequestSchema, ResponseSchema
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import sign_in

router = Router(tags=["Operations"])
concerned = UUID("0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77")


class SoldOut(Conflict):
    """There is none left."""


class Wanted(RequestSchema):
    sku: str
    fate: str = "success"


class Booked(ResponseSchema):
    sku: str
    count: int


class Desk:
    """Holds the work up until the test lets it go on."""

    def __init__(self) -> None:
        self.count, self.started, self.go_on = 0, asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self.is_closed = False


desk = Desk()


@router.post("/bookings/{shelf}", response_model=Booked)
async def book(
    shelf: str,
    wanted: Wanted,
    caller: Annotated[Principal, requires("self")],
    once: OnceDep,
    transaction: TransactionDep,
) -> Response:
    async def work() -> Answer:
        desk.count += 1
        desk.started.set()
        if desk.is_closed:
            raise SoldOut
        await transaction.execute(
            "INSERT INTO products (sku, created_at, updated_at) VALUES (%s, now(), now())", [wanted.sku]
        )
        await desk.go_on.wait()
        if fate := {"refused": SoldOut(left=0), "missing": NotFound(), "broken": RuntimeError()}.get(wanted.fate):
            raise fate
        return Answer(
            Booked(sku=wanted.sku, count=desk.count), headers={"Location": f"/{wanted.sku}"}, concerns=concerned
        )

    return await once.run(work)


@pytest.fixture(autouse=True)
def fresh_desk() -> None:
    desk.__init__()  # type: ignore[misc]


@pytest.fixture
async def till(app: FastAPI, as_role: AsRole) -> httpx.AsyncClient:
    app.include_router(router)
    return await as_role("service")


url = "/api/v1/bookings/a"


def key(text: str = "k1") -> dict[str, str]:
    return {"Idempotency-Key": text}


async def rows_of(connection: Connection, table: str) -> int:
    return (await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchone())[0]  # type: ignore[index,arg-type]


async def test_a_repeat_gets_the_first_answer_byte_for_byte(till: httpx.AsyncClient, connection: Connection) -> None:
    first = await till.post(url, json={"sku": "a"}, headers=key())
    other = await till.post(
        url, content=b' {"fate": "success",\n"sku": "\\u0061"} ', headers=key() | {"Content-Type": "application/json"}
    )
    again = await till.post(
        url, content=b' {"sku":   "\\u0061"} ', headers=key() | {"Content-Type": "application/json"}
    )
    assert (first.status_code, first.headers.get("Idempotency-Replayed")) == (201, None)
    assert slug(other) == "idempotency-key-reused"
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == "/a"
    assert again.headers["Content-Type"] == "application/json"
    assert (desk.count, await rows_of(connection, "products")) == (1, 1)


async def test_without_a_key_work_is_done_each_time(till: httpx.AsyncClient, connection: Connection) -> None:
    for sku in ("a", "b"):
        assert (await till.post(url, json={"sku": sku})).status_code == 201
    assert (desk.count, await rows_of(connection, "idempotency_keys")) == (2, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [(url, {"sku": "b"}), ("/api/v1/bookings/b", {"sku": "a"}), (url, {"sku": "a", "fate": "success"})],
)
async def test_a_key_belongs_to_one_request(till: httpx.AsyncClient, path: str, body: dict[str, str]) -> None:
    await till.post(url, json={"sku": "a"}, headers=key())
    answer = await till.post(path, json=body, headers=key())
    assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused")
    assert desk.count == 1


async def test_a_key_belongs_to_one_caller(till: httpx.AsyncClient, as_role: AsRole) -> None:
    await till.post(url, json={"sku": "a"}, headers=key())
    other = await (await as_role("service")).post(url, json={"sku": "b"}, headers=key())
    assert (other.status_code, other.json()) == (201, {"sku": "b", "count": 2})


@pytest.mark.parametrize("text", ["", "x" * 256, "a b", "a\tb", b"k\xe9y"])
async def test_a_key_is_visible_ascii(till: httpx.AsyncClient, text: str | bytes) -> None:
    answer = await till.post(url, json={"sku": "a"}, headers={"Idempotency-Key": text})  # type: ignore[dict-item]
    assert (answer.status_code, slug(answer), desk.count) == (400, "idempotency-key-invalid", 0)


async def test_two_keys_are_no_key(till: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert slug(await till.post(url, json={"sku": "a"}, headers=headers)) == "idempotency-key-invalid"


async def test_a_refusal_is_kept_and_what_was_written_before_it_is_not(
    till: httpx.AsyncClient, connection: Connection
) -> None:
    first = await till.post(url, json={"sku": "a", "fate": "refused"}, headers=key())
    again = await till.post(url, json={"sku": "a", "fate": "refused"}, headers=key())
    assert (first.status_code, slug(first), first.json()["left"]) == (409, "sold-out", 0)
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"
    assert (desk.count, await rows_of(connection, "products")) == (1, 0)


@pytest.mark.parametrize(("fate", "status"), [("missing", 404), ("broken", 500)])
async def test_faults_and_what_earlier_steps_refuse_are_not_kept(
    till: httpx.AsyncClient, connection: Connection, fate: str, status: int
) -> None:
    for _ in range(2):
        assert (await till.post(url, json={"sku": "a", "fate": fate}, headers=key())).status_code == status
    assert desk.count == 2
    assert await rows_of(connection, "products") + await rows_of(connection, "idempotency_keys") == 0


async def test_invalid_values_leave_the_key_free(till: httpx.AsyncClient) -> None:
    assert (await till.post(url, json={"sku": 1}, headers=key())).status_code == 422
    assert (await till.post(url, json={"sku": "a"}, headers=key())).status_code == 201


async def test_the_kept_answer_names_the_customer_it_concerns(till: httpx.AsyncClient, connection: Connection) -> None:
    await till.post(url, json={"sku": "a"}, headers=key())
    row = await (await connection.execute("SELECT customer_id FROM idempotency_keys")).fetchone()
    assert row == (concerned,)


async def test_a_key_is_new_again_after_its_days(
    till: httpx.AsyncClient, settings: Settings, database: RolledBackDatabase, clock: Clock, connection: Connection
) -> None:
    await till.post(url, json={"sku": "a"}, headers=key())
    assert clock.stopped_at is not None
    later = replace(clock, stopped_at=clock.stopped_at + timedelta(days=settings.idempotency_days))
    app = create_app(settings, database=database, clock=later)
    app.include_router(router)
    token, _ = await sign_in(connection, settings, later, role="service")
    await connection.execute(
        "UPDATE idempotency_keys SET principal_id = (SELECT id FROM api_clients ORDER BY id DESC LIMIT 1)"
    )
    async with client_of(app, token) as client:
        answer = await client.post(url, json={"sku": "b"}, headers=key())
    assert (answer.status_code, answer.json()) == (201, {"sku": "b", "count": 2})


@pytest.fixture
async def crowd(settings: Settings, own_database_url: str, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A till on a database where requests commit and do not wait long for each other."""
    async with Database(own_database_url, size=4, lock_seconds=0.2) as database:
        app = create_app(settings, database=database, clock=clock)
        app.include_router(router)
        async with database.transaction() as connection:
            token, _ = await sign_in(connection, settings, clock, role="service")
        async with client_of(app, token) as client:
            yield client


async def test_a_repeat_while_the_first_still_runs_is_told_so(crowd: httpx.AsyncClient) -> None:
    desk.go_on.clear()
    first = asyncio.create_task(crowd.post(url, json={"sku": "a"}, headers=key()))
    await desk.started.wait()
    second = await crowd.post(url, json={"sku": "a"}, headers=key())
    assert (second.status_code, slug(second), second.headers["Retry-After"]) == (409, "idempotency-in-progress", "1")
    desk.go_on.set()
    assert (await first).status_code == 201
    assert (await crowd.post(url, json={"sku": "a"}, headers=key())).headers["Idempotency-Replayed"] == "true"


async def test_of_many_at_once_one_works_and_all_get_its_answer(crowd: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(crowd.post(url, json={"sku": "a"}, headers=key()) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert desk.count == 1


async def test_many_that_are_refused_at_once_all_get_one_refusal(crowd: httpx.AsyncClient) -> None:
    wanted = {"sku": "a", "fate": "refused"}
    answers = await asyncio.gather(*(crowd.post(url, json=wanted, headers=key()) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {409}
    assert len({answer.content for answer in answers}) == 1


async def test_a_refusal_gives_way_to_the_answer_that_was_kept_meanwhile(
    till: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await till.post(url, json={"sku": "a"}, headers=key())
    claim, is_kept = IdempotencyKeys.claim, iter([False, True])

    async def claimed(keys: IdempotencyKeys, request: KeyedRequest, *, now: datetime) -> StoredAnswer | None:
        return await claim(keys, request, now=now) if next(is_kept) else None

    monkeypatch.setattr(IdempotencyKeys, "claim", claimed)
    desk.is_closed = True
    second = await till.post(url, json={"sku": "a"}, headers=key())
    assert (second.status_code, second.content) == (201, first.content)


async def test_an_answer_that_came_between_look_and_claim_is_not_given_twice(
    till: httpx.AsyncClient, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that claims sees the table as it was a moment before: what comes to be kept then is caught."""
    first = await till.post(url, json={"sku": "a"}, headers=key())
    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyKeys, "claim", lambda *_, **__: asyncio.sleep(0))
        await connection.execute("UPDATE products SET sku = 'b'")
        second = await till.post(url, json={"sku": "a"}, headers=key())
    assert (second.status_code, slug(second)) == (409, "idempotency-in-progress")
    assert await rows_of(connection, "products") == 1
    third = await till.post(url, json={"sku": "a"}, headers=key())
    assert (third.status_code, third.content) == (201, first.content)
