"""What of an order's points a refund takes back, and goods that come back when little or nothing is left to be paid."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.api.probes import slug
from tests.api.test_refunds import make, one
from tests.factories.customers import make_customer, set_columns

url = "/api/v1/orders"
Json = dict[str, Any]


async def refund(till: httpx.AsyncClient, order: Json, refund_id: str, **body: Any) -> httpx.Response:
    return await till.post(f"{url}/{order['id']}/refunds", json={"refund_id": refund_id} | body)


async def points(connection: Connection) -> int:
    [balance] = await one(connection, "SELECT coalesce(sum(balance), 0)::int FROM loyalty_accounts")
    return int(balance)


def goods(*prices: str) -> list[Json]:
    return [{"sku": f"S{place}", "quantity": 1, "unit_price": price} for place, price in enumerate(prices)]


async def test_goods_that_come_back_take_all_points_though_shipping_stays_paid(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, total="50.00", shipping_total="40.00", lines=goods("10.00"))
    assert await points(connection) == 10
    answer = await refund(till, order, "R", lines=[{"line_number": 1}])
    found = answer.json()
    assert (found["amount"], found["points_taken"], found["refundable"]) == ("10.00", 10, "40.00")
    assert await points(connection) == 0


async def test_buying_and_returning_again_and_again_leaves_no_points(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    sold = {"total": "25.00", "shipping_total": "5.00", "lines": goods("12.00", "8.00")}
    for number in range(3):
        order = await make(till, customer.id, external_id=str(number), **sold)
        await refund(till, order, "R", lines=[{"line_number": 1}, {"line_number": 2}])
    assert await points(connection) == 0


async def test_shipping_that_is_paid_back_takes_no_points(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, total="50.00", shipping_total="40.00", lines=goods("10.00"))
    first = await refund(till, order, "1", shipping_amount="25.00")
    assert first.json() | {"shipping_amount": "25.00", "amount": "25.00", "points_taken": 0} == first.json()
    assert (await refund(till, order, "1", shipping_amount="25.00")).status_code == 200
    assert slug(await refund(till, order, "1", amount="25.00")) == "refund-conflict"
    assert slug(await refund(till, order, "2", shipping_amount="15.01")) == "refund-exceeds-order"
    both = await refund(till, order, "2", shipping_amount="15.00", lines=[{"line_number": 1}])
    taken = both.json()
    assert (taken["amount"], taken["points_taken"], taken["order_status"]) == ("25.00", 10, "refunded")
    found = (await till.get(f"{url}/{order['id']}")).json()["refunds"]
    assert [(each["amount"], each["shipping_amount"]) for each in found] == [("25.00", "25.00"), ("25.00", "15.00")]


async def test_an_amount_takes_its_share_of_what_can_still_come_back(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, total="50.00", shipping_total="40.00", lines=goods("10.00"))
    assert (await refund(till, order, "1", amount="25.00")).json()["points_taken"] == 5
    assert (await refund(till, order, "2", amount="25.00")).json()["points_taken"] == 5


async def test_goods_come_back_after_an_amount_was_refunded(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, lines=goods("60.00", "40.00"))
    await refund(till, order, "goodwill", amount="10.00")
    taken = [(await refund(till, order, str(number), lines=[{"line_number": number}])).json() for number in (1, 2)]
    assert [(each["amount"], each["points_taken"], each["refundable"]) for each in taken] == [
        ("60.00", 60, "30.00"),
        ("30.00", 30, "0.00"),
    ]
    assert taken[1]["order_status"] == "refunded"
    assert await points(connection) == 0
    late = await refund(till, order, "3", lines=[{"line_number": 1}])
    assert slug(late) == "refund-exceeds-order"


async def test_goods_come_back_when_everything_was_paid_back_before(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, lines=goods("60.00", "40.00"))
    await refund(till, order, "all", amount="100.00")
    back = await refund(till, order, "goods", lines=[{"line_number": 1}])
    assert (back.status_code, back.json()["amount"], back.json()["order_status"]) == (201, "0.00", "refunded")
    assert back.json()["lines"] == [{"line_number": 1, "quantity": "1", "amount": "0.00"}]


@pytest.mark.parametrize(
    ("total", "taken_in", "amounts"),
    [("5.00", "25.00", ["5.00", "0.00"]), ("0.00", "30.00", ["0.00", "0.00"])],
)
async def test_goods_of_an_order_that_was_paid_with_goods_come_back(
    as_role: AsRole, connection: Connection, clock: Clock, total: str, taken_in: str, amounts: list[str]
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    old = {"sku": "OLD", "quantity": -1, "unit_price": taken_in}
    order = await make(till, customer.id, total=total, lines=[*goods("10.00", "20.00"), old])
    found = [await refund(till, order, str(number), lines=[{"line_number": number}]) for number in (1, 2)]
    assert [answer.status_code for answer in found] == [201, 201]
    assert [answer.json()["amount"] for answer in found] == amounts
    assert await points(connection) == 0


async def test_net_lines_give_back_goods_with_their_tax_and_leave_shipping_with_its(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    sold = {"total": "120.00", "tax_total": "20.00", "shipping_total": "5.00", "lines": goods("95.00")}
    order = await make(till, customer.id, **sold)
    assert await points(connection) == 114
    back = (await refund(till, order, "R", lines=[{"line_number": 1}])).json()
    assert (back["amount"], back["points_taken"], back["refundable"]) == ("114.00", 114, "6.00")


@pytest.mark.parametrize("state", ["deleted_at", "erased_at"])
async def test_what_was_paid_back_to_somebody_who_is_gone_is_booked(
    as_role: AsRole, connection: Connection, clock: Clock, state: str
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id)
    await set_columns(connection, customer, **{state: clock.now()})
    answer = await refund(till, order, "R", amount="40.00")
    assert (answer.status_code, answer.json()["order_refunded_total"]) == (201, "40.00")
    assert answer.json()["points_taken"] == (40 if state == "deleted_at" else 0)
    assert await one(connection, "SELECT net_spent FROM customer_metrics") == (60,)
    assert await one(connection, "SELECT count(*) FROM customer_scores") == (0,)
    assert (await refund(till, order, "R", amount="40.00")).status_code == 200
    assert (await till.get(f"{url}/{order['id']}")).status_code == 404


@pytest.mark.parametrize(("minutes", "status"), [("07:24:59Z", 422), ("07:25:00Z", 201)])
async def test_no_refund_is_made_before_its_order(
    as_role: AsRole, connection: Connection, clock: Clock, minutes: str, status: int
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id)  # at 07:30; clocks may differ by five minutes
    answer = await refund(till, order, "R", amount="1.00", refunded_at=f"2026-06-15T{minutes}")
    assert answer.status_code == status
    if status == 422:
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/refunded_at", "range")]


async def test_points_are_redeemed_for_orders_of_the_customer_only(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, other, till = (
        await make_customer(connection, clock),
        await make_customer(connection, clock),
        await as_role("service"),
    )
    own = await make(till, customer.id)
    others = await make(till, other.id, external_id="W-2")
    redeem = {"customer_id": str(customer.id), "points": 1}
    found = []
    for order_id in (own["id"], others["id"], str(uuid4())):
        answer = await till.post("/api/v1/retail-customers/loyalty/redeem", json=redeem | {"order_id": order_id})
        found.append((answer.status_code, slug(answer) if answer.status_code == 404 else None))
    assert found == [(201, None), (404, "not-found"), (201, None)]


async def test_a_cancelled_order_that_is_said_to_be_paid_is_refused(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    body = {
        "external_id": "W-1",
        "ordered_at": "2026-06-15T07:30:00Z",
        "total": "100.00",
        "customer_id": str(customer.id),
    }
    seen = []
    for status in ("pending", "cancelled", "cancelled", "paid", "pending"):
        answer = await till.post(url, json=body | {"status": status})
        seen.append((answer.status_code, slug(answer) if answer.status_code == 409 else answer.json()["status"]))
    assert seen == [
        (201, "pending"),
        (200, "cancelled"),
        (200, "cancelled"),
        (409, "order-cancelled"),
        (409, "order-cancelled"),
    ]
    assert await points(connection) == 0


async def test_an_order_that_was_cancelled_here_is_found_by_who_sends_it_again(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    order = await make(till, customer.id, status="pending")
    await till.post(f"{url}/{order['id']}/cancel")
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00", "email": customer.email}
    again = await till.post(url, json=body | {"status": "pending"})
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert slug(await till.post(url, json=body)) == "order-cancelled"
