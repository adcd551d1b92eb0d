"""What callers read about the programme as a whole, and in full about one customer."""

from decimal import Decimal
from typing import Any, Literal, Self
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


class LoyaltyTableRow(ResponseSchema):
    """A line of the CSV form: a total, a tier, or a month of expiry."""

    part: Literal["total", "tier", "expiring"]
    name: str
    customers: int | None = None
    points: int
    liability: MoneyText | None = None


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
    redemption_rate: float | None = Field(description="Redeemed by issued in the period; null while nothing was.")
    members: int = Field(description="Customers with an account.")
    active_members: int = Field(description="Those of them who earned or redeemed in the last year.")
    active_rate: float | None = Field(description="Their share, 0 to 1; null without members.")
    tiers: list[LoyaltyTierMetrics]
    expiring: list[LoyaltyMonthMetrics]

    def table(self) -> list[LoyaltyTableRow]:
        """The figures as lines of a table."""
        totals = ("opening", "issued", "redeemed", "expired", "closing", "outstanding", "awaiting_expiry", "owed")
        return [
            *(LoyaltyTableRow(part="total", name=name, points=getattr(self, name)) for name in totals),
            *(
                LoyaltyTableRow(part="tier", name=row.tier, **_shared(row), customers=row.customers)
                for row in self.tiers
            ),
            *(LoyaltyTableRow(part="expiring", name=row.month, **_shared(row)) for row in self.expiring),
        ]

    @classmethod
    def of(cls, metrics: LoyaltyMetrics, currency: str) -> Self:
        """The figures with amounts in the currency's minor units."""
        totals, moved = metrics.totals, metrics.moved
        tiers = [_tier(metrics, tier, currency) for tier in LoyaltyTier]
        members = sum(tier.customers for tier in tiers)
        issued, redeemed = moved["EARNED"] + moved["ADJUSTED_ADD"], -moved["REDEEMED"] - moved["REDEEM_RESTORED"]
        return cls(
            opening=totals.opening,
            issued=issued,
            redeemed=redeemed,
            expired=-moved["EXPIRED"],
            moved={LoyaltyTransactionType(kind): points for kind, points in moved.items()},
            closing=totals.closing,
            outstanding=totals.outstanding,
            awaiting_expiry=totals.awaiting_expiry,
            owed=totals.owed,
            ledger=totals.ledger,
            point_value=metrics.point_value,
            liability=format_money(metrics.liability, currency),
            redemption_rate=redeemed / issued if issued else None,
            members=members,
            active_members=totals.active,
            active_rate=totals.active / members if members else None,
            tiers=tiers,
            expiring=[
                LoyaltyMonthMetrics(
                    month=month, points=totals.by_month[month], liability=format_money(liability, currency)
                )
                for month, liability in metrics.liability_by_month.items()
            ],
        )


def _shared(row: LoyaltyTierMetrics | LoyaltyMonthMetrics) -> dict[str, Any]:
    return {"points": row.points, "liability": row.liability}


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
