"""Bulk Operations over HTTP: each is told apart, all or nothing holds, a repeat changes nothing."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.api.probes import codes, slug
from tests.factories.customers import make_customer, set_columns
from tests.factories.statements import counted_statements

status_url, tags_url = "/api/v1/retail-customers/bulk/status", "/api/v1/retail-customers/bulk/tags"


@pytest.fixture
async def people(connection: Connection, clock: Clock) -> list[RetailCustomer]:
    return [await make_customer(connection, clock, tags=["a"]) for _ in range(3)]


def status(*customers: RetailCustomer | UUID, is_active: bool = False, **more: Any) -> dict[str, Any]:
    return {"customer_ids": ids_of(customers), "is_active": is_active, **more}


def ids_of(customers: Any) -> list[str]:
    return [str(one if isinstance(one, UUID) else one.id) for one in customers]


def outcomes(answer: httpx.Response) -> list[tuple[str, str | None]]:
    """What became of each, and with which problem."""
    return [(item["outcome"], item["problem"] and item["problem"]["type"]) for item in answer.json()["items"]]


async def states(connection: Connection, customers: list[RetailCustomer]) -> list[bool]:
    return [(await RetailCustomerRepository(connection).get(one.id)).is_active for one in customers]


async def audited(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute("SELECT action, object_id, fields, facts FROM audit_log ORDER BY id")
    return await cursor.fetchall()


async def test_each_is_told_apart_in_the_order_of_the_request(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock, people: list[RetailCustomer]
) -> None:
    ann, bob, eve = people
    erased, deleted = await make_customer(connection, clock), await make_customer(connection, clock)
    await set_columns(connection, bob, is_active=False)
    await set_columns(connection, erased, deleted_at=clock.now(), erased_at=clock.now())
    await set_columns(connection, deleted, deleted_at=clock.now())
    sent = status(eve, erased, bob, deleted, uuid4(), ann, eve, reason="fraud")
    answer = await admin.post(status_url, json=sent)
    assert answer.status_code == 200
    assert outcomes(answer) == [
        ("changed", None),
        ("failed", "/problems/customer-erased"),
        ("unchanged", None),
        ("failed", "/problems/not-found"),
        ("failed", "/problems/not-found"),
        ("changed", None),
    ]
    assert [item["customer_id"] for item in answer.json()["items"]] == sent["customer_ids"][:6]
    counts = {name: answer.json()[name] for name in ("requested", "changed", "unchanged", "failed")}
    assert counts == {"requested": 6, "changed": 2, "unchanged": 1, "failed": 3}
    assert await states(connection, people) == [False, False, False]
    assert await audited(connection) == [
        (
            "bulk_update_status",
            None,
            [],
            {"is_active": False, "reason": "fraud", "customer_ids": sorted([str(ann.id), str(eve.id)])},
        )
    ]


async def test_a_repeat_changes_nothing(
    admin: httpx.AsyncClient, connection: Connection, people: list[RetailCustomer]
) -> None:
    for changed in (3, 0):
        answer = await admin.post(status_url, json=status(*people))
        assert (answer.json()["changed"], answer.json()["unchanged"]) == (changed, 3 - changed)
    assert len(await audited(connection)) == 1
    assert (await admin.post(status_url, json=status(*people, is_active=True))).json()["changed"] == 3
    assert await states(connection, people) == [True, True, True]


@pytest.mark.parametrize(("url", "change"), [(status_url, {"is_active": False}), (tags_url, {"add": ["b"]})])
async def test_all_or_nothing_names_those_that_stood_in_the_way(
    admin: httpx.AsyncClient,
    connection: Connection,
    people: list[RetailCustomer],
    url: str,
    change: dict[str, Any],
) -> None:
    unknown = uuid4()
    body = {"customer_ids": ids_of([*people, unknown]), "atomic": True, **change}
    for headers in ({}, {"Idempotency-Key": "k"}, {"Idempotency-Key": "k"}):
        answer = await admin.post(url, json=body, headers=headers)
        assert (answer.status_code, slug(answer)) == (409, "bulk-rejected")
        [item] = answer.json()["items"]
        assert (item["customer_id"], item["outcome"]) == (str(unknown), "failed")
        assert (item["problem"]["type"], item["problem"]["status"]) == ("/problems/not-found", 404)
    stored = [await RetailCustomerRepository(connection).get(one.id) for one in people]
    assert stored == people
    assert await audited(connection) == []
    body["customer_ids"].pop()
    assert (await admin.post(url, json=body)).json()["changed"] == 3


async def test_under_a_key_the_first_answer_stands(
    admin: httpx.AsyncClient, connection: Connection, people: list[RetailCustomer]
) -> None:
    key = {"Idempotency-Key": "k"}
    first = await admin.post(status_url, json=status(*people), headers=key)
    await set_columns(connection, people[0], is_active=True)
    again = await admin.post(status_url, json=status(*people), headers=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (await states(connection, people))[0]
    other = await admin.post(status_url, json=status(*people, is_active=True), headers=key)
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")


async def test_tags_are_added_and_removed(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock, people: list[RetailCustomer]
) -> None:
    full = await make_customer(connection, clock, tags=[f"tag {number}" for number in range(50)])
    plain = await make_customer(connection, clock, tags=["vip"])
    body = {"customer_ids": ids_of([people[0], full, plain]), "add": ["vip"], "remove": ["a", "unknown"]}
    answer = await admin.post(tags_url, json=body)
    assert outcomes(answer) == [("changed", None), ("failed", "/problems/validation"), ("unchanged", None)]
    assert answer.json()["items"][1]["problem"]["detail"] == "There would be more than 50 tags."
    customers = RetailCustomerRepository(connection)
    changed = await customers.get(people[0].id)
    assert (changed.tags, changed.version) == (["vip"], 2)
    assert (await customers.get(full.id), await customers.get(plain.id)) == (full, plain)
    assert await audited(connection) == [("bulk_update_tags", None, ["tags"], {"customer_ids": [str(people[0].id)]})]


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        (status_url, {"customer_ids": [], "is_active": True}, {"body/customer_ids": "length"}),
        (status_url, {"customer_ids": ["x"], "is_active": True}, {"body/customer_ids/0": "format"}),
        (
            status_url,
            {"customer_ids": None, "is_active": "true"},
            {"body/customer_ids": "type", "body/is_active": "type"},
        ),
        (tags_url, {"customer_ids": [str(UUID(int=7))]}, {"body/add": "missing", "body/remove": "missing"}),
        (
            tags_url,
            {"customer_ids": [str(UUID(int=7))], "add": ["a"], "remove": ["a"]},
            {"body/add": "range", "body/remove": "range"},
        ),
        (tags_url, {"customer_ids": [str(UUID(int=7))], "add": [f"{n}" for n in range(51)]}, {"body/add": "length"}),
    ],
)
async def test_a_change_without_sense_is_refused(
    admin: httpx.AsyncClient, url: str, body: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await admin.post(url, json=body)
    assert (answer.status_code, slug(answer), codes(answer)) == (422, "validation", expected)


@pytest.mark.parametrize("role", ["customer", "service", "staff", "analyst"])
@pytest.mark.parametrize("url", [status_url, tags_url])
async def test_only_who_may_write_in_bulk_does(as_role: AsRole, role: str, url: str) -> None:
    answer = await (await as_role(role)).post(url, json={})  # type: ignore[arg-type]
    assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


@pytest.mark.parametrize(("url", "change"), [(status_url, {"is_active": False}), (tags_url, {"add": ["b"]})])
async def test_many_take_as_few_statements_as_one(
    admin: httpx.AsyncClient,
    connection: Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    change: dict[str, Any],
) -> None:

    async def taken(count: int) -> int:
        customers = [await make_customer(connection, clock) for _ in range(count)]
        with counted_statements(monkeypatch) as statements:
            answer = await admin.post(url, json={"customer_ids": ids_of(customers), **change})
        assert answer.json()["changed"] == count
        return len(statements)

    assert await taken(1) == await taken(20)
