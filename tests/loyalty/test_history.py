"""Past events, written for many customers at once, leave what single events leave when they happen at their time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from regulars.formulas.earning import OrderAmounts
from regulars.kit.security import operator
from regulars.loyalty.history import (
    PastAward,
    PastEvent,
    PastExpiry,
    PastRedemption,
    PastRefund,
    write_histories,
)
from tests.conftest import RolledBackDatabase
from tests.loyalty.shop import Shop


async def live(shop: Shop, customer_id: UUID, history: Sequence[PastEvent]) -> None:
    """The same events, one at a time, each when it happens."""
    now = shop.clock
    for event in history:
        shop.clock = replace(now, stopped_at=event.at)
        if isinstance(event, PastAward):
            await shop.loyalty.award_order(
                customer_id, event.order_id, OrderAmounts(Decimal(event.points)), by=operator
            )
        elif isinstance(event, PastRedemption):
            spendable = (await shop.loyalty.get_loyalty_balance(customer_id, by=operator)).spendable
            portions = min(max(spendable, 0) // event.portion, event.at_most)
            if portions:
                await shop.redeem(customer_id, portions * event.portion)
        elif isinstance(event, PastRefund):
            await shop.refund(
                customer_id, event.order_id, str(event.refunded_total), str(event.order_total), event.refund_id
            )
        else:
            await shop.expire()
    shop.clock = now


async def ledger(shop: Shop, customer_id: UUID) -> list[tuple[Any, ...]]:
    cursor = await shop.connection.execute(
        """
        SELECT t.seq, t.transaction_type, t.points, t.balance_after, t.qualifies, t.rule, t.programme_version,
            t.expires_at, t.created_at, a.lifetime_points, a.tier,
            array(SELECT (earned, remaining, earned_at, expires_at)::text FROM point_lots l
                WHERE l.customer_id = t.customer_id AND l.seq = t.seq)
        FROM loyalty_transactions t JOIN loyalty_accounts a USING (customer_id) WHERE customer_id = %s ORDER BY seq
        """,
        [customer_id],
    )
    return await cursor.fetchall()


def story(shop: Shop, points: Sequence[int]) -> list[PastEvent]:
    """Three years of one customer: earns, spends, lets points expire, brings things back."""
    start, orders = shop.clock.now() - timedelta(days=1_200), [uuid4() for _ in points]

    def day(number: float) -> Any:
        return start + timedelta(days=number)

    awards: list[PastEvent] = [
        PastAward(day(100 * place), order_id, earned)
        for place, (order_id, earned) in enumerate(zip(orders, points, strict=True))
    ]
    others: list[PastEvent] = [
        PastRedemption(day(150), 50, 3),
        PastRedemption(day(201), 1_000_000, 3),
        PastRefund(day(310), orders[3], uuid4(), Decimal(points[3]) / 2, Decimal(points[3])),
        PastExpiry(day(380)),
        PastRefund(day(410), orders[3], uuid4(), Decimal(points[3]), Decimal(points[3])),
        PastExpiry(day(500.5)),
        PastRefund(day(560), orders[0], uuid4(), Decimal(points[0]), Decimal(points[0])),
        PastExpiry(day(700)),
        PastExpiry(day(701)),
        PastRedemption(day(710), 7, 100),
    ]
    return sorted([*awards, *others], key=lambda event: event.at)


async def test_a_story_leaves_what_the_same_events_leave_one_by_one(
    shop: Shop, database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.loyalty.history.batch_accounts", 2)
    monkeypatch.setattr("regulars.loyalty.history.turns_at_once", 4)
    stories = [[120, 80, 300, 40, 11_000, 20, 90], [90, 10, 10, 700, 5, 5, 60_000], [60, 7, 7, 7, 7, 7, 7]]
    told = {await shop.member(): story(shop, points) for points in stories}
    lived = {customer: await shop.member() for customer in told}
    await write_histories(database, shop.clock, told, by=operator)
    for customer, twin in lived.items():
        renamed = [replace(e, order_id=uuid4()) if isinstance(e, PastAward) else e for e in told[customer]]
        names = {
            a.order_id: b.order_id for a, b in zip(told[customer], renamed, strict=True) if isinstance(a, PastAward)
        }
        await live(
            shop,
            twin,
            [
                replace(e, order_id=names[e.order_id], refund_id=uuid4()) if isinstance(e, PastRefund) else e
                for e in renamed
            ],
        )
        assert await ledger(shop, customer) == await ledger(shop, twin)
    kinds = {row[1] for customer in told for row in await ledger(shop, customer)}
    assert kinds == {"EARNED", "REDEEMED", "EXPIRED", "REFUND_CLAWBACK"}


async def test_nothing_to_spend_and_nothing_due_leaves_no_trace(shop: Shop, database: RolledBackDatabase) -> None:
    customer = await shop.member()
    at = shop.clock.now() - timedelta(days=9)
    await write_histories(database, shop.clock, {customer: [PastExpiry(at), PastRedemption(at, 1, 9)]}, by=operator)
    assert await ledger(shop, customer) == []
