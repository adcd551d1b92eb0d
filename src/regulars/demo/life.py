"""What the demo's customers do with their points: they earn, spend some, let some expire, and bring some things back.

Everything follows from the orders and the seed, so that two demos tell the same story. The points are those of a
programme of the demo's own: more of them for each unit of money, and tiers within reach.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from regulars.demo.repository import DemoOrder, DemoRefund, DemoRepository
from regulars.demo.shop import Dataset
from regulars.formulas.earning import OrderAmounts
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.money import minor_units
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.history import PastAward, PastEvent, PastExpiry, PastRedemption, PastRefund, write_histories
from regulars.loyalty.models import Programme
from regulars.loyalty.programme import ProgrammeService
from regulars.loyalty.schemas_programme import LoyaltyProgrammeUpdate

# At the till: one who has enough asks to pay with points at every eighth order; in steps of 500, up to 2,000.
_redeeming, _portion, _most_portions = 0.125, 500, 4
# One order in 200 comes back within a month, more often whole than in part.
_returning, _returned_whole = 0.005, 0.6
# When the nightly job writes off what expired at midnight.
_job_at = timedelta(hours=2, minutes=15)
connections = 2


@dataclass
class Life:
    """A story for each customer, and the refunds in it."""

    histories: dict[UUID, list[PastEvent]] = field(default_factory=lambda: defaultdict(list))
    refunds: list[DemoRefund] = field(default_factory=list)


async def live(database: Database, settings: Settings, clock: Clock, dataset: Dataset) -> None:
    """Award the demo's orders, and let its customers use their points, up to the day after the last order.

    Args:
        database: With the orders; of at least two connections.
        settings: Of the installation.
        clock: Of the shop.
        dataset: Which orders.
    """
    async with database.transaction() as connection:
        repository = DemoRepository(connection)
        orders = await repository.get_orders(dataset.source)
        opened = replace(clock, stopped_at=clock.start_of(clock.day_of(orders[0].ordered_at)))
        programme = await ProgrammeService(connection, opened).change_programme(_rules(dataset), by=operator)
        life = plan_life(orders, programme, clock, digits=minor_units(settings.currency))
        await repository.write_refunds(life.refunds)
    await write_histories(database, opened, life.histories, by=operator, at_once=connections)


def _rules(dataset: Dataset) -> LoyaltyProgrammeUpdate:
    return LoyaltyProgrammeUpdate(
        based_on=1,
        points_per_unit=dataset.points_per_unit,
        point_value=Decimal("0.05") / dataset.points_per_unit,
        silver_from=2_000,
        gold_from=5_000,
        platinum_from=10_000,
    )


def plan_life(
    orders: Sequence[DemoOrder], programme: Programme, clock: Clock, *, digits: int, seed: int = 1997
) -> Life:
    """What happens around these orders.

    Args:
        orders: In the order of their instants.
        programme: The rules of the points.
        clock: Of the shop, for its days.
        digits: Decimals of the currency.
        seed: Any whole number; the same one gives the same story.
    """
    chance = random.Random(seed)  # noqa: S311 - an invented story needs no secrets
    until = clock.start_of(clock.day_of(orders[-1].ordered_at) + timedelta(days=1))
    life, midnights = Life(), _Midnights(clock, programme)
    seen: set[UUID] = set()
    for order in orders:
        history, (redeems, returns, days, part) = life.histories[order.customer_id], _draw(chance)
        if redeems < _redeeming and order.customer_id in seen:
            history.append(PastRedemption(order.ordered_at, _portion, _most_portions))
        seen.add(order.customer_id)
        points = programme.points_for_order(
            OrderAmounts(order.total, order.tax_total, order.shipping_total, minor_units=digits)
        )
        if points:
            history.append(PastAward(order.ordered_at, order.id, points))
        refunded_at = order.ordered_at + timedelta(days=1 + 27 * days)
        if returns < _returning and refunded_at < until and order.total > 0:
            amount = _returned(order.total, part, digits)
            refund = DemoRefund(_id(chance), order, amount, refunded_at, clock.day_of(refunded_at))
            life.refunds.append(refund)
            history.append(PastRefund(refunded_at, order.id, refund.id, amount, order.total))
    for customer_id, history in life.histories.items():
        expiries = midnights.expiries(history, until)
        life.histories[customer_id] = sorted([*history, *expiries], key=lambda event: event.at)
    life.histories = {customer_id: history for customer_id, history in life.histories.items() if history}
    return life


def _draw(chance: random.Random) -> tuple[float, ...]:
    """As many draws for each order, whatever comes of them, so that no order's story depends on another's."""
    return tuple(chance.random() for _ in range(4))


def _id(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def _returned(total: Decimal, part: float, digits: int) -> Decimal:
    """All of it, or a part that is neither nothing nor all."""
    if part < _returned_whole:
        return total
    step = Decimal(1).scaleb(-digits)
    share = Decimal(str(round(0.2 + part / 2, 2)))
    return min(max((total * share).quantize(step, ROUND_HALF_UP), step), total)


class _Midnights:
    """When points expire; each store day is looked up once."""

    def __init__(self, clock: Clock, programme: Programme) -> None:
        self._clock, self._days = clock, programme.expiry_days
        self._known: dict[object, datetime] = {}

    def expiries(self, history: Iterable[PastEvent], until: datetime) -> Iterator[PastExpiry]:
        """The nights in which the job finds something of these awards that is due."""
        if self._days is None:
            return
        nights = {self._night(event.at, self._days) for event in history if isinstance(event, PastAward)}
        yield from (PastExpiry(night) for night in sorted(nights) if night < until)

    def _night(self, earned_at: datetime, days: int) -> datetime:
        day = self._clock.day_of(earned_at)
        if day not in self._known:
            self._known[day] = self._clock.end_of(day + timedelta(days=days)) + _job_at
        return self._known[day]
