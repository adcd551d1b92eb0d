"""What callers read about one customer: purchases, and everything."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from regulars.analytics.schemas import CLVResponse, RFMScoresResponse
from regulars.analytics.schemas_reports import Month
from regulars.customers.schemas import RetailCustomerResponse
from regulars.formulas.rfm import RFMSegment
from regulars.kit.schemas import Day, Id, Instant, MoneyText, QuerySchema, ResponseSchema
from regulars.loyalty.schemas import LoyaltyBalanceResponse


class PurchaseHistoryQuery(QuerySchema):
    """The period of a purchase history: store days, both included."""

    from_: Day | None = Field(default=None, alias="from", description="Left out: from the first order.")
    to: Day | None = Field(default=None, description="Left out: to the last order.")

    @field_validator("to")
    @classmethod
    def _in_order(cls, to: Day | None, info: ValidationInfo) -> Day | None:
        start = info.data.get("from_")
        if to is not None and start is not None and to < start:
            raise PydanticCustomError("range", "{expected}", {"expected": "must not be before from"})
        return to


class MonthlyPurchases(ResponseSchema):
    """What a customer bought in one month."""

    month: Month
    orders: int
    net: MoneyText


class CategoryPurchases(ResponseSchema):
    """What a customer bought of one category."""

    category: str | None = Field(description="Null for products that the catalogue does not know.")
    orders: int = Field(description="Valid orders with a line of it.")
    quantity: str
    total: MoneyText = Field(description="Of the lines, before refunds.")
    share: float = Field(description="Of the totals of all lines listed here, 0 to 1.")


class PurchaseHistorySummary(ResponseSchema):
    """Orders, amounts and categories of a customer over time. Valid orders are neither cancelled nor fully refunded."""

    customer_id: Id
    from_: Day | None = Field(serialization_alias="from")
    to: Day | None
    orders: int = Field(description="Valid orders.")
    cancelled_orders: int
    returned_orders: int = Field(description="Refunded in full.")
    total: MoneyText = Field(description="Of the valid orders.")
    refunded: MoneyText = Field(description="Of the valid orders.")
    net: MoneyText
    average_order_value: MoneyText | None = Field(description="Net by valid orders.")
    first_order_date: Day | None
    last_order_date: Day | None
    purchase_days: int = Field(description="Days with a valid order.")
    average_days_between: float | None = Field(description="From one such day to the next.")
    months: list[MonthlyPurchases] = Field(description="Those with orders, oldest first.")
    categories: list[CategoryPurchases] = Field(description="The 20 on which most was spent.")


class SegmentStep(ResponseSchema):
    """A change of segment."""

    changed_at: Instant
    segment_before: RFMSegment | None
    segment: RFMSegment
    run_id: Id


class CustomerAnalytics(ResponseSchema):
    """Everything about one customer."""

    customer: RetailCustomerResponse
    purchases: PurchaseHistorySummary
    loyalty: LoyaltyBalanceResponse
    rfm: RFMScoresResponse
    clv: CLVResponse
    segment_history: list[SegmentStep] = Field(description="The latest 20, newest first.")
