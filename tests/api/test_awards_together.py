"""Awards that come at once share a transaction, and nobody can tell from the answers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.kit import gathering
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, DatabaseUnavailable, connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, BulkAwardService, bulk_earn
from tests.api.conftest import client_of
from tests.api.patience import settled
from tests.factories.accounts import sign_in
from tests.factories.loyalty import make_member, make_members
from tests.factories.waiting import until_somebody_waits

base = "/api/v1/retail-customers/loyalty"


class Crowd:
    """Customers with points, tills that award at once, and the database for the test itself."""

    def __init__(self, app: FastAPI, connection: Connection, settings: Settings, clock: Clock) -> None:
        self.app, self.connection, self.settings, self.clock = app, connection, settings, clock

    async def members(self, count: int) -> list[UUID]:
        ids = await make_members(self.connection, self.clock, count)
        await bulk_earn(self.app.state.database, self.clock, [AwardLine(id_, 100) for id_ in ids], by=operator)
        return ids

    async def till(self) -> tuple[httpx.AsyncClient, UUID | None]:
        token, caller = await sign_in(self.connection, self.settings, self.clock, role="service")
        return client_of(self.app, token), caller.id

    @asynccontextmanager
    async def held(self, *customers: UUID) -> AsyncIterator[None]:
        async with self.connection.transaction():
            await self.connection.execute(
                "SELECT FROM loyalty_accounts WHERE customer_id = ANY (%s) FOR UPDATE", [list(customers)]
            )
            yield

    @asynccontextmanager
    async def busy(self, until: int) -> AsyncIterator[None]:
        """Two other awards are being booked until so many wait."""
        counter = self.app.state.awards._gathering
        places = [counter._take_place() for _ in range(2)]
        yield
        async with asyncio.timeout(20):
            while len(counter._waiting) < until:  # noqa: ASYNC110 - nobody tells who waits
                await asyncio.sleep(0.005)
        for place in places:
            place.leave()

    async def send(self, till: httpx.AsyncClient, bodies: Sequence[dict[str, object]]) -> list[httpx.Response]:
        """All at once, each under a key of its own."""
        async with self.busy(until=len(bodies)):
            asked = asyncio.gather(*(ask(till, body, f"key-{number}") for number, body in enumerate(bodies)))
        return await asked

    def ways(self) -> dict[str, float]:
        [figure] = self.app.state.awards.figures()
        return {labels["way"]: count for _, labels, count in figure.values}

    async def rows(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        return await (await self.connection.execute(statement, parameters)).fetchall()  # type: ignore[arg-type]


class CutOff:
    """A database whose connections are lost after each commit, before the word of it arrives."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.database.transaction() as connection:
            yield connection
        raise DatabaseUnavailable(retry_after=1)


@pytest.fixture
async def crowd(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Crowd]:
    """Audited when the test is over. Who waits has all the patience in the world."""
    monkeypatch.setattr(gathering, "patience_seconds", 3600)
    async with connect(own_database_url) as connection:
        yield Crowd(committing_app, connection, settings, clock)
        assert (await AuditService(connection).audit_ledger()).violations == 0


async def ask(till: httpx.AsyncClient, body: dict[str, object], key: str) -> httpx.Response:
    return await settled(till, "POST", f"{base}/earn", json=body, headers={"Idempotency-Key": key})


async def test_a_crowd_shares_transactions_and_each_gets_what_is_its_own(crowd: Crowd) -> None:
    members, (till, till_id) = await crowd.members(30), await crowd.till()
    bodies: list[dict[str, object]] = [
        {
            "customer_id": str(member),
            "points": 10_000 + number,
            "order_id": str(uuid4()),
            "expiry_days": None if number % 2 else 30,
            "description": f"for {number}",
        }
        for number, member in enumerate(members)
    ]
    answers = await crowd.send(till, bodies)
    assert [answer.status_code for answer in answers] == [201] * 30
    for body, answer in zip(bodies, answers, strict=True):
        told = answer.json()
        assert {name: told[name] for name in ("customer_id", "points", "order_id", "description")} == {
            name: body[name] for name in ("customer_id", "points", "order_id", "description")
        }
        assert (told["seq"], told["balance_after"]) == (2, 100 + int(str(body["points"])))
        assert (told["expires_at"] is None) is (body["expiry_days"] is None)
        assert told["created_by"] == str(till_id)
    assert crowd.ways() == {"alone": 0, "together": 30, "left": 0}
    by_trace = {answer.headers["X-Request-Id"]: answer.json()["customer_id"] for answer in answers}
    events = await crowd.rows(
        "SELECT trace_id, customer_id::text, kind, written_by FROM events WHERE trace_id = ANY (%s)", list(by_trace)
    )
    assert Counter(kind for *_, kind, _ in events) == {"points.earned": 30, "tier.changed": 30}
    assert all(by_trace[str(trace_id)] == customer_id for trace_id, customer_id, *_ in events)
    assert len({written_by for *_, written_by in events}) == 1
    again = await crowd.send(till, bodies)
    assert [answer.content for answer in again] == [answer.content for answer in answers]
    assert {answer.headers["Idempotency-Replayed"] for answer in again} == {"true"}
    assert await crowd.rows("SELECT count(*) FROM loyalty_transactions") == [(60,)]


