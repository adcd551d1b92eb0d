"""Purchases that come at the same time."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from regulars.flows import refund_order
from regulars.flows.record_purchase import Purchase, record_purchase
from regulars.flows.refund_order import settle_early_reversals
from regulars.kit.database import Connection, Database
from regulars.kit.security import operator
from regulars.orders.errors import OrderConflict
from regulars.orders.models import OrderName
from regulars.orders.schemas import OrderCreate
from tests.factories.customers import make_customer
from tests.flows.purchases import Cancelled, Refunded, Till
from tests.flows.shop import Shop


async def buy(database: Database, shop: Shop, external_id: str, customer_id: object, total: str = "1.00") -> Purchase:
    order = OrderCreate(
        source="till",
        external_id=external_id,
        customer_id=customer_id,
        ordered_at=shop.clock.now(),
        total=Decimal(total),
    )
    async with database.transaction() as connection:
        return await record_purchase(connection, order, by=operator, settings=shop.settings, clock=shop.clock)


async def test_metrics_count_every_one_of_many_purchases_at_once(shop: Shop) -> None:
    async with Database(shop.url) as database:
        async with database.transaction() as connection:
            customer = await make_customer(connection, shop.clock)
        await asyncio.gather(*(buy(database, shop, str(number), customer.id) for number in range(8)))
    assert shop.query("SELECT total_orders, net_spent FROM customer_metrics") == [(8, 8)]
    assert shop.wrong_metrics() == []


async def test_one_order_sent_many_times_at_once_is_stored_once(shop: Shop) -> None:
    async with Database(shop.url) as database:
        async with database.transaction() as connection:
            customer = await make_customer(connection, shop.clock)
        purchases = await asyncio.gather(*(buy(database, shop, "1", customer.id) for _ in range(6)))
        assert sorted(purchase.is_new for purchase in purchases) == [False] * 5 + [True]
        assert len({purchase.order.id for purchase in purchases}) == 1
        with pytest.raises(OrderConflict):
            await buy(database, shop, "1", customer.id, total="2.00")
    assert shop.query("SELECT total_orders FROM customer_metrics") == [(1,)]


async def test_a_purchase_and_an_import_of_one_customer_at_once_are_both_counted(shop: Shop) -> None:
    header = "order_id,ordered_at,total,email\n"
    async with Database(shop.url) as database:
        async with database.transaction() as connection:
            customer = await make_customer(connection, shop.clock, email="ann@example.com")
        lines = "".join(f"{number},2026-01-02,1,ann@example.com\n" for number in range(200))
        await asyncio.gather(
            shop.load(header + lines), *(buy(database, shop, str(number), customer.id) for number in range(7))
        )
    assert shop.query("SELECT total_orders FROM customer_metrics") == [(207,)]
    assert shop.wrong_metrics() == []


async def test_what_was_held_is_done_after_an_import_brought_the_order(shop: Shop) -> None:
    settings = shop.settings.model_copy(update={"early_refunds": "hold"})
    async with Database(shop.url) as database:
        till = Till(database, settings, shop.clock, source="web")
        await till.send(Refunded("1", {"refund_id": "R", "amount": "4.00"}))
        await till.send(Cancelled("2"))
        await till.send(Cancelled("3"))
        await shop.load(
            "order_id,ordered_at,total,email\n1,2026-01-02,10,a@example.com\n2,2026-01-02,5,b@example.com\n"
        )
        assert await settle_early_reversals(database, settings, shop.clock) == 2
        assert await settle_early_reversals(database, settings, shop.clock) == 0
    orders = "SELECT external_id, status, refunded_total FROM orders ORDER BY external_id"
    assert shop.query(orders) == [("1", "partially_refunded", 4), ("2", "cancelled", 0)]
    assert shop.query("SELECT external_id FROM early_reversals") == [("3",)]
    assert shop.wrong_metrics() == []


async def test_one_that_meets_a_fault_holds_up_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = shop.settings.model_copy(update={"early_refunds": "hold"})
    lines = "".join(f"{number},2026-01-02,5,a{number}@example.com\n" for number in range(5))
    settle = refund_order._settle

    async def settled(connection: Connection, name: OrderName, *rest: Any) -> None:
        if name.external_id in {"0", "3"}:
            raise ZeroDivisionError
        await settle(connection, name, *rest)

    async with Database(shop.url) as database:
        till = Till(database, settings, shop.clock, source="web")
        for number in range(5):
            await till.send(Cancelled(str(number)))
        await shop.load("order_id,ordered_at,total,email\n" + lines)
        with monkeypatch.context() as patched:
            patched.setattr(refund_order, "_at_once", 2)
            patched.setattr(refund_order, "_settle", settled)
            assert await settle_early_reversals(database, settings, shop.clock) == 3
        assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2
        assert shop.query("SELECT external_id FROM early_reversals ORDER BY 1") == [("0",), ("3",)]
        assert await settle_early_reversals(database, settings, shop.clock) == 2
    assert shop.query("SELECT count(*) FROM orders WHERE status = 'cancelled'") == [(5,)]


async def test_what_was_held_for_somebody_who_was_erased_is_refused(shop: Shop) -> None:
    settings = shop.settings.model_copy(update={"early_refunds": "hold"})
    async with Database(shop.url) as database:
        await Till(database, settings, shop.clock, source="web").send(Cancelled("1"))
        await shop.load("order_id,ordered_at,total,email\n1,2026-01-02,10,a@example.com\n")
        shop.query("UPDATE customers SET erased_at = now()")
        assert await settle_early_reversals(database, settings, shop.clock) == 1
        assert await settle_early_reversals(database, settings, shop.clock) == 0
    assert shop.query("SELECT refused_as FROM early_reversals") == [("customer-erased",)]
