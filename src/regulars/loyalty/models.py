"""What the points ledger is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Self, TypeAlias
from uuid import UUID

from regulars.formulas.earning import EarningBase as EarningMoney
from regulars.formulas.earning import OrderAmounts, Returned, earning_base, points_left, share_kept
from regulars.formulas.points import points_earned
from regulars.formulas.tiers import LoyaltyTier, TierThresholds, tier_for


class LoyaltyTransactionType(StrEnum):
    """The kinds of transaction; the value is what goes over the wire."""

    EARNED = "EARNED"
    REDEEMED = "REDEEMED"
    EXPIRED = "EXPIRED"
    ADJUSTED_ADD = "ADJUSTED_ADD"
    ADJUSTED_SUB = "ADJUSTED_SUB"
    REFUND_CLAWBACK = "REFUND_CLAWBACK"
    REDEEM_RESTORED = "REDEEM_RESTORED"


RefundPolicy: TypeAlias = Literal["allow_debt", "cap_at_zero", "reduce_refund"]
EarningBase: TypeAlias = Literal["with_tax", "without_tax"]
ExpiryDays: TypeAlias = int | Literal["programme"] | None
"""Store days until points expire: so many, those of the programme, or None for never."""


@dataclass(frozen=True)
class Programme:
    """The rules of the loyalty programme as they were from one version to the next.

    Attributes:
        version: Awards keep the version that they were given by.
        points_per_unit: Points for one unit of the currency.
        earning_base: Whether the tax of an order earns points.
        earns_on_shipping: Whether shipping earns points.
        rounding: How a fraction of a point is rounded; always down.
        expiry_days: Store days after which earned points expire; None means never.
        restore_grace_days: Store days that restored points live when their own expiry has passed.
        welcome_bonus_points: Points for a new customer; 0 means none.
        point_value: What one point is worth, in the currency of the installation.
        refund_policy: What happens when refunded points are already spent.
        debt_floor: The lowest balance that a claw-back may leave, 0 or negative.
        silver_from: Lifetime points from which the tier begins; likewise gold and platinum.
        downgrades_at_once: Whether a claw-back lowers the tier at once, not at the next review.
        created_by: Who set these rules; None for the operator.
        created_at: Since when they hold.
    """

    version: int
    points_per_unit: Decimal
    earning_base: EarningBase
    earns_on_shipping: bool
    rounding: Literal["down"]
    expiry_days: int | None
    restore_grace_days: int
    welcome_bonus_points: int
    point_value: Decimal
    refund_policy: RefundPolicy
    debt_floor: int
    silver_from: int
    gold_from: int
    platinum_from: int
    downgrades_at_once: bool
    created_by: UUID | None
    created_at: datetime

    def base_of(self, order: OrderAmounts) -> EarningMoney:
        """The money of an order that earns under these rules."""
        return earning_base(order, with_tax=self.earning_base == "with_tax", with_shipping=self.earns_on_shipping)

    def points_for_order(self, order: OrderAmounts) -> int:
        """Points that an order earns under these rules."""
        return points_earned(self.base_of(order).amount, self.points_per_unit)

    def points_left(self, points: int, order: OrderAmounts, returned: Returned, *, awarded_for: OrderAmounts) -> int:
        """Points that an order keeps after returns and changes, of an award under these rules.

        Args:
            points: What it was awarded.
            order: Its amounts now.
            returned: What was paid back.
            awarded_for: Its amounts when it was awarded.
        """
        base = self.base_of(order)
        return points_left(
            points,
            awarded_for=self.base_of(awarded_for).amount,
            base=base.amount,
            kept=share_kept(base, order, returned),
            points_per_unit=self.points_per_unit,
        )

    @property
    def thresholds(self) -> TierThresholds:
        """Where the tiers begin."""
        return TierThresholds(self.silver_from, self.gold_from, self.platinum_from)


@dataclass(frozen=True)
class LoyaltyAccount:
    """A customer's account as it was read, by most with a lock, and whether the customer may use it.

    `balance` includes points that have expired by the clock and were not yet written off. `is_under_review` is known
    where `lock_accounts` read it; an award asks nobody.
    """

    customer_id: UUID
    balance: int
    lifetime_points: int
    last_seq: int
    tier: LoyaltyTier
    tier_is_manual: bool
    tier_until: datetime | None
    is_active: bool
    is_gone: bool
    erased_at: datetime | None
    is_under_review: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tier", LoyaltyTier(self.tier))

    def has_manual_tier(self, now: datetime) -> bool:
        """Whether a tier set by hand is in force."""
        return self.tier_is_manual and (self.tier_until is None or self.tier_until > now)

    def tier_at(self, now: datetime, thresholds: TierThresholds) -> LoyaltyTier:
        """The tier that holds: one that was set by hand and has ended gives way to the one that was earned."""
        has_ended = self.tier_is_manual and not self.has_manual_tier(now)
        return tier_for(self.lifetime_points, thresholds) if has_ended else self.tier

    def unchanged(self) -> "AccountChange":
        """The change that leaves lifetime points and tier as they are."""
        return AccountChange(self.customer_id, 0, self.tier, self.tier_is_manual, self.tier_until)


@dataclass(frozen=True)
class NewLot:
    """Points that a transaction puts into a lot of their own.

    Attributes:
        points: How many.
        expires_at: When they expire; None means never.
        origin_id: For restored points, the lot that they were first earned in.
    """

    points: int
    expires_at: datetime | None
    origin_id: UUID | None = None


@dataclass(frozen=True)
class LoyaltyTransactionCreate:
    """A transaction to write: what the ledger cannot derive from the account.

    Attributes:
        points: Signed; the sum of `new_lots`, `lot_changes` and `debt_change`.
        qualifies: Whether it counts for the tier.
        lot_changes: Signed change of each existing lot.
        debt_change: Points of debt settled (positive) or made (negative).
        spends: Whether its points are taken from the lots in the order of use as they are when it is written; then
            none of the three above is given.
        expires_at: Shown with a gain; when its (first) lot expires.
        trace_id: Of the request that asks for it, where that is not the one whose work it is part of.
    """

    customer_id: UUID
    transaction_type: LoyaltyTransactionType
    points: int
    created_by: UUID | None
    created_at: datetime
    programme_version: int | None = None
    qualifies: bool = False
    rule: str | None = None
    reason_code: str | None = None
    order_id: UUID | None = None
    refund_id: UUID | None = None
    reverses_transaction_id: UUID | None = None
    expires_at: datetime | None = None
    new_lots: tuple[NewLot, ...] = ()
    lot_changes: tuple[tuple[UUID, int], ...] = ()
    debt_change: int = 0
    spends: bool = False
    trace_id: str | None = None

    def taking(self, taken: Sequence[tuple[UUID, int]]) -> "LoyaltyTransactionCreate":
        """This use, taking from these lots; what they do not give becomes debt."""
        short = -self.points - sum(points for _, points in taken)
        return replace(self, lot_changes=tuple((lot, -points) for lot, points in taken), debt_change=-short)


@dataclass(frozen=True)
class LotUse:
    """What a redemption took from a lot.

    Attributes:
        lot_id: The lot.
        origin_id: The lot in which these points were first earned.
        expires_at: When the lot expires or expired.
        points: Points taken.
    """

    lot_id: UUID
    origin_id: UUID
    expires_at: datetime | None
    points: int

    def is_due(self, now: datetime) -> bool:
        """Whether the lot has expired by the clock."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class LoyaltyTransaction:
    """One row of the ledger. `description` and `metadata` live apart and can be erased."""

    id: UUID
    customer_id: UUID
    seq: int
    transaction_type: LoyaltyTransactionType
    points: int
    balance_before: int
    balance_after: int
    qualifies: bool
    rule: str | None
    reason_code: str | None
    order_id: UUID | None
    refund_id: UUID | None
    reverses_transaction_id: UUID | None
    programme_version: int | None
    expires_at: datetime | None
    created_by: UUID | None
    created_at: datetime
    description: str | None = None
    metadata: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "transaction_type", LoyaltyTransactionType(self.transaction_type))