async def test_each_caller_is_who_gave_the_points(crowd: Crowd) -> None:
    members, tills = await crowd.members(20), [await crowd.till() for _ in range(2)]
    bodies: list[dict[str, object]] = [{"customer_id": str(member), "points": 5} for member in members]
    async with crowd.busy(until=20):
        asked = asyncio.gather(
            *(ask(tills[number % 2][0], body, f"key-{number // 2}") for number, body in enumerate(bodies))
        )
    for number, answer in enumerate(await asked):
        assert (answer.status_code, answer.json()["created_by"]) == (201, str(tills[number % 2][1]))
    assert crowd.ways() == {"alone": 0, "together": 20, "left": 0}


async def test_in_a_crowd_each_is_refused_as_it_would_be_alone(crowd: Crowd) -> None:
    members, (till, _) = await crowd.members(20), await crowd.till()
    credited, others = str(uuid4()), str(uuid4())
    for customer, order in ((members[0], credited), (members[1], others)):
        await till.post(f"{base}/earn", json={"customer_id": str(customer), "points": 1, "order_id": order})
    inactive = await make_member(crowd.connection, crowd.clock, is_active=False)
    gone = await make_member(crowd.connection, crowd.clock, erased=True)
    fresh = await make_member(crowd.connection, crowd.clock)
    odd: list[tuple[dict[str, object], int]] = [
        ({"customer_id": str(uuid4())}, 404),
        ({"customer_id": str(inactive)}, 409),
        ({"customer_id": str(gone)}, 404),
        ({"customer_id": str(members[0]), "order_id": credited}, 409),
        ({"customer_id": str(members[2]), "order_id": others}, 404),
        ({"customer_id": str(fresh)}, 201),
    ]
    usual: list[tuple[dict[str, object], int]] = [({"customer_id": str(member)}, 201) for member in members[3:]]
    sent = [*usual[:8], *odd, *usual[8:]]
    bodies = [{"points": 7, **body} for body, _ in sent]
    answers = await crowd.send(till, bodies)
    assert [answer.status_code for answer in answers] == [status for _, status in sent]
    assert answers[11].json()["type"] == "/problems/already-credited"
    assert "transaction_id" in answers[11].json()
    assert crowd.ways() == {"alone": 0, "together": 17, "left": 6}
    again = await crowd.send(till, bodies)
    kept = [answer.content for answer in answers if answer.status_code in {201, 409}]
    assert [answer.content for answer in again if answer.status_code in {201, 409}] == kept


async def test_one_customer_one_order_and_one_key_are_never_in_a_transaction_twice(crowd: Crowd) -> None:
    members, (till, _) = await crowd.members(6), await crowd.till()
    order = str(uuid4())
    bodies: list[dict[str, object]] = [
        {"customer_id": str(member), "points": 3} for member in members for _ in range(3)
    ]
    bodies += [{"customer_id": str(members[0]), "points": 5, "order_id": order} for _ in range(3)]
    answers = await crowd.send(till, bodies)
    assert Counter(answer.status_code for answer in answers) == {201: 19, 409: 2}
    one_key = [till.post(f"{base}/earn", json=bodies[0], headers={"Idempotency-Key": "one"}) for _ in range(12)]
    answers = await asyncio.gather(*one_key)
    assert {answer.content for answer in answers if answer.status_code == 201} == {answers[0].content}
    assert await crowd.rows(
        "SELECT sum(points), count(DISTINCT (customer_id, seq)) FROM loyalty_transactions WHERE points < 100"
    ) == [(18 * 3 + 5 + 3, 20)]


