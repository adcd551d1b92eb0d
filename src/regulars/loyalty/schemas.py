"""What callers send to the points ledger and what they get back."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Self, TypeAlias
from uuid import UUID

from pydantic import Field, JsonValue

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.bulk import Atomic, Ids
from regulars.kit.schemas import Day, Id, Instant, OneOf, Points, RequestSchema, ResponseSchema, Text, small_json
from regulars.kit.security import Principal
from regulars.loyalty.access import sees_notes
from regulars.loyalty.models import ExpiryDays, LoyaltyTransaction, LoyaltyTransactionType

StoreDays: TypeAlias = Annotated[int, Field(ge=1, le=3650)]
ReasonCode: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="A code, such as `goodwill`; no names.")
]


class AdjustmentType(StrEnum):
    """Which way an adjustment goes."""

    ADJUSTED_ADD = "ADJUSTED_ADD"
    ADJUSTED_SUB = "ADJUSTED_SUB"


class LoyaltyTransactionBase(RequestSchema):
    """What all ways to move points have in common."""

    description: Annotated[str, Text(500, lines=True)] | None = Field(
        default=None, description="Free text; kept apart, erased with the person."
    )
    metadata: Annotated[dict[str, JsonValue], small_json] | None = Field(
        default=None, description="Up to 4 KiB as JSON; erased with the person."
    )


class LoyaltyPointsEarn(LoyaltyTransactionBase):
    """An award of points."""

    customer_id: Id
    points: Points
    order_id: Id | None = Field(default=None, description="The order that earns; it can earn only once.")
    expiry_days: StoreDays | None = Field(
        default=None, description="Store days until the points expire; null is never; absent is the programme's."
    )


class LoyaltyPointsRedeem(LoyaltyTransactionBase):
    """A redemption of points."""

    customer_id: Id
    points: Points
    order_id: Id | None = Field(default=None, description="The order that was paid with them.")


class LoyaltyPointsAdjust(LoyaltyTransactionBase):
    """An adjustment by hand."""

    customer_id: Id
    points: Points
    adjustment_type: OneOf[AdjustmentType]
    reason: ReasonCode
    expiry_days: StoreDays | None = Field(
        default=None, description="For added points: as in an award. Not for subtracted ones."
    )


def expiry_days_of(request: LoyaltyPointsEarn | LoyaltyPointsAdjust) -> ExpiryDays:
    """What a caller asks for: an absent field is the programme's, null is never."""
    return request.expiry_days if "expiry_days" in request.model_fields_set else "programme"


class LoyaltyRedemptionRestore(LoyaltyTransactionBase):
    """Points of a redemption to give back."""

    points: Points | None = Field(default=None, description="How many; absent is all that is left of the redemption.")
    reason: ReasonCode = "redemption_cancelled"


class LoyaltyTierUpdate(RequestSchema):
    """A tier set by hand."""

    customer_id: Id
    tier: OneOf[LoyaltyTier]
    reason: Annotated[str, Text(500)]
    until: Day | None = Field(default=None, description="Last store day of the tier; absent is until it is changed.")


class BulkLoyaltyTierUpdate(RequestSchema):
    """One tier for many customers."""

    customer_ids: Ids
    tier: OneOf[LoyaltyTier]
    reason: Annotated[str, Text(500)]
    until: Day | None = None
    atomic: Atomic = False


class LoyaltyTransactionResponse(ResponseSchema):
    """One row of the ledger."""

    id: UUID
    customer_id: UUID
    seq: int
    transaction_type: LoyaltyTransactionType
    points: int = Field(description="Signed: balance_after = balance_before + points.")
    balance_before: int
    balance_after: int
    description: str | None
    metadata: dict[str, JsonValue] | None
    reason_code: str | None
    order_id: UUID | None
    refund_id: UUID | None
    reverses_transaction_id: UUID | None
    expires_at: Instant | None
    created_by: UUID | None = Field(description="The user or API client; null for the program itself.")
    created_at: Instant

    @classmethod
    def of(cls, transaction: LoyaltyTransaction, by: Principal) -> Self:
        """The row as a caller sees it; without notes and writer, where these are none of the caller's business."""
        shown = transaction
        if not sees_notes(transaction, by):
            shown = replace(transaction, description=None, metadata=None, created_by=None)
        return cls.model_validate(shown)


class PointsDeadline(ResponseSchema):
    """Points that expire together."""

    expires_at: Instant | None = Field(description="The first instant at which they are gone; null is never.")
    points: int


class LoyaltyBalanceResponse(ResponseSchema):
    """What a customer has now, and what expires when."""

    customer_id: UUID
    balance: int = Field(description="Spendable points less points owed.")
    spendable: int
    points_owed: int
    lifetime_points: int
    tier: LoyaltyTier
    tier_is_manual: bool
    tier_until: Instant | None
    next_tier: LoyaltyTier | None
    points_to_next_tier: int | None
    expiring_30_days: int
    expiring_60_days: int
    expiring_90_days: int
    next_deadline: PointsDeadline | None
    deadlines: list[PointsDeadline] = Field(description="Adds up to spendable.")


class LoyaltyExpiringResponse(ResponseSchema):
    """Points about to expire, earliest first."""

    customer_id: UUID
    days: int
    points: int
    deadlines: list[PointsDeadline]


class LoyaltyExpireRequest(RequestSchema):
    """Which points to write off."""

    as_of: Instant | None = Field(default=None, description="Those due at this instant; absent is now, never later.")


class LoyaltyExpireResult(ResponseSchema):
    """What a run wrote off."""

    customers: int
    lots: int
    points: int
