"""GET /orders and GET /orders/{order_id}."""

from typing import Any

import httpx
import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.orders import repository_search
from tests.api.conftest import AsRole
from tests.api.probes import without_trace
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order
from tests.factories.statements import counted_statements

url = "/api/v1/orders"


async def ids(caller: httpx.AsyncClient, query: str = "") -> list[str]:
    answer = await caller.get(url + query)
    assert answer.status_code == 200, answer.json()
    return [order["id"] for order in answer.json()["items"]]


async def test_orders_are_found_by_every_filter(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    ann, bob = await make_customer(connection, clock), await make_customer(connection, clock)
    first = await make_order(connection, clock, ann.id, "10", days_ago=3)
    second = await make_order(connection, clock, ann.id, "30", days_ago=2, refunds=[Refund("5")])
    third = await make_order(connection, clock, bob.id, "20", days_ago=1, source="web", cancelled_days_ago=0)
    staff = await as_role("staff")
    expected: dict[str, list[Any]] = {
        "": [third, second, first],
        f"?customer_id={ann.id}": [second, first],
        "?source=web": [third],
        "?status=cancelled&status=partially_refunded": [third, second],
        "?ordered_from=2026-06-13&ordered_to=2026-06-13": [second],
        "?total_min=20&total_max=30": [third, second],
        "?has_refunds=true": [second],
        "?has_refunds=false&sort=ordered_at": [first, third],
        "?sort=created_at&limit=1&offset=1": [second],
        "?channel=app": [],
    }
    for query, found in expected.items():
        assert await ids(staff, query) == [str(order) for order in found], query
    page = (await staff.get(url + "?limit=1")).json()
    assert (page["total"], page["total_is_estimate"], page["limit"], page["offset"]) == (3, False, 1, 0)
    assert (await staff.get(url + "?total_min=2&total_max=1")).status_code == 422
    assert (await staff.get(url + "?sort=customer_id")).status_code == 422


async def test_who_sees_whose_orders(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    ann, bob, gone = [await make_customer(connection, clock) for _ in range(3)]
    hers = str(await make_order(connection, clock, ann.id, source="web"))
    his = str(await make_order(connection, clock, bob.id, source="till"))
    lost = str(await make_order(connection, clock, gone.id, source="till"))
    await set_columns(connection, gone, deleted_at=clock.now())
    customer = await as_role("customer", customer_id=ann.id)
    assert await ids(customer) == [hers]
    assert await ids(customer, f"?customer_id={bob.id}") == []
    foreign, missing = await customer.get(f"{url}/{his}"), await customer.get(f"{url}/{bob.id}")
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert without_trace(foreign) == without_trace(missing)
    assert (await customer.get(f"{url}/{hers}")).status_code == 200
    till = await as_role("service", source="till")
    assert await ids(till) == [his]
    assert await ids(till, f"?customer_id={ann.id}") == [hers]
    assert await ids(await as_role("staff")) == [his, hers]
    assert await ids(await as_role("admin")) == [lost, his, hers]
    nobody = await as_role("customer")
    assert await ids(nobody) == []


async def test_what_was_noted_is_hidden_from_those_who_only_read_reports(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    ann, till = await make_customer(connection, clock), await as_role("service", source="till")
    body = {"external_id": "1", "ordered_at": "2026-06-15T07:30:00Z", "total": "1.00", "metadata": {"a": 1}}
    created = await till.post(url, json=body | {"customer_id": str(ann.id)})
    assert created.headers["Location"] == f"{url}/{created.json()['id']}"
    callers = {
        "service": till,
        "staff": await as_role("staff"),
        "analyst": await as_role("analyst"),
        "customer": await as_role("customer", customer_id=ann.id),
    }
    for name, caller in callers.items():
        expected = None if name == "analyst" else {"a": 1}
        assert (await caller.get(created.headers["Location"])).json()["metadata"] == expected, name
        assert (await caller.get(url)).json()["items"][0]["metadata"] == expected, name


async def test_an_order_is_read_by_its_id_in_its_source(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    ann, staff = await make_customer(connection, clock), await as_role("staff")
    till = await as_role("service", source="till")
    body = {"external_id": "2026:7", "ordered_at": "2026-06-15T07:30:00Z", "total": "1.00", "customer_id": str(ann.id)}
    created = (await till.post(url, json=body)).json()
    assert (await staff.get(f"{url}/till:2026:7")).json() == created
    assert (await staff.get(f"{url}/till:8")).status_code == 404
    assert (await staff.get(f"{url}/7")).status_code == 422


async def test_a_page_of_many_takes_as_few_statements_as_one_order(
    as_role: AsRole, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, staff = await make_customer(connection, clock), await as_role("staff")
    monkeypatch.setattr(repository_search, "counted_exactly", 3)
    taken = []
    for _ in range(2):
        for _ in range(5):
            await make_order(connection, clock, ann.id, "10", refunds=[Refund("1"), Refund("2")])
        with counted_statements(monkeypatch) as statements:
            assert len(await ids(staff, "?limit=100")) in {5, 10}
        taken.append(len(statements))
    assert taken[0] == taken[1]
    page = (await staff.get(f"{url}?limit=2")).json()
    assert (page["total_is_estimate"], page["total"] >= 4) == (True, True)
