"""Purchase history, and everything about one customer."""

import json
from typing import Any
from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.analytics.test_runs import shop_of
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order
from tests.factories.statements import counted_statements

base = "/api/v1/retail-customers"
Json = dict[str, Any]


async def with_lines(as_role: AsRole, customer_id: object, connection: Connection, number: int = 0) -> None:
    """An order of two categories."""
    await connection.execute(
        "INSERT INTO products (sku, category, created_at, updated_at) VALUES ('TEA', 'drinks', now(), now()),"
        " ('SOAP', 'bath', now(), now()) ON CONFLICT DO NOTHING"
    )
    lines = [
        {"sku": "TEA", "quantity": "0.5", "unit_price": "20.00"},
        {"sku": "SOAP", "quantity": 2, "unit_price": "15.00"},
        {"sku": "UNKNOWN", "quantity": 1, "unit_price": "1.00"},
    ]
    body = {"external_id": f"H{number}", "ordered_at": "2026-06-15T07:30:00Z", "total": "41.00", "lines": lines}
    answer = await (await as_role("service")).post("/api/v1/orders", json=body | {"customer_id": str(customer_id)})
    assert answer.status_code == 201


async def test_the_history_tells_orders_amounts_and_categories_over_time(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "100", days_ago=60, refunds=[Refund("25")])
    await make_order(connection, clock, customer.id, "50", days_ago=60)
    await make_order(connection, clock, customer.id, "70", days_ago=30, refunds=[Refund("70")])
    await make_order(connection, clock, customer.id, "80", days_ago=30, cancelled_days_ago=1)
    await with_lines(as_role, customer.id, connection)
    told = (await (await as_role("staff")).get(f"{base}/{customer.id}/purchase-history")).json()
    assert told == {
        "customer_id": str(customer.id),
        "from": None,
        "to": None,
        "orders": 3,
        "cancelled_orders": 1,
        "returned_orders": 1,
        "total": "191.00",
        "refunded": "25.00",
        "net": "166.00",
        "average_order_value": "55.33",
        "first_order_date": "2026-04-16",
        "last_order_date": "2026-06-15",
        "purchase_days": 2,
        "average_days_between": 60.0,
        "months": [
            {"month": "2026-04", "orders": 2, "net": "125.00"},
            {"month": "2026-05", "orders": 0, "net": "0.00"},
            {"month": "2026-06", "orders": 1, "net": "41.00"},
        ],
        "categories": [
            {"category": "bath", "orders": 1, "quantity": "2", "total": "30.00", "share": 30 / 41},
            {"category": "drinks", "orders": 1, "quantity": "0.5", "total": "10.00", "share": 10 / 41},
            {"category": None, "orders": 1, "quantity": "1", "total": "1.00", "share": 1 / 41},
        ],
    }


async def test_the_history_of_a_period(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, staff = await make_customer(connection, clock), await as_role("staff")
    for days_ago in (0, 10, 20):
        await make_order(connection, clock, customer.id, "10", days_ago=days_ago)
    url = f"{base}/{customer.id}/purchase-history"
    for query, orders in (("?from=2026-06-05", 2), ("?to=2026-06-05", 2), ("?from=2026-06-05&to=2026-06-05", 1)):
        assert (await staff.get(url + query)).json()["orders"] == orders
    empty = (await staff.get(f"{url}?to=2020-01-01")).json()
    assert (empty["net"], empty["average_order_value"], empty["months"], empty["average_days_between"]) == (
        "0.00",
        None,
        [],
        None,
    )
    refused = await staff.get(f"{url}?from=2026-06-05&to=2026-06-04")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/to")


async def test_customers_read_their_own_history_only(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    ann, bob = await make_customer(connection, clock), await make_customer(connection, clock)
    caller = await as_role("customer", customer_id=ann.id)
    assert (await caller.get(f"{base}/{ann.id}/purchase-history")).status_code == 200
    assert (await caller.get(f"{base}/{bob.id}/purchase-history")).status_code == 404


async def test_everything_about_a_customer(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, admin = await make_customer(connection, clock), await as_role("admin")
    await with_lines(as_role, customer.id, connection)
    await admin.post(f"{base}/analytics/clv/calculate", json={"recalculate": True})
    told: Json = (await admin.get(f"{base}/{customer.id}/analytics/summary")).json()
    for part, path in (
        ("customer", ""),
        ("purchases", "/purchase-history"),
        ("loyalty", "/loyalty/balance"),
        ("rfm", "/analytics/rfm"),
        ("clv", "/analytics/clv"),
    ):
        assert told[part] == (await admin.get(f"{base}/{customer.id}{path}")).json(), part
    assert [(step["segment_before"], step["segment"]) for step in told["segment_history"]] == [
        (None, told["rfm"]["segment"])
    ]


async def test_who_sees_no_names_sees_none_in_the_summary(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    told = (await (await as_role("analyst")).get(f"{base}/{customer.id}/analytics/summary")).json()
    assert (told["customer"]["masked"], told["customer"]["first_name"]) == (True, "J.")
    assert (told["purchases"]["orders"], told["rfm"]["segment"], told["clv"]["clv"]) == (0, None, None)


async def test_the_summary_takes_as_many_statements_for_much_as_for_nothing(
    as_role: AsRole, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, staff = await make_customer(connection, clock), await as_role("staff")
    admin = await as_role("admin")
    await admin.post(f"{base}/analytics/clv/calculate", json={"recalculate": True})
    taken = []
    for number in range(3):
        await staff.get(f"{base}/{customer.id}/analytics/summary")
        with counted_statements(monkeypatch) as statements:
            assert (await staff.get(f"{base}/{customer.id}/analytics/summary")).status_code == 200
        taken.append(len(statements))
        for days_ago in range(20):
            await make_order(connection, clock, customer.id, "10", days_ago=days_ago * 20, refunds=[Refund("1")])
        await with_lines(as_role, customer.id, connection, number)
    assert taken[0] <= taken[1] == taken[2] <= taken[0] + 2
    assert taken[2] <= 26


async def test_segment_and_value_are_explained_without_names(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await (await as_role("admin")).post(f"{base}/analytics/clv/calculate", json={"recalculate": True})
    told = []
    for role in ("staff", "analyst"):
        answer = await (await as_role(role)).get(f"{base}/{shop[5].id}/analytics/explain")
        assert answer.status_code == 200
        told.append(answer.json())
    assert told[0] == told[1]
    assert (told[0]["segment"]["scores"]["segment"], told[0]["segment"]["rule"]["number"]) == ("champion", 1)
    assert told[0]["segment"]["measures"][2]["edges"] == ["20.00", "30.00", "40.00", "50.00"]
    assert told[0]["value"]["formula"] == "60.00 / 6 x 6 / 90 x 730 = 486.67 EUR"
    names = {shop[5].first_name, shop[5].last_name, str(shop[5].email)} - {None}
    assert not any(str(name) in json.dumps(told) for name in names)


async def test_nobody_is_explained_who_is_not_there(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    staff, erased = await as_role("staff"), await make_customer(connection, clock)
    await set_columns(connection, erased, deleted_at=clock.now(), erased_at=clock.now())
    assert (await staff.get(f"{base}/{uuid4()}/analytics/explain")).status_code == 404
    assert (await staff.get(f"{base}/{erased.id}/analytics/explain")).status_code == 410
    own = await as_role("customer", customer_id=(await make_customer(connection, clock)).id)
    assert (await own.get(f"{base}/{erased.id}/analytics/explain")).status_code == 403
