"""Many writers at once, on a database of their own and with real commits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.errors import Refusal
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.bulk import AwardLine, bulk_earn
from regulars.loyalty.expiry import expire_all
from regulars.loyalty.models import LoyaltyTransactionType as Kind
from tests.factories.loyalty import make_members
from tests.loyalty.shop import Shop, till


class Town:
    """Several tills of one shop, each with a connection of its own."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self.database, self.settings, self.clock = database, settings, clock
        self.tills = asyncio.Semaphore(16)  # as many as the pool has connections: none is turned away

    async def do(self, act: Callable[[Shop], Awaitable[Any]]) -> Any:
        async with self.tills, self.database.transaction() as connection:
            return await act(Shop(connection, self.settings, self.clock))

    async def try_to(self, act: Callable[[Shop], Awaitable[Any]]) -> str:
        try:
            await self.do(act)
        except Refusal as refusal:
            return refusal.slug()
        return "done"

    async def burst(self, *acts: Callable[[Shop], Awaitable[Any]]) -> Counter[str]:
        return Counter(await asyncio.gather(*(self.try_to(act) for act in acts)))


@pytest.fixture
async def town(audited_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Town]:
    async with Database(audited_url, size=24) as database:
        yield Town(database, settings, clock)


async def test_fifty_redemptions_with_funds_for_ten_are_ten(town: Town) -> None:
    customer: UUID = await town.do(lambda shop: shop.member(points=100))
    outcomes = await town.burst(*[lambda shop: shop.redeem(customer, 10)] * 50)
    assert outcomes == {"done": 10, "insufficient-points": 40}
    assert await town.do(lambda shop: shop.spendable(customer)) == 0


async def test_fifty_awards_for_one_order_are_one(town: Town) -> None:
    customer, order = await town.do(lambda shop: shop.member()), uuid4()
    outcomes = await town.burst(*[lambda shop: shop.earn(customer, 10, order_id=order)] * 50)
    assert outcomes == {"done": 1, "already-credited": 49}


async def test_one_refund_sent_twenty_times_takes_back_once(town: Town) -> None:
    customer, order, refund = await town.do(lambda shop: shop.member()), uuid4(), uuid4()
    await town.do(lambda shop: shop.earn(customer, 100, order_id=order))
    await town.burst(*[lambda shop: shop.refund(customer, order, "40", refund_id=refund)] * 20)
    assert await town.do(lambda shop: shop.spendable(customer)) == 60


async def test_a_redemption_is_restored_once(town: Town) -> None:
    customer: UUID = await town.do(lambda shop: shop.member(points=100))
    redemption = await town.do(lambda shop: shop.redeem(customer, 70))
    outcomes = await town.burst(*[lambda shop: shop.restore(redemption.id)] * 10)
    assert outcomes == {"done": 1, "not-restorable": 9}


async def test_the_first_points_of_a_customer_may_come_from_many_tills(town: Town) -> None:
    customer: UUID = await town.do(lambda shop: shop.member())
    assert await town.burst(*[lambda shop: shop.earn(customer, 1)] * 20) == {"done": 20}
    rows = await town.do(lambda shop: shop.rows(customer))
    assert [row.seq for row in rows] == list(range(20, 0, -1))


async def test_four_expiry_runs_at_once_expire_each_point_once(town: Town) -> None:
    members = await town.do(lambda shop: make_members(shop.connection, shop.clock, 60))
    for days in (1, 1, 3):
        await bulk_earn(
            town.database, town.clock, [AwardLine(member, 10, expiry_days=days) for member in members], by=till
        )
    later = Shop(None, town.settings, town.clock)  # type: ignore[arg-type]
    later.wait(days=2)
    town.clock = later.clock
    runs = [expire_all(town.database, town.clock, by=operator) for _ in range(4)]
    redeems = [town.try_to(lambda shop, member=member: shop.redeem(member, 10)) for member in members[:20]]
    results = await asyncio.gather(*runs, *redeems)
    by_job = sum(result.points for result in results[:4])
    assert set(results[4:]) == {"done"}
    totals = await town.do(lambda shop: shop.ledger.get_total_points_by_type())
    assert totals[Kind.EXPIRED] == -20 * 60
    assert by_job >= 20 * 40  # the rest was written off by redemptions
    assert (await expire_all(town.database, town.clock, by=operator)).points == 0


async def test_bulk_awards_in_crossing_order_do_not_deadlock(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regulars.loyalty.retries.attempts", 1)  # a deadlock would be mended, and not be seen
    members = await town.do(lambda shop: make_members(shop.connection, shop.clock, 200))
    lines = [AwardLine(member, 1) for member in members]
    await bulk_earn(town.database, town.clock, lines, by=till)  # opening accounts would keep the others waiting
    crossing = [lines, lines[::-1], [*lines[::2], *lines[1::2]], lines[::-1]] * 3
    outcomes = await asyncio.gather(*(bulk_earn(town.database, town.clock, batch, by=till) for batch in crossing))
    assert Counter(outcome.status for batch in outcomes for outcome in batch) == {"earned": 2400}
    totals = await town.do(lambda shop: shop.ledger.get_total_points_by_type())
    assert totals[Kind.EARNED] == 2600


async def test_writers_of_every_kind_leave_a_sound_ledger(town: Town) -> None:
    members = await town.do(lambda shop: make_members(shop.connection, shop.clock, 3))
    redemptions = []
    for member in members:
        await town.do(lambda shop, member=member: shop.earn(member, 500, order_id=member))
        redemptions.append(await town.do(lambda shop, member=member: shop.redeem(member, 50)))
    acts: list[Callable[[Shop], Awaitable[Any]]] = []
    for member, redemption in zip(members, redemptions, strict=True):
        acts += [lambda shop, member=member: shop.earn(member, 7)] * 10
        acts += [lambda shop, member=member: shop.redeem(member, 90)] * 10
        acts += [lambda shop, member=member: shop.adjust(member, -3)] * 5
        acts += [lambda shop, redemption=redemption: shop.restore(redemption.id, 20)] * 4
        acts += [lambda shop, member=member: shop.refund(member, member, "50")] * 2
        acts += [lambda shop, member=member: shop.refund(member, member, "100")]
    outcomes = await town.burst(*acts)
    assert set(outcomes) <= {"done", "insufficient-points", "not-restorable"}
