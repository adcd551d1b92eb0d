from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.errors import NotFound
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.reports import LoyaltyReportService
from regulars.loyalty.repository_reports import AllocationRecord, LoyaltyReportRepository
from tests.loyalty.shop import Shop


def reports(shop: Shop) -> LoyaltyReportService:
    return LoyaltyReportService(shop.connection, shop.clock)


async def test_the_metrics_tie_to_the_ledger_to_the_point(shop: Shop) -> None:
    first, second, third, order = await shop.member(), await shop.member(), await shop.member(), uuid4()
    await shop.earn(first, 12_000, expiry_days=20)
    await shop.earn(second, 500, expiry_days=1)
    await shop.earn(third, 100, order_id=order)
    await shop.redeem(third, 100)
    shop.wait(days=5)
    midway = shop.clock.now()
    redemption = await shop.redeem(first, 2_000)
    await shop.restore(redemption.id, 500)
    await shop.adjust(first, 70, expiry_days=None)
    await shop.adjust(first, -30)
    await shop.refund(third, order, "100")
    metrics = await reports(shop).get_loyalty_metrics(since=midway)
    totals = metrics.totals
    assert metrics.moved == {
        "EARNED": 0, "REDEEMED": -2_000, "EXPIRED": 0, "ADJUSTED_ADD": 70, "ADJUSTED_SUB": -30,
        "REFUND_CLAWBACK": -100, "REDEEM_RESTORED": 500,
    }  # fmt: skip
    assert totals.opening + sum(metrics.moved.values()) == totals.closing == totals.ledger
    assert totals.outstanding - totals.owed == totals.ledger
    assert (totals.outstanding, totals.owed, totals.awaiting_expiry) == (11_040, 100, 500)
    assert totals.by_month == {"2026-06": 500, "2026-07": 10_470, "never": 70}
    assert totals.by_tier == {"bronze": {"customers": 2, "points": 500}, "silver": {"customers": 1, "points": 10_540}}
    assert metrics.liability == sum(metrics.liability_by_tier.values()) == Decimal("110.40")
    assert metrics.liability == sum(metrics.liability_by_month.values())


async def test_an_empty_shop_owes_nothing(shop: Shop) -> None:
    metrics = await reports(shop).get_loyalty_metrics()
    assert (metrics.liability, metrics.totals.opening, metrics.totals.closing) == (0, 0, 0)


async def test_a_balance_is_explained_at_the_counter(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, expiry_days=30, order_id=order)
    await shop.earn(customer, 50, expiry_days=None)
    redemption = await shop.redeem(customer, 120)
    await shop.restore(redemption.id, 10)
    await shop.refund(customer, order, "100")
    told = await reports(shop).explain(customer, by=operator)
    assert told.summary == ["60 points are owed; the next points settle them first."]
    assert [entry.sentence for entry in told.transactions] == [
        "2026-06-15: 100 points earned: 100 into lot 1, good until the end of 2026-07-15. Balance 100.",
        "2026-06-15: 50 points earned: 50 into lot 2, without expiry. Balance 150.",
        "2026-06-15: 120 points redeemed: 100 from lot 1, 20 from lot 2. Balance 30.",
        "2026-06-15: 10 points given back from a redemption (redemption_cancelled): 10 back into lot 2. Balance 40.",
        "2026-06-15: 100 points taken back for a refund: 40 from lot 2, 60 are owed. Balance -60.",
    ]
    await shop.earn(customer, 100, expiry_days=9)
    told = await reports(shop).explain(customer, by=operator)
    assert told.transactions[-1].sentence == (
        "2026-06-15: 100 points earned: 40 into lot 3, good until the end of 2026-06-24, 60 settled points owed."
        " Balance 40."
    )
    assert told.summary == [
        "40 points can be spent.",
        "Lot 3: 40 of 40 points left, good until the end of 2026-06-24.",
    ]
    with pytest.raises(NotFound):
        await reports(shop).explain(uuid4(), by=operator)


async def test_what_is_written_while_a_balance_is_explained_is_left_out_whole(
    own_database_url: str, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(own_database_url) as counter, connect(own_database_url) as other:
        async with other.transaction():
            customer = await Shop(other, settings, clock).member(points=100)
        read = LoyaltyReportRepository.get_allocations

        async def read_late(repository: LoyaltyReportRepository, *which: Any) -> list[AllocationRecord]:
            async with other.transaction():
                await Shop(other, settings, clock).earn(customer, 5)
            return await read(repository, *which)

        monkeypatch.setattr(LoyaltyReportRepository, "get_allocations", read_late)
        told = await LoyaltyReportService(counter, clock).explain(customer, by=operator)
    assert [[part.points for part in entry.parts] for entry in told.transactions] == [[100]]


async def test_campaigns_find_those_whose_points_expire_soon(shop: Shop) -> None:
    soon, later, never, deleted = [await shop.member() for _ in range(4)]
    for days in (3, 5, 9):
        await shop.earn(soon, 10, expiry_days=days)
    await shop.earn(deleted, 10, expiry_days=3)
    await shop.connection.execute("UPDATE customers SET deleted_at = now() WHERE id = %s", [deleted])
    await shop.earn(later, 10, expiry_days=9)
    await shop.earn(never, 10, expiry_days=None)
    (found,) = await reports(shop).get_customers_with_points_expiring(days=7)
    assert (found[0], found[2]) == (soon, 20)
    first, second = await reports(shop).get_customers_with_points_expiring(days=9)
    rest = await reports(shop).get_customers_with_points_expiring(days=9, after_customer=first[0])
    assert rest == [second]
