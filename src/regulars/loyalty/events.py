"""What is told to others about points. The statements that move them write these events (`repository_posting`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.events import Event
from regulars.loyalty.models import LoyaltyTransactionType


@dataclass(frozen=True, kw_only=True)
class _Movement:
    """One transaction of the ledger; `points` is signed."""

    transaction_id: UUID
    points: int
    balance_after: int
    order_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class PointsEarned(Event, _Movement, kind="points.earned"):
    """A customer was awarded points, by an order or otherwise."""


@dataclass(frozen=True, kw_only=True)
class PointsRedeemed(Event, _Movement, kind="points.redeemed"):
    """A customer used points."""


@dataclass(frozen=True, kw_only=True)
class PointsRestored(Event, _Movement, kind="points.restored"):
    """Redeemed points were given back."""


@dataclass(frozen=True, kw_only=True)
class PointsAdjusted(Event, _Movement, kind="points.adjusted"):
    """Points were added or subtracted by hand, or as an opening balance."""


@dataclass(frozen=True, kw_only=True)
class PointsExpired(Event, _Movement, kind="points.expired"):
    """Points whose time had come were written off."""


@dataclass(frozen=True, kw_only=True)
class PointsClawedBack(Event, _Movement, kind="points.clawed_back"):
    """A refund or cancellation took back what its order had earned."""


@dataclass(frozen=True, kw_only=True)
class TierChanged(Event, kind="tier.changed"):
    """A customer's tier rose or fell, or was set by hand."""

    tier_before: LoyaltyTier
    tier: LoyaltyTier
    is_manual: bool


event_of: Mapping[LoyaltyTransactionType, type[Event]] = {
    LoyaltyTransactionType.EARNED: PointsEarned,
    LoyaltyTransactionType.REDEEMED: PointsRedeemed,
    LoyaltyTransactionType.REDEEM_RESTORED: PointsRestored,
    LoyaltyTransactionType.ADJUSTED_ADD: PointsAdjusted,
    LoyaltyTransactionType.ADJUSTED_SUB: PointsAdjusted,
    LoyaltyTransactionType.EXPIRED: PointsExpired,
    LoyaltyTransactionType.REFUND_CLAWBACK: PointsClawedBack,
}
"""Which event a transaction leaves."""
