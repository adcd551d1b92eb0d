"""Reports on all customers: how they move between segments, where they come from, whether they come back."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from regulars.analytics.errors import InsufficientData
from regulars.analytics.repository_reports import AcquisitionCount, ActivityCount, CohortCount, ReportRepository
from regulars.analytics.schemas_reports import (
    AcquisitionQuery,
    ActivityPeriod,
    CohortCell,
    CohortRow,
    CustomerAcquisitionMetrics,
    CustomerRetentionMetrics,
    ReportPeriod,
    RetentionQuery,
    RFMMovementQuery,
    RFMMovementRow,
    RFMSegmentMovement,
)
from regulars.formulas.retention import CohortMonth, Retention, average_retention, retention
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.money import format_money
from regulars.kit.months import first_of_month, months_between, name_of_month
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation

most_months = 60
"""How many months a report may span: five years."""

earliest_month = date(1971, 1, 1)

most_sources = 50
"""How many sources or campaigns have rows of their own."""


@dataclass(frozen=True)
class Months:
    """The months of a report, by their first days; both ends are included."""

    first: date
    last: date

    @property
    def after(self) -> date:
        """The first day that no longer belongs to them."""
        return first_of_month(self.last, 1)


class ReportService:
    """Reports of this moment, for the store's months. Nothing is changed.

    Args:
        connection: In a transaction.
        settings: The shop's currency.
        clock: The shop's time and time zone.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._timezone = clock.store_timezone.key
        self._reports = ReportRepository(connection)

    async def get_rfm_movement(self, query: RFMMovementQuery) -> RFMSegmentMovement:
        """Customers by their segments in two runs.

        Raises:
            InsufficientData: there are not two runs yet that scored everyone.
            NotFound: one of the runs does not exist, or made no scores.
            Validation: the second run is not later than the first.
        """
        first, second = await self._two_runs(query)
        moments = await self._reports.get_moments([first, second])
        if len(moments) < len({first, second}):
            raise NotFound
        if moments[first] >= moments[second]:
            raise Validation.at("/from_run", "range", "must be an earlier run than to_run", place="query")
        counts = await self._reports.get_rfm_movement(moments[first], moments[second])
        rows = sorted((RFMMovementRow.model_validate(count) for count in counts), key=_best_first)
        return RFMSegmentMovement(
            from_run=first,
            to_run=second,
            from_at=moments[first],
            to_at=moments[second],
            stayed=sum(row.customers for row in rows if row.segment_before == row.segment),
            moved=sum(row.customers for row in rows if row.segment_before not in {None, row.segment}),
            added=sum(row.customers for row in rows if row.segment_before is None),
            movements=rows,
        )

    async def get_acquisition_metrics(self, query: AcquisitionQuery) -> list[CustomerAcquisitionMetrics]:
        """New customers by month and source, and what became of them until now.

        Raises:
            Validation: the period is empty or too long.
        """
        months = self._months_of(query)
        since, until = self._instants(months)
        rows = await self._reports.get_acquisition_metrics(
            since, until, by=query.by, most=most_sources, timezone=self._timezone
        )
        return [self._acquired(row) for row in rows]

    async def get_retention_metrics(self, query: RetentionQuery) -> CustomerRetentionMetrics:
        """Cohorts by month of the first valid order, and the customers of each month by what they did before.

        Raises:
            Validation: the period is empty or too long.
        """
        months, today = self._months_of(query), self._clock.today()
        since, until = self._instants(months)
        counts = await self._reports.get_retention_cohorts(since, until, today=today, timezone=self._timezone)
        activity = await self._reports.get_activity(
            months.first,
            months.last,
            looked_at_from=first_of_month(months.first, -query.inactive_months),
            inactive_months=query.inactive_months,
            today=today,
            timezone=self._timezone,
        )
        rates = _rates(counts, today)
        return CustomerRetentionMetrics(
            from_month=name_of_month(months.first),
            to_month=name_of_month(months.last),
            as_of=today,
            inactive_months=query.inactive_months,
            cohorts=[
                CohortRow(cohort=name_of_month(cohort), customers=size, cells=self._cells(cells))
                for cohort, (size, cells) in rates.items()
            ],
            average=self._cells(average_retention(list(rates.values()))),
            periods=[_period(row, today) for row in activity],
        )

    async def _two_runs(self, query: RFMMovementQuery) -> tuple[UUID, UUID]:
        if query.from_run is not None and query.to_run is not None:
            return query.from_run, query.to_run
        if query.from_run is not None or query.to_run is not None:
            missing = "/to_run" if query.to_run is None else "/from_run"
            raise Validation.at(missing, "missing", "one run needs the other", place="query")
        latest = await self._reports.get_latest_run_ids(2)
        if len(latest) < 2:
            raise InsufficientData(needed=2, have=len(latest))
        return latest[1], latest[0]

    def _months_of(self, period: ReportPeriod) -> Months:
        this_month = first_of_month(self._clock.today())
        last = first_of_month(period.to) if period.to else this_month
        if not earliest_month <= last <= this_month:
            raise Validation.at("/to", "range", "must be from 1971 to this month", place="query")
        first = first_of_month(period.from_) if period.from_ else first_of_month(last, -11)
        if first > last:
            raise Validation.at("/from", "range", "must not be after to", place="query")
        if months_between(first, last) >= most_months:
            raise Validation.at("/from", "range", f"must be less than {most_months} months before to", place="query")
        return Months(first, last)

    def _instants(self, months: Months) -> tuple[datetime, datetime]:
        return self._clock.start_of(months.first), self._clock.start_of(months.after)

    def _acquired(self, row: AcquisitionCount) -> CustomerAcquisitionMetrics:
        return CustomerAcquisitionMetrics(
            month=name_of_month(row.month),
            source=row.source,
            campaign=row.campaign,
            is_rest=row.is_rest,
            customers=row.customers,
            customers_with_orders=row.customers_with_orders,
            first_order_rate=row.customers_with_orders / row.customers,
            orders=row.orders,
            net_spent=self._money(row.net_spent),
            average_net_spent=self._money(row.net_spent / row.customers),
            clv=self._money(row.clv),
            average_clv=self._money(row.clv / row.customers),
        )

    def _cells(self, rates: Sequence[Retention]) -> list[CohortCell]:
        return [CohortCell.of(month, self._settings.currency) for month in rates]

    def _money(self, amount: Decimal) -> str:
        return format_money(amount, self._settings.currency)


