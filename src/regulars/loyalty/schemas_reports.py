"""What callers read about the programme as a whole, and in full about one customer."""

from decimal import Decimal
from typing import Literal, Self
from uuid import UUID

from pydantic import Field

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.money import format_money
from regulars.kit.schemas import Instant, MoneyText, ResponseSchema
from regulars.kit.security import Principal
from regulars.loyalty.models import LoyaltyTransactionType
from regulars.loyalty.reports import LedgerExplanation, LoyaltyMetrics
from regulars.loyalty.repository_reports import LotRecord
from regulars.loyalty.schemas import LoyaltyBalanceResponse, LoyaltyTransactionResponse


class LoyaltyTierMetrics(ResponseSchema):
    """One tier."""

    tier: LoyaltyTier
    label: str
    customers: int
    points: int = Field(description="Outstanding.")
    liability: MoneyText


class LoyaltyMonthMetrics(ResponseSchema):
    """Points that expire in one month."""

    month: str = Field(description="`YYYY-MM` in store time, or `never`.", examples=["2026-12"])
    points: int
    liability: MoneyText


class LoyaltyProgramMetrics(ResponseSchema):
    """The programme in figures, all of one moment: opening + all that moved = closing, outstanding - owed = ledger."""

    opening: int = Field(description="Sum of the ledger before the period.")
    issued: int = Field(description="Earned and added by hand in the period.")
    redeemed: int = Field(description="Redeemed in the period, less what was given back.")
    expired: int
    moved: dict[LoyaltyTransactionType, int] = Field(description="Signed points of the period by kind.")
    closing: int = Field(description="Sum of the ledger at the end of the period.")
    outstanding: int = Field(description="Points that customers hold now.")
    awaiting_expiry: int = Field(description="Those of them that have expired and are not written off yet.")
    owed: int
    ledger: int
    point_value: Decimal
    liability: MoneyText = Field(description="What all outstanding points are worth.")
    tiers: list[LoyaltyTierMetrics]
    expiring: list[LoyaltyMonthMetrics]

    @classmethod
    def of(cls, metrics: LoyaltyMetrics, currency: str) -> Self:
        """The figures with amounts in the currency's minor units."""
        totals, moved = metrics.totals, metrics.moved
        return cls(
            opening=totals.opening,
            issued=moved["EARNED"] + moved["ADJUSTED_ADD"],
            redeemed=-moved["REDEEMED"] - moved["REDEEM_RESTORED"],
            expired=-moved["EXPIRED"],
            moved={LoyaltyTransactionType(kind): points for kind, points in moved.items()},
            closing=totals.closing,
            outstanding=totals.outstanding,
            awaiting_expiry=totals.awaiting_expiry,
            owed=totals.owed,
            ledger=totals.ledger,
            point_value=metrics.point_value,
            liability=format_money(metrics.liability, currency),
            tiers=[_tier(metrics, tier, currency) for tier in LoyaltyTier],
            expiring=[
                LoyaltyMonthMetrics(
                    month=month, points=totals.by_month[month], liability=format_money(liability, currency)
                )
                for month, liability in metrics.liability_by_month.items()
            ],
        )


def _tier(metrics: LoyaltyMetrics, tier: LoyaltyTier, currency: str) -> LoyaltyTierMetrics:
    known = metrics.totals.by_tier.get(tier.value, {})
    return LoyaltyTierMetrics(
        tier=tier,
        label=tier.label,
        customers=known.get("customers", 0),
        points=known.get("points", 0),
        liability=format_money(metrics.liability_by_tier[tier], currency),
    )


class LoyaltyAuditResponse(ResponseSchema):
    """Every rule of the ledger and how often it is broken; all counts must be 0."""

    scope: Literal["all", "touched"]
    violations: int
    counts: dict[str, int]
    transactions: int
    digest: str = Field(description="SHA-256 over the heads of all chains, in hexadecimal.")


class ExplainedLot(ResponseSchema):
    """Points that were earned together and expire together."""

    number: int = Field(description="The oldest is 1; the sentences call lots by it.")
    earned: int
    remaining: int
    earned_at: Instant
    expires_at: Instant | None


class ExplainedPart(ResponseSchema):
    """What a transaction did to a lot."""

    lot: int | None = Field(description="Number of the lot; null for points owed.")
    points: int


class ExplainedTransactionResponse(ResponseSchema):
    """A transaction, lot by lot and in a sentence."""

    transaction: LoyaltyTransactionResponse
    parts: list[ExplainedPart]
    sentence: str


class LoyaltyExplanationResponse(ResponseSchema):
    """How a balance came to be: what was earned and used, which lots remain, what expires when."""

    balance: LoyaltyBalanceResponse
    summary: list[str]
    lots: list[ExplainedLot]
    transactions: list[ExplainedTransactionResponse] = Field(description="Oldest first.")

    @classmethod
    def of(cls, explanation: LedgerExplanation, by: Principal) -> Self:
        """The explanation as a caller sees it."""
        numbers: dict[UUID | None, int] = {lot.id: number for number, lot in enumerate(explanation.lots, start=1)}
        return cls(
            balance=LoyaltyBalanceResponse.model_validate(explanation.balance),
            summary=explanation.summary,
            lots=[_lot(numbers[lot.id], lot) for lot in explanation.lots],
            transactions=[
                ExplainedTransactionResponse(
                    transaction=LoyaltyTransactionResponse.of(explained.transaction, by),
                    parts=[ExplainedPart(lot=numbers.get(part.lot_id), points=part.points) for part in explained.parts],
                    sentence=explained.sentence,
                )
                for explained in explanation.transactions
            ],
        )


def _lot(number: int, lot: LotRecord) -> ExplainedLot:
    return ExplainedLot(
        number=number, earned=lot.earned, remaining=lot.remaining, earned_at=lot.earned_at, expires_at=lot.expires_at
    )