async def test_a_key_with_another_body_is_refused_in_a_crowd_too(crowd: Crowd) -> None:
    members, (till, _) = await crowd.members(10), await crowd.till()
    first = await crowd.send(till, [{"customer_id": str(member), "points": 3} for member in members])
    second = await crowd.send(till, [{"customer_id": str(member), "points": 4} for member in members])
    assert {answer.status_code for answer in first} == {201}
    assert {answer.json()["type"] for answer in second} == {"/problems/idempotency-key-reused"}


async def test_who_is_held_up_holds_up_nobody(
    crowd: Crowd, own_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two whose accounts are held take all the room there is, until the patience of the others ends."""
    monkeypatch.setattr(gathering, "patience_seconds", 0.05)
    members, (till, _) = await crowd.members(20), await crowd.till()
    bodies: list[dict[str, object]] = [{"customer_id": str(member), "points": 3} for member in members]
    async with crowd.held(*members[:2]):
        waiting = [asyncio.create_task(ask(till, body, str(number))) for number, body in enumerate(bodies[:2])]
        await until_somebody_waits(own_database_url)
        others = asyncio.gather(*(ask(till, body, f"other-{number}") for number, body in enumerate(bodies[2:])))
        # Less than a statement may wait for a lock.
        assert {answer.status_code for answer in await asyncio.wait_for(others, timeout=1.5)} == {201}
        assert not any(task.done() for task in waiting)
    assert {(await task).status_code for task in waiting} == {201}


async def test_a_held_account_in_a_crowd_is_left_to_wait_by_itself(crowd: Crowd, own_database_url: str) -> None:
    members, (till, _) = await crowd.members(20), await crowd.till()
    async with crowd.held(members[15]):
        async with crowd.busy(until=20):
            tasks = [
                asyncio.create_task(ask(till, {"customer_id": str(member), "points": 3}, str(member)))
                for member in members
            ]
        _, pending = await asyncio.wait(tasks, timeout=1.5)
        assert pending == {tasks[15]}
    assert {(await task).status_code for task in tasks} == {201}
    assert crowd.ways() == {"alone": 0, "together": 19, "left": 1}


async def test_after_a_fault_in_the_common_work_each_is_booked_alone(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    members, (till, _) = await crowd.members(10), await crowd.till()

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(BulkAwardService, "earn_free", broken)
    answers = await crowd.send(till, [{"customer_id": str(member), "points": 3} for member in members])
    assert {answer.status_code for answer in answers} == {201}
    assert crowd.ways()["together"] == 0
    assert "unhandled" in caplog.messages


async def test_a_commit_whose_word_got_lost_is_found_by_the_key(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    members, (till, _) = await crowd.members(10), await crowd.till()
    bodies: list[dict[str, object]] = [{"customer_id": str(member), "points": 3} for member in members]
    with monkeypatch.context() as patched:
        patched.setattr(crowd.app.state.awards, "_database", CutOff(crowd.app.state.database))
        async with crowd.busy(until=10):
            asked = asyncio.gather(
                *(
                    till.post(f"{base}/earn", json=body, headers={"Idempotency-Key": f"key-{number}"})
                    for number, body in enumerate(bodies)
                )
            )
        answers = await asked
    assert {answer.status_code for answer in answers} == {503}
    assert await crowd.rows("SELECT count(*) FROM loyalty_transactions WHERE points = 3") == [(10,)]
    answers = await crowd.send(till, bodies)
    assert {(answer.status_code, answer.headers.get("Idempotency-Replayed")) for answer in answers} == {(201, "true")}
    assert await crowd.rows("SELECT count(*) FROM loyalty_transactions WHERE points = 3") == [(10,)]


async def test_a_caller_with_caps_is_counted_to_the_point(crowd: Crowd) -> None:
    members, (till, _) = await crowd.members(20), await crowd.till()
    await crowd.connection.execute("UPDATE api_clients SET max_points_per_day = 1000")
    answers = await asyncio.gather(
        *(ask(till, {"customer_id": str(member), "points": 300}, str(member)) for member in members)
    )
    assert Counter(answer.status_code for answer in answers) == {201: 3, 403: 17}
    assert await crowd.rows("SELECT sum(points) FROM loyalty_transactions WHERE points = 300") == [(900,)]
    assert crowd.ways() == {"alone": 0, "together": 0, "left": 0}


async def test_without_a_key_an_award_is_booked_alone(crowd: Crowd) -> None:
    members, (till, _) = await crowd.members(10), await crowd.till()
    answers = await asyncio.gather(
        *(settled(till, "POST", f"{base}/earn", json={"customer_id": str(member), "points": 3}) for member in members)
    )
    assert {answer.status_code for answer in answers} == {201}
    assert crowd.ways() == {"alone": 0, "together": 0, "left": 0}
