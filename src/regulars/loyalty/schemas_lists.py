"""What callers ask of lists of transactions and of bulk awards, and what they get."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from regulars.kit.bulk import BulkProblem
from regulars.kit.schemas import Day, Instant, Limit, OneOf, QuerySchema, RequestSchema, ResponseSchema
from regulars.loyalty.bulk import AwardLine, AwardOutcome
from regulars.loyalty.models import LoyaltyTransactionType
from regulars.loyalty.schemas import LoyaltyPointsEarn, expiry_days_of

most_lines = 5_000


class CursorQuery(QuerySchema):
    """How a list is read part by part."""

    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the part before.")
    limit: Limit = 50


class LoyaltyTransactionQuery(CursorQuery):
    """Which transactions; all must hold. Days are store days, both included."""

    transaction_type: OneOf[LoyaltyTransactionType] | None = None
    from_: Day | None = Field(default=None, alias="from")
    to: Day | None = None

    @field_validator("to")
    @classmethod
    def _in_order(cls, to: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("from_")
        if to is not None and first is not None and to < first:
            raise PydanticCustomError("range", "must not be before from")
        return to


class PointsExpiringQuery(CursorQuery):
    """Whose points."""

    days: Annotated[int, Field(ge=0, le=365, description="Today and so many store days after it.")] = 30


class PointsExpiringCustomer(ResponseSchema):
    """A customer with points that expire in the period."""

    customer_id: UUID
    expires_at: Instant = Field(description="The first instant at which some of them are gone.")
    points: int = Field(description="All that expire in the period.")


class LoyaltyBulkEarn(RequestSchema):
    """Many awards."""

    awards: list[LoyaltyPointsEarn] = Field(min_length=1, max_length=most_lines)

    def lines(self) -> list[AwardLine]:
        """The awards as the ledger takes them."""
        return [
            AwardLine(
                award.customer_id,
                award.points,
                award.order_id,
                expiry_days_of(award),
                award.description,
                award.metadata,
            )
            for award in self.awards
        ]


class LoyaltyBulkEarnItem(ResponseSchema):
    """What became of an award."""

    line: int = Field(description="Its place among the awards, from 1.")
    customer_id: UUID
    outcome: Literal["earned", "refused"]
    transaction_id: UUID | None
    problem: BulkProblem | None


class LoyaltyBulkEarnResult(ResponseSchema):
    """What became of all awards, in their order."""

    requested: int
    earned: int
    refused: int
    points: int = Field(description="Awarded in all.")
    items: list[LoyaltyBulkEarnItem]

    @classmethod
    def of(cls, request: LoyaltyBulkEarn, outcomes: list[AwardOutcome]) -> Self:
        """Tell what became of each; outcomes come in the order of the awards."""
        pairs = list(zip(request.awards, outcomes, strict=True))
        refused = sum(outcome.refusal is not None for outcome in outcomes)
        items = [
            LoyaltyBulkEarnItem(
                line=outcome.line + 1,
                customer_id=award.customer_id,
                outcome=outcome.status,
                transaction_id=outcome.transaction_id,
                problem=BulkProblem.of(outcome.refusal) if outcome.refusal else None,
            )
            for award, outcome in pairs
        ]
        return cls(
            requested=len(pairs),
            earned=len(pairs) - refused,
            refused=refused,
            points=sum(award.points for award, outcome in pairs if outcome.refusal is None),
            items=items,
        )
