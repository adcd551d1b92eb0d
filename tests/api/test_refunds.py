"""POST /orders/{order_id}/refunds and /cancel, and what they do to metrics, points and status."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from regulars.orders.models import OrderLine
from regulars.orders.refunds import shares_of_lines
from tests.api.conftest import AsRole
from tests.api.probes import slug
from tests.factories.customers import make_customer, set_columns
from tests.factories.statements import counted_statements

url = "/api/v1/orders"
Json = dict[str, Any]


async def make(till: httpx.AsyncClient, customer_id: object, **changes: Any) -> Json:
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00"}
    answer = await till.post(url, json=body | {"customer_id": str(customer_id)} | changes)
    assert answer.status_code == 201, answer.json()
    return dict(answer.json())


async def one(connection: Connection, statement: str, *parameters: object) -> tuple[Any, ...]:
    row = await (await connection.execute(statement, parameters)).fetchone()  # type: ignore[arg-type]
    assert row
    return row


async def test_refunds_by_amount_until_nothing_is_left(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id)
    refunds = f"{url}/{order['id']}/refunds"
    first = await till.post(refunds, json={"refund_id": "R1", "amount": "33.33", "reason": "damaged"})
    assert first.status_code == 201
    assert first.json() | {"id": None} == {
        "id": None,
        "order_id": order["id"],
        "customer_id": str(customer.id),
        "refund_id": "R1",
        "amount": "33.33",
        "shipping_amount": "0.00",
        "currency": "EUR",
        "refunded_at": "2026-06-15T10:00:00Z",
        "refunded_on": "2026-06-15",
        "reason": "damaged",
        "lines": [],
        "created_at": "2026-06-15T10:00:00Z",
        "order_status": "partially_refunded",
        "order_refunded_total": "33.33",
        "refundable": "66.67",
        "points_taken": 33,
        "points_written_off": 0,
    }
    last = await till.post(refunds, json={"refund_id": "R2", "amount": "66.67"})
    assert (last.json()["order_status"], last.json()["points_taken"]) == ("refunded", 67)
    found = (await till.get(f"{url}/{order['id']}")).json()
    assert (found["status"], [refund["refund_id"] for refund in found["refunds"]]) == ("refunded", ["R1", "R2"])
    assert await one(connection, "SELECT total_orders, net_spent FROM customer_metrics") == (0, 0)
    assert await one(connection, "SELECT balance, lifetime_points FROM loyalty_accounts") == (0, 0)
    nothing = await till.post(refunds, json={"refund_id": "R3", "amount": "0.01"})
    assert (nothing.status_code, slug(nothing), nothing.json()["refundable"]) == (422, "refund-exceeds-order", "0.00")


async def test_lines_that_are_brought_back_are_worth_their_part_of_what_was_paid(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    lines = [{"sku": "A", "quantity": 3, "unit_price": "10.00"}, {"sku": "B", "quantity": 1, "unit_price": "20.00"}]
    order = await make(till, customer.id, lines=lines, discount_total="5.00", shipping_total="4.90", total="49.90")
    refunds = f"{url}/{order['id']}/refunds"
    part = await till.post(refunds, json={"refund_id": "1", "lines": [{"line_number": 1, "quantity": 1}]})
    assert (part.json()["amount"], part.json()["lines"]) == (
        "9.00",
        [{"line_number": 1, "quantity": "1", "amount": "9.00"}],
    )
    rest = await till.post(refunds, json={"refund_id": "2", "lines": [{"line_number": 1}, {"line_number": 2}]})
    assert (rest.json()["amount"], rest.json()["refundable"]) == ("36.00", "4.90")
    again = await till.post(refunds, json={"refund_id": "2", "lines": [{"line_number": 2}, {"line_number": 1}]})
    assert (again.status_code, again.json()) == (200, rest.json())
    other = await till.post(refunds, json={"refund_id": "2", "lines": [{"line_number": 2}]})
    assert (other.status_code, slug(other)) == (409, "refund-conflict")
    gone = await till.post(refunds, json={"refund_id": "3", "lines": [{"line_number": 1, "quantity": 1}]})
    assert slug(gone) == "refund-exceeds-order"
    unknown = await till.post(refunds, json={"refund_id": "3", "lines": [{"line_number": 7}]})
    assert unknown.json()["errors"][0]["pointer"] == "/lines/0/line_number"


@pytest.mark.parametrize("totals", [["1", "1", "1"], ["0.01", "99.99", "5"], ["3", "-1", "7"], ["0", "1"]])
def test_shares_of_lines_add_up_to_what_was_paid(totals: list[str]) -> None:
    lines = [OrderLine("A", Decimal(1), Decimal(0), Decimal(0), Decimal(total)) for total in totals]
    for paid in (Decimal("10.00"), Decimal("0.01"), Decimal("99.97")):
        assert sum(shares_of_lines(lines, paid, minor_units=2)) == paid


def test_lines_that_cost_nothing_are_worth_nothing() -> None:
    gift = OrderLine("A", Decimal(1), Decimal(0), Decimal(0), Decimal(0))
    assert shares_of_lines([gift], Decimal(5), minor_units=2) == [Decimal(0)]
    assert shares_of_lines([], Decimal(5), minor_units=2) == []


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"amount": "1.00", "currency": "USD"}, "/currency", "enum"),
        ({"amount": "1.001"}, "/amount", "format"),
        ({"amount": "0.00"}, "/amount", "range"),
        ({"amount": "-1.00"}, "/amount", "range"),
        ({"amount": "1.00", "refunded_at": "2026-06-15T10:06:00Z"}, "/refunded_at", "range"),
        ({"amount": "1.00", "lines": [{"line_number": 1}]}, "/amount /lines /shipping_amount", "missing"),
        ({}, "/amount /lines /shipping_amount", "missing"),
        ({"lines": [{"line_number": 1}, {"line_number": 1}]}, "/lines", "range"),
        ({"lines": [{"line_number": 1, "quantity": 0}]}, "/lines/0/quantity", "range"),
        ({"amount": "1.00", "reason": "He Said So"}, "/reason", "format"),
    ],
)
async def test_a_refund_that_makes_no_sense_is_refused(
    as_role: AsRole, connection: Connection, clock: Clock, body: Json, pointer: str, code: str
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, lines=[{"sku": "A", "quantity": 1, "unit_price": "100.00"}])
    answer = await till.post(f"{url}/{order['id']}/refunds", json={"refund_id": "R"} | body)
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [
        (each, code) for each in pointer.split()
    ]
    assert await one(connection, "SELECT count(*) FROM refunds") == (0,)


async def test_a_cancelled_order_counts_no_more_and_gives_its_points_back(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, staff = await make_customer(connection, clock), await as_role("staff")
    order = await make(await as_role("service"), customer.id)
    first = await staff.post(f"{url}/{order['id']}/cancel", json={"reason": "by_customer"})
    assert (first.status_code, first.json()["status"], first.json()["cancelled_on"]) == (200, "cancelled", "2026-06-15")
    again = await staff.post(f"{url}/{order['id']}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    assert await one(connection, "SELECT total_orders, net_spent FROM customer_metrics") == (0, 0)
    assert await one(connection, "SELECT balance FROM loyalty_accounts") == (0,)
    assert await one(connection, "SELECT count(*) FROM point_clawbacks") == (1,)
    late = await staff.post(f"{url}/{order['id']}/refunds", json={"refund_id": "R", "amount": "1.00"})
    assert (late.status_code, slug(late)) == (409, "order-cancelled")


async def test_an_order_goes_forward_and_earns_once_when_it_is_paid(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00", "email": customer.email}
    points = "SELECT count(*), coalesce(sum(points), 0) FROM loyalty_transactions"
    seen = []
    for status in ("pending", "pending", "paid", "pending", "paid", "fulfilled", "paid", "cancelled", "paid"):
        answer = await till.post(url, json=body | {"status": status})
        found = slug(answer) if answer.status_code == 409 else answer.json()["status"]
        seen.append((answer.status_code, found, *await one(connection, points)))
    assert seen == [
        (201, "pending", 0, 0),
        (200, "pending", 0, 0),
        (200, "paid", 1, 100),
        (200, "paid", 1, 100),
        (200, "paid", 1, 100),
        (200, "fulfilled", 1, 100),
        (200, "fulfilled", 1, 100),
        (200, "cancelled", 2, 0),
        (409, "order-cancelled", 2, 0),
    ]
    events = await (
        await connection.execute("SELECT kind FROM events WHERE kind LIKE 'order.%' ORDER BY position")
    ).fetchall()
    assert [kind for (kind,) in events] == ["order.recorded", "order.paid", "order.cancelled"]


async def test_what_was_refunded_before_it_was_paid_earns_nothing(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, status="pending")
    await till.post(f"{url}/{order['id']}/refunds", json={"refund_id": "R", "amount": "30.00"})
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00", "email": customer.email}
    paid = await till.post(url, json=body)
    assert (paid.status_code, paid.json()["status"]) == (200, "partially_refunded")
    assert await one(connection, "SELECT balance, lifetime_points FROM loyalty_accounts") == (70, 70)


async def test_points_sent_by_hand_before_the_payment_are_the_orders_points(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, status="pending")
    award = {"customer_id": str(customer.id), "points": 5, "order_id": order["id"]}
    await till.post("/api/v1/retail-customers/loyalty/earn", json=award)
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00", "email": customer.email}
    assert (await till.post(url, json=body)).json()["status"] == "paid"
    assert await one(connection, "SELECT balance FROM loyalty_accounts") == (5,)


async def test_a_refund_and_a_cancellation_under_a_key_are_answered_once(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id)
    for path, body in (("refunds", {"refund_id": "R", "amount": "1.00"}), ("cancel", {"reason": "lost"})):
        key = {"Idempotency-Key": path}
        first = await till.post(f"{url}/{order['id']}/{path}", json=body, headers=key)
        again = await till.post(f"{url}/{order['id']}/{path}", json=body, headers=key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_reversal_before_its_order_is_refused_or_held(
    as_role: AsRole, app: FastAPI, settings: Settings, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service", source="till")
    early = f"{url}/till:W-1"
    refund = {"refund_id": "R", "amount": "40.00"}
    assert (await till.post(f"{early}/refunds", json=refund)).status_code == 404
    app.state.settings = settings.model_copy(update={"early_refunds": "hold"})
    for _ in range(2):
        held = await till.post(f"{early}/refunds", json=refund)
        assert (held.status_code, held.json()) == (202, {"status": "accepted"})
    assert slug(await till.post(f"{early}/refunds", json=refund | {"amount": "1.00"})) == "refund-conflict"
    too_much = {"refund_id": "S", "amount": "60.01"}
    assert (await till.post(f"{early}/refunds", json=too_much)).status_code == 202
    order = await make(till, customer.id)
    assert (order["status"], order["refunded_total"]) == ("partially_refunded", "40.00")
    assert await one(connection, "SELECT balance FROM loyalty_accounts") == (60,)
    assert await one(connection, "SELECT refund_id, refused_as FROM early_reversals") == ("S", "refund-exceeds-order")
    assert (await till.post(f"{url}/till:W-2/cancel")).status_code == 202
    assert (await make(till, customer.id, external_id="W-2"))["status"] == "cancelled"
    assert (await till.post(f"{url}/0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77/cancel")).status_code == 404


async def test_orders_of_people_who_are_gone_are_gone(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, till, admin = await make_customer(connection, clock), await as_role("service"), await as_role("admin")
    order = await make(till, customer.id)
    await set_columns(connection, customer, erased_at=clock.now())
    for caller, expected in ((till, "not-found"), (admin, "customer-erased")):
        assert slug(await caller.get(f"{url}/{order['id']}")) == expected
        assert slug(await caller.post(f"{url}/{order['id']}/cancel")) == expected


async def test_a_refund_takes_a_bounded_number_of_statements(
    as_role: AsRole, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    lines = [{"sku": f"S{number}", "quantity": 1, "unit_price": "1.00"} for number in range(100)]
    order = await make(till, customer.id, lines=lines)
    taken = []
    for number in range(4):
        some = (
            [{"line_number": 1 + number}] if number % 2 else [{"line_number": 10 * number + n} for n in range(10, 20)]
        )
        with counted_statements(monkeypatch) as statements:
            body = {"refund_id": str(number), "lines": some}
            assert (await till.post(f"{url}/{order['id']}/refunds", json=body)).status_code == 201
        taken.append(len(statements))
    assert max(taken) <= min(taken) + 1
    assert max(taken) <= 45
