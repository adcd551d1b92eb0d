"""What callers ask and read about movement, acquisition and retention."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field

from regulars.formulas.retention import Retention
from regulars.formulas.rfm import RFMSegment
from regulars.kit.money import format_money
from regulars.kit.schemas import Day, Id, Instant, MoneyText, QuerySchema, ResponseSchema

Rate: TypeAlias = Annotated[float, Field(description="0 to 1.")]
Month: TypeAlias = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$", examples=["2026-01"])]


class ReportPeriod(QuerySchema):
    """The months of a report."""

    from_: Day | None = Field(
        default=None, alias="from", description="The report begins with the month of this day; default: 11 months ago."
    )
    to: Day | None = Field(default=None, description="It ends with the month of this day; default: today.")


class AcquisitionQuery(ReportPeriod):
    """Which new customers, and how they are told apart."""

    by: Literal["month", "source", "campaign"] = Field(
        default="source", description="A row is a month, a source in a month, or a campaign of a source in a month."
    )


class RetentionQuery(ReportPeriod):
    """Which cohorts and months."""

    inactive_months: int = Field(
        default=6, ge=1, le=36, description="Who has not ordered for so many months has churned."
    )


class RFMMovementQuery(QuerySchema):
    """Between which two runs; without them, the last two that scored everyone."""

    from_run: Id | None = None
    to_run: Id | None = None


class RFMMovementRow(ResponseSchema):
    """Customers that were in one segment and are in another, or still in the same one."""

    segment_before: RFMSegment | None = Field(description="Null for those who had none yet.")
    segment: RFMSegment
    customers: int


class RFMSegmentMovement(ResponseSchema):
    """How customers moved between segments from one run to another."""

    from_run: Id
    to_run: Id
    from_at: Instant = Field(description="When the first run looked at the shop.")
    to_at: Instant = Field(description="When the second one did.")
    stayed: int = Field(description="Customers in the same segment as before.")
    moved: int
    added: int = Field(description="Customers without a segment before.")
    movements: list[RFMMovementRow] = Field(description="By segment before and segment, best first.")


class CustomerAcquisitionMetrics(ResponseSchema):
    """The new customers of a month from one source, and what became of them until now."""

    month: Month
    source: str | None = Field(description="Null where none was recorded, or where rows are months.")
    campaign: str | None
    is_rest: bool = Field(description="Sources that brought fewer customers than the 50 with rows of their own.")
    customers: int
    customers_with_orders: int
    first_order_rate: Rate
    orders: int
    net_spent: MoneyText
    average_net_spent: MoneyText = Field(description="Per new customer.")
    clv: MoneyText = Field(description="Sum of the lifetime values as last calculated.")
    average_clv: MoneyText = Field(description="Per new customer.")


class CohortCell(ResponseSchema):
    """One month of a cohort; null while it is not over. Rates are shares of the cohort's size."""

    month: int = Field(description="Months since the cohort's own, which is 0.")
    active: int | None = Field(description="Customers with an order in this month.")
    net: MoneyText | None = Field(description="Of the orders of this month, less refunds.")
    retention: float | None = Field(description="Share with an order in this month.")
    rolling_retention: float | None = Field(description="Share with an order in this month or later.")
    cumulative_repeat: float | None = Field(description="Share with a second order within so many months.")
    revenue_retention: float | None = Field(description="Net of this month by net of month 0.")

    @classmethod
    def of(cls, rates: Retention, currency: str) -> Self:
        """The rates of a month with its money rounded."""
        return cls(
            month=rates.month,
            active=rates.active,
            net=None if rates.net is None else format_money(rates.net, currency),
            retention=rates.classic,
            rolling_retention=rates.rolling,
            cumulative_repeat=rates.cumulative_repeat,
            revenue_retention=rates.revenue,
        )


class CohortRow(ResponseSchema):
    """The customers whose first order was in one month."""

    cohort: Month
    customers: int = Field(description="Size of the cohort; every rate is a share of it.")
    cells: list[CohortCell]


class CohortTableRow(CohortCell):
    """A cell with its cohort: a line of the CSV form."""

    cohort: Month
    customers: int


class ActivityPeriod(ResponseSchema):
    """The customers of a month. `active` is `new` + `returning` + `reactivated`."""

    month: Month
    is_finished: bool = Field(description="False for the present month, whose counts still grow.")
    active: int = Field(description="Customers with an order.")
    new: int = Field(description="Their first.")
    returning: int = Field(description="They ordered within the `inactive_months` before, too.")
    reactivated: int = Field(description="They had not for longer than that.")
    churned: int | None = Field(description="Customers for whom it has been `inactive_months` since; null until over.")


class CustomerRetentionMetrics(ResponseSchema):
    """Cohorts by month of the first order, and what they did in the months since."""

    from_month: Month
    to_month: Month
    as_of: Day = Field(description="The last day whose orders count: the store's today.")
    inactive_months: int
    cohorts: list[CohortRow] = Field(description="Months without first orders are left out.")
    average: list[CohortCell] = Field(description="All cohorts together, month by month, each weighted by its size.")
    periods: list[ActivityPeriod]

    def table(self) -> list[CohortTableRow]:
        """The cohorts as lines of a table."""
        return [
            CohortTableRow(cohort=row.cohort, customers=row.customers, **dict(cell))
            for row in self.cohorts
            for cell in row.cells
        ]
