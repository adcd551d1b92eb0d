"""Orders that their source changed: what is stored is replaced, and the points follow as they do after an import."""

from typing import Any

import httpx
import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.loyalty.audit import AuditService
from tests.api.conftest import AsRole
from tests.api.probes import slug
from tests.api.test_refunds import one
from tests.factories.customers import make_customer

url = "/api/v1/orders"
Json = dict[str, Any]


def order(customer_id: object, **changes: Any) -> Json:
    body = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "100.00", "metadata": {"a": 1}}
    return body | {"customer_id": str(customer_id)} | changes


async def revise(till: httpx.AsyncClient, customer_id: object, **changes: Any) -> httpx.Response:
    return await till.post(url, json=order(customer_id, is_revision=True, **changes))


async def points(connection: Connection) -> tuple[int, int]:
    audit = await AuditService(connection).audit_ledger()
    assert audit.counts == dict.fromkeys(audit.counts, 0)
    balance, lifetime = await one(connection, "SELECT balance, lifetime_points FROM loyalty_accounts")
    return int(balance), int(lifetime)


async def test_points_follow_a_revision(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    first = (await revise(till, customer.id)).json()  # one that is not known yet is new
    seen = []
    for total in ("40.00", "40.00", "70.00", "120.50"):
        lines = [{"sku": "A", "quantity": 1, "unit_price": total}]
        answer = await revise(till, customer.id, total=total, lines=lines)
        assert (answer.status_code, answer.json()["id"], answer.json()["total"]) == (200, first["id"], total)
        assert [line["total"] for line in answer.json()["lines"]] == [total]
        seen.append(await points(connection))
    assert seen == [(40, 40), (40, 40), (70, 70), (120, 120)]
    assert await one(connection, "SELECT net_spent FROM customer_metrics") == (120.5,)
    refund = {"refund_id": "R", "lines": [{"line_number": 1}]}
    assert (await till.post(f"{url}/{first['id']}/refunds", json=refund)).json()["order_status"] == "refunded"
    assert await points(connection) == (0, 0)
    cursor = await connection.execute("SELECT kind FROM events WHERE kind LIKE 'order.%' ORDER BY position")
    told = [kind for (kind,) in await cursor.fetchall()]
    assert told == ["order.recorded", "order.paid", *["order.revised"] * 3, "order.refunded"]


async def test_without_a_word_other_content_is_a_conflict(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, other, till = (
        await make_customer(connection, clock),
        await make_customer(connection, clock),
        await as_role("service"),
    )
    await revise(till, customer.id)
    assert slug(await till.post(url, json=order(customer.id, total="40.00"))) == "order-conflict"
    assert slug(await revise(till, other.id, total="40.00")) == "order-conflict"
    assert await points(connection) == (100, 100)


async def test_a_revision_keeps_what_was_refunded(as_role: AsRole, connection: Connection, clock: Clock) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    first = (await revise(till, customer.id)).json()
    await till.post(f"{url}/{first['id']}/refunds", json={"refund_id": "R", "amount": "30.00"})
    refused = await revise(till, customer.id, total="29.99")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/total"]
    assert (await revise(till, customer.id, total="60.00")).json()["status"] == "partially_refunded"
    assert await points(connection) == (30, 30)
    assert (await revise(till, customer.id, total="30.00")).json()["status"] == "refunded"
    assert await points(connection) == (0, 0)


@pytest.mark.parametrize("before", ["pending", "paid"])
async def test_a_revision_may_pay_or_cancel(as_role: AsRole, connection: Connection, clock: Clock, before: str) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    await revise(till, customer.id, status=before)
    assert (await revise(till, customer.id, total="50.00", status="fulfilled")).json()["status"] == "fulfilled"
    assert await points(connection) == (50, 50)
    assert (await revise(till, customer.id, total="60.00", status="pending")).json()["status"] == "fulfilled"
    assert await points(connection) == (60, 60)
    cancelled = await revise(till, customer.id, total="55.00", status="cancelled")
    assert (cancelled.json()["status"], cancelled.json()["total"]) == ("cancelled", "55.00")
    assert await points(connection) == (0, 0)
    assert slug(await revise(till, customer.id, total="50.00")) == "order-cancelled"


async def test_an_order_that_earned_nothing_earns_what_it_becomes(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    first = (await revise(till, customer.id, total="40.50", shipping_total="40.00")).json()
    assert (await till.post(f"{url}/{first['id']}/refunds", json={"refund_id": "R", "amount": "8.10"})).is_success
    assert (await revise(till, customer.id, total="81.00", shipping_total="0")).json()["status"] == "partially_refunded"
    assert await points(connection) == (73, 73)
    await revise(till, customer.id, total="20.00", shipping_total="0")
    assert await points(connection) == (12, 12)
    cursor = await connection.execute("SELECT kind FROM events WHERE kind = 'order.paid'")
    assert len(await cursor.fetchall()) == 1


@pytest.mark.parametrize("lines", [[], [{"sku": "A", "quantity": 1, "unit_price": "100.00"}]])
async def test_a_revision_may_pay_what_was_refunded_in_part(
    as_role: AsRole, connection: Connection, clock: Clock, lines: list[Json]
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    first = (await revise(till, customer.id, status="pending", lines=lines)).json()
    await till.post(f"{url}/{first['id']}/refunds", json={"refund_id": "R", "amount": "10.00"})
    assert (await revise(till, customer.id, total="80.00")).json()["status"] == "partially_refunded"
    assert await points(connection) == (70, 70)
