"""The ledger as a few lists in memory: what any implementation must agree with.

Plain Python, slow and obvious. Knows nothing of the implementation: no SQL, no chain, no allocations, no job; points
are expired by looking at the clock whenever anyone looks at a customer.
"""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

zone = ZoneInfo("Europe/Berlin")
grace_days = 30
thresholds = [("platinum", 100_000), ("gold", 50_000), ("silver", 10_000), ("bronze", 0)]


class Refused(Exception):  # noqa: N818
    """The model says no; the argument is the name of the refusal."""


def end_of_day(now: datetime, days: int | None) -> datetime | None:
    """The first instant that is no longer the local day `days` after now."""
    if days is None:
        return None
    day = now.astimezone(zone).date() + timedelta(days=days + 1)
    return datetime.combine(day, time(), tzinfo=zone)


@dataclass
class Lot:
    points: int
    expires: datetime | None
    earned: datetime
    number: int
    origin: "Lot | None" = None
    expired: int = 0

    def live(self, now: datetime) -> bool:
        return self.expires is None or now < self.expires

    def first(self) -> "Lot":
        return self.origin or self


@dataclass
class Award:
    points: int
    lot: Lot | None
    due: int = 0
    charged: int = 0


@dataclass
class Redemption:
    uses: list[tuple[Lot, int]]
    restored: int = 0

    @property
    def left(self) -> int:
        return sum(points for _, points in self.uses) - self.restored


@dataclass
class Customer:
    lots: list[Lot] = field(default_factory=list)
    owed: int = 0
    lifetime: int = 0
    tier: str = "bronze"
    active: bool = True
    awards: dict[object, Award] = field(default_factory=dict)
    redemptions: dict[object, Redemption] = field(default_factory=dict)
    refunds: set[object] = field(default_factory=set)


class LedgerModel:
    """All customers, and what the time is."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.customers: dict[object, Customer] = {}
        self.numbers = 0

    # What one can see

    def spendable(self, customer: Customer) -> int:
        return sum(lot.points for lot in customer.lots if lot.live(self.now))

    def deadlines(self, customer: Customer) -> dict[datetime | None, int]:
        sums: dict[datetime | None, int] = {}
        for lot in customer.lots:
            if lot.points and lot.live(self.now):
                sums[lot.expires] = sums.get(lot.expires, 0) + lot.points
        return sums

    # What one can do

    def earn(self, customer: Customer, points: int, days: int | None, order: object = None) -> None:
        self.require_active(customer)
        if order is not None and order in customer.awards:
            raise Refused("already-credited")
        lot = self.add(customer, points, end_of_day(self.now, days))
        customer.lifetime += points
        if order is not None:
            customer.awards[order] = Award(points, lot)
        reached = next(name for name, start in thresholds if customer.lifetime >= start)
        ranks = [name for name, _ in thresholds]
        customer.tier = min(customer.tier, reached, key=ranks.index)

    def adjust(self, customer: Customer, points: int, days: int | None) -> None:
        self.require_active(customer)
        if points > 0:
            self.add(customer, points, end_of_day(self.now, days))
        else:
            self.take(customer, -points)

    def redeem(self, customer: Customer, points: int) -> Redemption:
        self.require_active(customer)
        return Redemption(self.take(customer, points))

    def restore(self, customer: Customer, redemption: Redemption, points: int) -> None:
        if not 0 < points <= redemption.left:
            raise Refused("not-restorable")
        given = [lot for lot, used in reversed(redemption.uses) for _ in range(used)]  # point by point
        given = given[redemption.restored : redemption.restored + points]
        redemption.restored += points
        settled = min(customer.owed, points)
        customer.owed -= settled
        returned = given[: points - settled]
        for lot in dict.fromkeys(map(id, returned)):
            part = [found for found in returned if id(found) == lot]
            if part[0].live(self.now):
                part[0].points += len(part)
            else:
                self.put(customer, len(part), end_of_day(self.now, grace_days), part[0].first())

    def refund(self, customer: Customer, order: object, refund: object, so_far: Fraction) -> None:
        if refund in customer.refunds or order not in customer.awards:
            return
        customer.refunds.add(refund)
        self.write_off(customer)
        award = customer.awards[order]
        due = int(award.points * min(so_far, Fraction(1))) - award.due
        if due <= 0:
            return
        award.due += due
        customer.lifetime -= due
        expired = award.lot.expired if award.lot else 0
        charge = min(due, max(0, award.points - expired - award.charged))
        award.charged += charge
        own = [lot for lot in customer.lots if lot is award.lot]
        others = [lot for lot in self.in_order(customer) if lot is not award.lot]
        for lot in own + others:
            part = min(lot.points, charge)
            lot.points -= part
            charge -= part
        customer.owed += charge

    # How it works inside

    def require_active(self, customer: Customer) -> None:
        if not customer.active:
            raise Refused("customer-inactive")

    def add(self, customer: Customer, points: int, expires: datetime | None) -> Lot | None:
        settled = min(customer.owed, points)
        customer.owed -= settled
        return self.put(customer, points - settled, expires) if points > settled else None

    def put(self, customer: Customer, points: int, expires: datetime | None, origin: Lot | None = None) -> Lot:
        self.numbers += 1
        lot = Lot(points, expires, self.now, self.numbers, origin)
        customer.lots.append(lot)
        return lot

    def take(self, customer: Customer, points: int) -> list[tuple[Lot, int]]:
        if points > self.spendable(customer):
            raise Refused("insufficient-points")
        self.write_off(customer)
        uses = []
        for lot in self.in_order(customer):
            part = min(lot.points, points)
            if part:
                lot.points -= part
                points -= part
                uses.append((lot, part))
        return uses

    def in_order(self, customer: Customer) -> list[Lot]:
        def order(lot: Lot) -> tuple[bool, float, datetime, int]:
            return lot.expires is None, lot.expires.timestamp() if lot.expires else 0, lot.earned, lot.number

        return sorted(customer.lots, key=order)

    def write_off(self, customer: Customer) -> None:
        for lot in customer.lots:
            if not lot.live(self.now):
                lot.first().expired += lot.points
                lot.points = 0