def _rates(counts: Sequence[CohortCount], today: date) -> dict[date, tuple[int, list[Retention]]]:
    """Size and rates of every cohort, oldest first."""
    found: dict[date, dict[int, CohortMonth]] = defaultdict(dict)
    for row in counts:
        found[row.cohort][row.month] = CohortMonth(row.active, row.last, row.second_orders, row.net)
    rates: dict[date, tuple[int, list[Retention]]] = {}
    for cohort, by_month in sorted(found.items()):
        finished = months_between(cohort, today)
        months = [by_month.get(number, CohortMonth()) for number in range(finished + 1)]
        size = sum(month.last for month in by_month.values())  # everybody has one last month
        rates[cohort] = size, retention(size, months, finished)
    return rates


def _period(row: ActivityCount, today: date) -> ActivityPeriod:
    is_finished = row.month < first_of_month(today)
    return ActivityPeriod(
        month=name_of_month(row.month),
        is_finished=is_finished,
        active=row.active,
        new=row.new,
        returning=row.returning,
        reactivated=row.reactivated,
        churned=row.churned if is_finished else None,
    )


def _best_first(row: RFMMovementRow) -> tuple[int, int]:
    segments = list(RFMSegment)
    before = -1 if row.segment_before is None else segments.index(row.segment_before)
    return before, segments.index(row.segment)
