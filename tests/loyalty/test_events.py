"""Every posting leaves one event, with what its class says; none without the other."""

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from regulars.formulas.earning import OrderAmounts
from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.events import Event
from regulars.kit.security import operator
from regulars.loyalty.bulk import AwardLine, BulkAwardService
from regulars.loyalty.events import TierChanged, event_of
from regulars.loyalty.history import HistoryService, PastAward, PastRedemption, PastRefund
from regulars.loyalty.models import LoyaltyTransactionType
from tests.loyalty.shop import Shop, till


async def events(shop: Shop, customer_id: UUID | None = None) -> list[tuple[str, UUID, dict[str, Any]]]:
    """Kind, customer and facts, in the order written."""
    cursor = await shop.connection.execute(
        "SELECT kind, customer_id, facts FROM events WHERE %(id)s::uuid IS NULL OR customer_id = %(id)s"
        " ORDER BY position",
        {"id": customer_id},
    )
    return await cursor.fetchall()


def names_of(event: type[Event]) -> set[str]:
    return {field.name for field in fields(event)} - {"customer_id"}


async def every_kind_of_transaction(shop: Shop) -> UUID:
    """A customer who has been through all of them."""
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order, expiry_days=30)
    redemption = await shop.redeem(customer, 40)
    await shop.restore(redemption.id)
    await shop.adjust(customer, 7)
    await shop.adjust(customer, -7)
    await shop.refund(customer, order, "50")
    shop.wait(days=31)
    await shop.expire()
    return customer


async def test_every_transaction_of_a_customer_leaves_one_event_with_its_facts(shop: Shop) -> None:
    customer = await every_kind_of_transaction(shop)
    transactions = list(reversed(await shop.rows(customer)))
    assert {transaction.transaction_type for transaction in transactions} == set(LoyaltyTransactionType)
    assert await events(shop, customer) == [
        (
            event_of[transaction.transaction_type].kind,
            customer,
            {
                "transaction_id": str(transaction.id),
                "points": transaction.points,
                "balance_after": transaction.balance_after,
                "order_id": str(transaction.order_id) if transaction.order_id else None,
            },
        )
        for transaction in transactions
    ]


async def test_the_facts_that_the_statements_write_are_the_fields_of_the_classes(shop: Shop) -> None:
    customer = await every_kind_of_transaction(shop)
    await shop.earn(customer, 20_000)
    classes = {event.kind: event for event in (*event_of.values(), TierChanged)}
    written = await events(shop, customer)
    assert {kind for kind, _, _ in written} == set(classes)
    for kind, _, facts in written:
        assert set(facts) == names_of(classes[kind])


async def test_a_posting_that_is_rolled_back_leaves_none(shop: Shop) -> None:
    customer = await shop.member()
    async with shop.connection.transaction(force_rollback=True):
        await shop.earn(customer, 20_000)
        assert [kind for kind, _, _ in await events(shop)] == ["points.earned", "tier.changed"]
    assert await events(shop) == []


async def test_each_line_of_a_bulk_award_leaves_one(shop: Shop) -> None:
    customers = [await shop.member() for _ in range(3)]
    lines = [AwardLine(customer, points) for points, customer in enumerate([*customers, customers[0]], start=1)]
    outcomes = await BulkAwardService(shop.connection, shop.clock).earn_all([*lines, AwardLine(uuid4(), 9)], by=till)
    earned = {str(outcome.transaction_id) for outcome in outcomes if outcome.transaction_id}
    written = await events(shop)
    assert len(written) == len(earned) == 4
    assert {facts["transaction_id"] for _, _, facts in written} == earned
    assert {kind for kind, _, _ in written} == {"points.earned"}


async def test_expiry_of_many_leaves_one_for_each_customer(shop: Shop) -> None:
    customers = [await shop.member() for _ in range(3)]
    for customer in customers:
        await shop.earn(customer, 10, expiry_days=1)
        await shop.earn(customer, 10, expiry_days=2)
    shop.wait(days=5)
    await shop.expire()
    expired = [(customer, facts["points"]) for kind, customer, facts in await events(shop) if kind == "points.expired"]
    assert sorted(expired) == sorted((customer, -20) for customer in customers)


async def test_an_award_that_lifts_the_tier_tells_of_it_and_so_does_a_tier_set_by_hand(shop: Shop) -> None:
    customer = await shop.member()
    await shop.loyalty.award_order(customer, uuid4(), OrderAmounts(Decimal(10_000)), by=till)
    await shop.tiers.update_loyalty_tier(customer, LoyaltyTier.PLATINUM, by=operator)
    changes = [facts for kind, _, facts in await events(shop, customer) if kind == "tier.changed"]
    assert changes == [
        {"tier_before": "bronze", "tier": "silver", "is_manual": False},
        {"tier_before": "silver", "tier": "platinum", "is_manual": True},
    ]


async def test_history_that_is_taken_in_leaves_none(shop: Shop) -> None:
    """A reader of events would take years of them for news."""
    customer, order, start = await shop.member(), uuid4(), shop.clock.now() - timedelta(days=90)
    history = [
        PastAward(start, order, 20_000),
        PastRedemption(start + timedelta(days=1), portion=100, at_most=2),
        PastRefund(start + timedelta(days=2), order, uuid4(), Decimal(50), Decimal(100)),
    ]
    await HistoryService(shop.connection, shop.clock).write({customer: history}, by=operator)
    assert [row.points for row in await shop.rows(customer)] == [-10_000, -200, 20_000]
    assert await events(shop) == []
