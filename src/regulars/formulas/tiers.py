"""Tiers by lifetime points."""

from dataclasses import dataclass
from enum import StrEnum


class LoyaltyTier(StrEnum):
    """How far a customer has come; the value is the code on the wire, the label is for people."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"

    @property
    def label(self) -> str:
        """The tier's name for people."""
        return self.value.capitalize()

    @property
    def rank(self) -> int:
        """0 for the lowest tier."""
        return _tiers.index(self)


_tiers = tuple(LoyaltyTier)  # to go through the class takes longer than all the rest here


@dataclass(frozen=True)
class TierThresholds:
    """Lifetime points from which each tier begins; bronze begins at 0."""

    silver: int = 10_000
    gold: int = 50_000
    platinum: int = 100_000

    def starts(self) -> dict[LoyaltyTier, int]:
        """Where each tier begins, lowest first."""
        starts = (0, self.silver, self.gold, self.platinum)
        return dict(zip(_tiers, starts, strict=True))


def tier_for(lifetime_points: int, thresholds: TierThresholds) -> LoyaltyTier:
    """The tier that lifetime points earn."""
    return [tier for tier, start in thresholds.starts().items() if lifetime_points >= start][-1]


def next_tier(lifetime_points: int, thresholds: TierThresholds) -> tuple[LoyaltyTier, int] | None:
    """The next tier by lifetime points and the points to it; None at the top."""
    for tier, start in thresholds.starts().items():
        if start > lifetime_points:
            return tier, start - lifetime_points
    return None


def tier_after_earning(
    current: LoyaltyTier, *, is_manual: bool, before: int, after: int, thresholds: TierThresholds
) -> LoyaltyTier:
    """The tier after lifetime points went from `before` to `after`: earning lifts, it never lowers.

    A tier that was set by hand stays until the customer earns a higher one by crossing its threshold.
    """
    earned = tier_for(after, thresholds)
    if is_manual and earned is tier_for(before, thresholds):
        return current
    return max(current, earned, key=lambda tier: tier.rank)
