"""Reports against plain counting, on random shops."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from regulars.analytics.clv import CLVService
from regulars.analytics.errors import InsufficientData
from regulars.analytics.models import ScoringRequest
from regulars.analytics.reports import ReportService, most_sources
from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas_reports import (
    AcquisitionQuery,
    RetentionQuery,
    RFMMovementQuery,
    RFMSegmentMovement,
)
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_search import RetailCustomerListQuery, RetailCustomerSearchFilters, SegmentBefore
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.months import first_of_month, months_between, name_of_month
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from tests.analytics.test_runs import shop_of
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order

some = hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def reports(connection: Connection, settings: Settings, clock: Clock) -> ReportService:
    return ReportService(connection, settings, clock)


def asked(**values: Any) -> Mapping[str, Any]:
    return {"from" if name == "since" else name: value for name, value in values.items()}


@dataclass(frozen=True)
class Sale:
    customer: int
    days_ago: int
    total: int
    refunded: int
    is_cancelled: bool

    @property
    def is_valid(self) -> bool:
        return not self.is_cancelled and (self.refunded < self.total or self.total == 0)


sales = st.builds(
    Sale,
    customer=st.integers(0, 6),
    days_ago=st.integers(0, 500),
    total=st.integers(0, 40),
    refunded=st.just(0) | st.integers(1, 40),
    is_cancelled=st.sampled_from([False, False, False, True]),
).map(lambda sale: replace(sale, refunded=min(sale.refunded, sale.total)))


async def sell(connection: Connection, clock: Clock, found: Sequence[Sale]) -> None:
    customers = {number: await make_customer(connection, clock) for number in sorted({s.customer for s in found})}
    for sale in found:
        await make_order(
            connection,
            clock,
            customers[sale.customer].id,
            str(sale.total),
            days_ago=sale.days_ago,
            refunds=[Refund(str(sale.refunded))] if sale.refunded else [],
            cancelled_days_ago=0 if sale.is_cancelled else None,
        )


def valid_months(clock: Clock, found: Sequence[Sale]) -> dict[int, list[tuple[date, int]]]:
    """By customer, month and net of the valid orders, oldest first."""
    by_customer = defaultdict(list)
    for sale in sorted(found, key=lambda sale: -sale.days_ago):
        if sale.is_valid:
            month = first_of_month(clock.day_of(clock.now() - timedelta(days=sale.days_ago)))
            by_customer[sale.customer].append((month, sale.total - sale.refunded))
    return by_customer


@some
@given(found=st.lists(sales, max_size=40))
async def test_cohorts_are_what_counting_by_hand_finds(
    connection: Connection, clock: Clock, reports: ReportService, found: list[Sale]
) -> None:
    async with connection.transaction(force_rollback=True):
        await sell(connection, clock, found)
        told = await reports.get_retention_metrics(RetentionQuery.model_validate(asked(since=date(2024, 12, 1))))
    by_cohort = defaultdict(list)
    for orders in valid_months(clock, found).values():
        by_cohort[orders[0][0]].append(orders)
    assert {row.cohort: row.customers for row in told.cohorts} == {
        name_of_month(cohort): len(customers) for cohort, customers in by_cohort.items()
    }
    this_month = first_of_month(clock.today())
    for row, (cohort, customers) in zip(told.cohorts, sorted(by_cohort.items()), strict=True):
        assert len(row.cells) == months_between(cohort, this_month) + 1
        assert row.cells[-1].active is row.cells[-1].retention is row.cells[-1].net is None
        for cell in row.cells[:-1]:
            month, size = first_of_month(cohort, cell.month), len(customers)
            assert cell.active == sum(month in {m for m, _ in orders} for orders in customers)
            assert cell.net == f"{sum(net for orders in customers for m, net in orders if m == month)}.00"
            assert cell.rolling_retention == sum(orders[-1][0] >= month for orders in customers) / size
            second = [orders[1][0] for orders in customers if len(orders) > 1]
            assert cell.cumulative_repeat == sum(m <= month for m in second) / size


@some
@given(found=st.lists(sales, max_size=40), inactive=st.integers(1, 5))
async def test_everybody_who_is_active_is_new_returning_or_reactivated_and_leaves_once(
    connection: Connection, clock: Clock, reports: ReportService, found: list[Sale], inactive: int
) -> None:
    query = RetentionQuery.model_validate(asked(since=date(2025, 8, 1), inactive_months=inactive))
    async with connection.transaction(force_rollback=True):
        await sell(connection, clock, found)
        told = await reports.get_retention_metrics(query)
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for orders in valid_months(clock, found).values():
        months = sorted({month for month, _ in orders})
        for number, month in enumerate(months):
            before = months[number - 1] if number else None
            kind = "new" if before is None else "returning"
            kind = "reactivated" if before and months_between(before, month) > inactive else kind
            expected[name_of_month(month)].update(["active", kind])
            lapses, after = first_of_month(month, inactive), months[number + 1 : number + 2]
            if not after or after[0] > lapses:
                expected[name_of_month(lapses)]["churned"] += 1
    for period in told.periods:
        counts = expected[period.month]
        assert (period.active, period.new, period.returning, period.reactivated) == tuple(
            counts[kind] for kind in ("active", "new", "returning", "reactivated")
        )
        assert period.churned == (counts["churned"] if period.is_finished else None)
    inside = {month for month, counts in expected.items() if "2025-08" <= month <= "2026-06" and counts}
    assert {period.month for period in told.periods} == inside


@pytest.mark.parametrize(
    ("second", "returning", "reactivated", "churned"),
    [(date(2026, 4, 30), 1, 0, None), (date(2026, 5, 1), 0, 1, "2026-04")],
)
async def test_whoever_comes_back_in_the_last_month_has_not_left(
    connection: Connection,
    clock: Clock,
    reports: ReportService,
    second: date,
    returning: int,
    reactivated: int,
    churned: str | None,
) -> None:
    """Three months from January are over with April."""
    customer = await make_customer(connection, clock)
    for day in (date(2026, 1, 1), second):
        await make_order(connection, clock, customer.id, ordered_at=clock.start_of(day))
    told = await reports.get_retention_metrics(RetentionQuery(inactive_months=3))
    by_month = {period.month: period for period in told.periods}
    back = by_month[name_of_month(second)]
    assert (back.returning, back.reactivated) == (returning, reactivated)
    assert [month for month, period in by_month.items() if period.churned] == ([churned] if churned else [])


async def test_a_month_begins_when_it_does_in_the_store(
    connection: Connection, clock: Clock, reports: ReportService
) -> None:
    """23:30 UTC on 31 January is February in Berlin."""
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    customer = await make_customer(connection, clock, created_at=late, acquisition_source="till")
    await make_order(connection, clock, customer.id, ordered_at=late)
    told = await reports.get_retention_metrics(RetentionQuery())
    assert [row.cohort for row in told.cohorts] == ["2026-02"]
    assert [(row.month, row.source) for row in await reports.get_acquisition_metrics(AcquisitionQuery())] == [
        ("2026-02", "till")
    ]


async def test_deleted_customers_are_in_no_report(connection: Connection, clock: Clock, reports: ReportService) -> None:
    for column in ("deleted_at", "erased_at"):
        customer = await make_customer(connection, clock)
        await make_order(connection, clock, customer.id)
        await set_columns(connection, customer, **{column: clock.now()})
    told = await reports.get_retention_metrics(RetentionQuery())
    assert (told.cohorts, told.periods) == ([], [])
    assert await reports.get_acquisition_metrics(AcquisitionQuery()) == []


async def test_acquisition_counts_by_month_source_and_campaign(
    connection: Connection, clock: Clock, reports: ReportService
) -> None:
    ann = await make_customer(connection, clock, acquisition_source="web", acquisition_campaign="summer")
    await make_customer(connection, clock, acquisition_source="web", acquisition_campaign="winter")
    await make_customer(connection, clock)
    await make_order(connection, clock, ann.id, "30")
    await make_order(connection, clock, ann.id, "20")

    async def rows(by: str) -> list[tuple[Any, ...]]:
        found = await reports.get_acquisition_metrics(AcquisitionQuery.model_validate({"by": by}))
        return [(row.source, row.campaign, row.customers, row.first_order_rate, row.net_spent) for row in found]

    assert await rows("month") == [(None, None, 3, 1 / 3, "50.00")]
    assert await rows("source") == [("web", None, 2, 0.5, "50.00"), (None, None, 1, 0.0, "0.00")]
    assert await rows("campaign") == [
        ("web", "summer", 1, 1.0, "50.00"),
        ("web", "winter", 1, 0.0, "0.00"),
        (None, None, 1, 0.0, "0.00"),
    ]


async def test_many_sources_share_the_last_row(connection: Connection, clock: Clock, reports: ReportService) -> None:
    for number in range(most_sources + 3):
        for _ in range(2 if number < most_sources else 1):
            await make_customer(connection, clock, acquisition_source=f"source {number:02}")
    rows = await reports.get_acquisition_metrics(AcquisitionQuery())
    assert len(rows) == most_sources + 1
    assert [(row.source, row.customers) for row in rows if row.is_rest] == [(None, 3)]
    assert sum(row.customers for row in rows) == 2 * most_sources + 3


@pytest.mark.parametrize(
    ("since", "to"),
    [
        (date(2026, 6, 1), date(2026, 5, 31)),
        (date(2021, 6, 30), date(2026, 6, 1)),
        (date(2026, 7, 1), None),
        (date(2026, 6, 1), date(2026, 7, 1)),
        (date(1970, 1, 1), date(1970, 12, 31)),
        (date(1, 1, 1), None),
    ],
)
async def test_a_period_must_have_an_end_after_its_beginning_and_not_too_late(
    reports: ReportService, since: date, to: date | None
) -> None:
    with pytest.raises(Validation):
        await reports.get_acquisition_metrics(AcquisitionQuery.model_validate(asked(since=since, to=to)))


async def test_five_years_are_allowed(reports: ReportService) -> None:
    query = RetentionQuery.model_validate(asked(since=date(2021, 7, 1), to=date(2026, 6, 30)))
    told = await reports.get_retention_metrics(query)
    assert (told.from_month, told.to_month) == ("2021-07", "2026-06")


async def run(rfm: RFMService, clock: Clock, settings: Settings, connection: Connection, days: int) -> UUID:
    assert clock.stopped_at is not None
    moved = replace(clock, stopped_at=clock.stopped_at + timedelta(days=days))
    service = RFMService(connection, settings, moved)
    return (await service.score_customers(ScoringRequest("rfm", moved.today(), "test"))).id


async def segments(connection: Connection) -> dict[UUID, str]:
    return dict(await (await connection.execute("SELECT customer_id, segment FROM customer_scores")).fetchall())


async def test_movement_is_the_difference_between_any_two_runs(
    connection: Connection, clock: Clock, settings: Settings, rfm: RFMService, reports: ReportService
) -> None:
    shop, runs, seen = await shop_of(connection, clock), [], []
    for days in (0, 1, 2, 3):
        runs.append(await run(rfm, clock, settings, connection, days))
        seen.append(await segments(connection))
        customer = shop[days]
        for _ in range(4):
            await make_order(connection, clock, customer.id, "500")
        await make_customer(connection, clock)
    for first, second in [(0, 1), (0, 3), (1, 2), (2, 3)]:
        told = await reports.get_rfm_movement(RFMMovementQuery(from_run=runs[first], to_run=runs[second]))
        expected = Counter((seen[first].get(id_), segment) for id_, segment in seen[second].items())
        assert {(row.segment_before, row.segment): row.customers for row in told.movements} == expected
        assert told.stayed + told.moved + told.added == len(seen[second])
        assert told.added == len(seen[second]) - len(seen[first])
        await require_lists_of_the_same_sizes(connection, clock, told)
    assert await reports.get_rfm_movement(RFMMovementQuery()) == told


async def require_lists_of_the_same_sizes(connection: Connection, clock: Clock, told: RFMSegmentMovement) -> None:
    """For every row, and for all rows of a segment before, the list has as many customers."""
    customers = RetailCustomerRepository(connection)
    runs = {"from_run": str(told.from_run), "to_run": str(told.to_run)}
    before: Counter[str] = Counter()
    for row in told.movements:
        asked_for = {"segment_from": row.segment_before or "none", **runs}
        before[asked_for["segment_from"]] += row.customers
        one = RetailCustomerListQuery.model_validate({**asked_for, "rfm_segment": [row.segment]})
        assert (await customers.count_customers(one, clock)).total == row.customers
        assert len(await customers.search_customers(one, clock)) == row.customers
    for segment in get_args(SegmentBefore):
        everyone = RetailCustomerListQuery.model_validate({"segment_from": segment, **runs})
        assert (await customers.count_customers(everyone, clock)).total == before[segment]


def test_segments_before_are_the_segments_and_none() -> None:
    assert [*RFMSegment, "none"] == list(get_args(SegmentBefore))


async def test_a_list_needs_two_runs_that_made_scores_and_a_segment(
    connection: Connection, clock: Clock, settings: Settings, rfm: RFMService, clv: CLVService
) -> None:
    await shop_of(connection, clock)
    scored = await run(rfm, clock, settings, connection, 0)
    valued = (await clv.score_customers(ScoringRequest("clv", clock.today(), "test"))).id
    customers = RetailCustomerRepository(connection)
    for runs, pointer in (
        ((uuid4(), scored), "/from_run"),
        ((scored, uuid4()), "/to_run"),
        ((scored, valued), "/to_run"),
    ):
        named = {"segment_from": "lost", "from_run": str(runs[0]), "to_run": str(runs[1])}
        with pytest.raises(Validation) as refusal:
            await customers.search_customers(RetailCustomerListQuery.model_validate(named), clock)
        assert refusal.value.pointers() == [pointer]
        for name in named:
            with pytest.raises(ValidationError):
                RetailCustomerSearchFilters.model_validate({key: value for key, value in named.items() if key != name})


async def test_movement_needs_two_runs_that_are_there(
    connection: Connection, clock: Clock, settings: Settings, rfm: RFMService, reports: ReportService
) -> None:
    await shop_of(connection, clock)
    with pytest.raises(InsufficientData) as refusal:
        await reports.get_rfm_movement(RFMMovementQuery())
    assert refusal.value.facts == {"needed": 2, "have": 0}
    first, second = [await run(rfm, clock, settings, connection, days) for days in (0, 1)]
    with pytest.raises(NotFound):
        await reports.get_rfm_movement(RFMMovementQuery(from_run=first, to_run=uuid4()))
    for query in (
        RFMMovementQuery(from_run=second, to_run=first),
        RFMMovementQuery(from_run=first, to_run=first),
        RFMMovementQuery(from_run=first),
        RFMMovementQuery(to_run=first),
    ):
        with pytest.raises(Validation):
            await reports.get_rfm_movement(query)


async def test_movements_are_listed_best_first(
    connection: Connection, clock: Clock, settings: Settings, rfm: RFMService, reports: ReportService
) -> None:
    await shop_of(connection, clock)
    await run(rfm, clock, settings, connection, 0)
    await make_customer(connection, clock)
    await run(rfm, clock, settings, connection, 1)
    rows = (await reports.get_rfm_movement(RFMMovementQuery())).movements
    assert rows[0].segment_before is None
    before = [list(RFMSegment).index(row.segment_before) for row in rows if row.segment_before]
    assert before == sorted(before)
    assert sum(row.customers for row in rows) == 7
