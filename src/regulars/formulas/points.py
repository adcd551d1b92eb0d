"""Arithmetic of points: what an amount earns, which lots a use takes from, what is charged of what expired.

Points are whole numbers. Money is a `Decimal`; points are rounded down, once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar
from uuid import UUID

_never = datetime.max.replace(tzinfo=UTC)
LotId = TypeVar("LotId")


@dataclass(frozen=True)
class OpenLot:
    """Points that were earned together, expire together and are not used up.

    Attributes:
        id: The lot.
        remaining: Points left in it.
        earned_at: When they were earned.
        expires_at: The first instant at which they can no longer be used; None means never.
    """

    id: UUID
    remaining: int
    earned_at: datetime
    expires_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Whether the points have expired by the clock, no matter whether a job has written that down."""
        return self.expires_at is not None and self.expires_at <= now

    def order_of_use(self) -> tuple[datetime, datetime, UUID]:
        """The key by which lots are used: those that expire soonest first, then the oldest."""
        return (self.expires_at or _never, self.earned_at, self.id)


def points_earned(amount: Decimal, points_per_unit: Decimal) -> int:
    """Points for an amount of money, rounded down; nothing for a negative amount."""
    return max(0, int((amount * points_per_unit).to_integral_value(rounding=ROUND_DOWN)))


def settle_debt(balance: int, points: int) -> tuple[int, int]:
    """Split a gain into what settles points owed and what remains to be spent."""
    settled = min(points, max(-balance, 0))
    return settled, points - settled


def use(lots: Iterable[OpenLot], points: int) -> tuple[list[tuple[UUID, int]], int]:
    """Take points from lots in the order of use.

    Returns:
        What to take from each lot, and how many points the lots could not give.
    """
    taken: list[tuple[UUID, int]] = []
    for lot in sorted(lots, key=OpenLot.order_of_use):
        if points == 0:
            break
        part = min(lot.remaining, points)
        taken.append((lot.id, part))
        points -= part
    return taken, points


def give_back(uses: Sequence[tuple[LotId, int]], *, already: int, points: int) -> list[tuple[LotId, int]]:
    """Which lots get restored points back: those used last (which expire latest) first.

    Args:
        uses: What the redemption took from each lot, in the order of use.
        already: Points of this redemption that were given back before.
        points: Points to give back now; at most what is left of the redemption.
    """
    given: list[tuple[LotId, int]] = []
    for lot, used in reversed(uses):
        skipped = min(already, used)
        already -= skipped
        part = min(used - skipped, points)
        points -= part
        if part:
            given.append((lot, part))
    return given


def claw_back_expired(due: int, *, already: int, earned: int, expired: int) -> int:
    """How many of the points that are due had already expired, and are not charged a second time.

    The customer gives back at most what did not expire: `earned - expired` over all refunds of the award.
    `already` are the points that earlier refunds really charged.
    """
    return max(0, due - max(0, earned - expired - already))
