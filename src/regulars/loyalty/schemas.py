"""What callers send to the points ledger and what they get back."""

import json
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Field, JsonValue, field_validator
from pydantic_core import PydanticCustomError

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.schemas import Day, Id, Instant, OneOf, Points, RequestSchema, ResponseSchema, Text
from regulars.loyalty.models import LoyaltyTransactionType

ExpiryDays: TypeAlias = Annotated[int, Field(ge=1, le=3650)]
ReasonCode: TypeAlias = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="A code, such as `goodwill`; no names.")
]
metadata_bytes = 4096


class AdjustmentType(StrEnum):
    """Which way an adjustment goes."""

    ADJUSTED_ADD = "ADJUSTED_ADD"
    ADJUSTED_SUB = "ADJUSTED_SUB"


class LoyaltyTransactionBase(RequestSchema):
    """What all ways to move points have in common."""

    description: Annotated[str, Text(500, lines=True)] | None = Field(
        default=None, description="Free text; kept apart, erased with the person."
    )
    metadata: dict[str, JsonValue] | None = Field(
        default=None, description="Up to 4 KiB as JSON; erased with the person."
    )

    @field_validator("metadata")
    @classmethod
    def _not_too_long(cls, metadata: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        if len(json.dumps(metadata).encode()) > metadata_bytes:
            raise PydanticCustomError("length", "must be at most 4 KiB as JSON")
        return metadata


class LoyaltyPointsEarn(LoyaltyTransactionBase):
    """An award of points."""

    customer_id: Id
    points: Points
    order_id: Id | None = Field(default=None, description="The order that earns; it can earn only once.")
    expiry_days: ExpiryDays | None = Field(
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
    expiry_days: ExpiryDays | None = Field(
        default=None, description="For added points: as in an award. Not for subtracted ones."
    )


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

    customer_ids: list[Id] = Field(min_length=1, max_length=1000)
    tier: OneOf[LoyaltyTier]
    reason: Annotated[str, Text(500)]
    until: Day | None = None
    atomic: bool = Field(default=False, description="Change all or none.")


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
    created_by: UUID | None
    created_at: Instant


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


class LoyaltyAuditResponse(ResponseSchema):
    """Every rule of the ledger and how often it is broken; all counts must be 0."""

    scope: Literal["all", "touched"]
    violations: int
    counts: dict[str, int]
    transactions: int
    digest: str = Field(description="SHA-256 over the heads of all chains, in hexadecimal.")


class LoyaltyProgrammeUpdate(RequestSchema):
    """Settings of the programme to change; an absent one stays, null for `expiry_days` is never."""

    based_on: int = Field(ge=1, description="The version that the change was made from.")
    points_per_unit: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)] = Decimal(1)
    earning_base: Literal["with_tax", "without_tax"] = "with_tax"
    earns_on_shipping: bool = False
    expiry_days: ExpiryDays | None = None
    restore_grace_days: ExpiryDays = 30
    welcome_bonus_points: Annotated[int, Field(strict=True, ge=0, le=10_000_000)] = 100
    point_value: Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)] = Decimal("0.01")
    refund_policy: Literal["allow_debt", "cap_at_zero", "reduce_refund"] = "allow_debt"
    debt_floor: Annotated[int, Field(strict=True, ge=-1_000_000_000, le=0)] = -10_000_000
    silver_from: Annotated[int, Field(strict=True, ge=1)] = 10_000
    gold_from: Annotated[int, Field(strict=True, ge=1)] = 50_000
    platinum_from: Annotated[int, Field(strict=True, ge=1)] = 100_000
    downgrades_at_once: bool = False