@dataclass(frozen=True)
class AccountChange:
    """What a written transaction means for the account, beyond the balance."""

    customer_id: UUID
    lifetime_points: int
    tier: LoyaltyTier
    tier_is_manual: bool
    tier_until: datetime | None


@dataclass(frozen=True)
class Deadline:
    """Points that expire at one instant; None means never."""

    expires_at: datetime | None
    points: int


@dataclass(frozen=True)
class LoyaltyBalance:
    """What a customer has, by the clock.

    `balance` is spendable points less points owed, whether or not a job has written off what expired.
    """

    customer_id: UUID
    balance: int
    spendable: int
    points_owed: int
    lifetime_points: int
    tier: LoyaltyTier
    tier_is_manual: bool
    tier_until: datetime | None
    next_tier: LoyaltyTier | None
    points_to_next_tier: int | None
    expiring_30_days: int
    expiring_60_days: int
    expiring_90_days: int
    deadlines: list[Deadline] = field(default_factory=list)

    @property
    def next_deadline(self) -> Deadline | None:
        """The next instant at which points expire; None when none ever do."""
        return next((deadline for deadline in self.deadlines if deadline.expires_at), None)


@dataclass(frozen=True)
class TierChange:
    """One entry of a customer's tier history; `trace_id` as for a transaction."""

    customer_id: UUID
    tier_before: LoyaltyTier
    tier: LoyaltyTier
    is_manual: bool
    tier_until: datetime | None
    reason: str | None
    created_by: UUID | None
    created_at: datetime
    trace_id: str | None = None

    @classmethod
    def of(
        cls,
        account: LoyaltyAccount,
        change: AccountChange,
        *,
        created_by: UUID | None,
        created_at: datetime,
        reason: str | None = None,
        trace_id: str | None = None,
    ) -> Self:
        """What a change of an account is to its tier."""
        return cls(
            customer_id=account.customer_id,
            tier_before=account.tier,
            tier=change.tier,
            is_manual=change.tier_is_manual,
            tier_until=change.tier_until,
            reason=reason,
            created_by=created_by,
            created_at=created_at,
            trace_id=trace_id,
        )
