"""Fill an empty database with the demo shop, its points too, and score it, keeping time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from time import perf_counter

from regulars.analytics.clv import CLVService
from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas import CLVAnalysisResponse, RFMSegmentDistribution
from regulars.demo.life import connections, live
from regulars.demo.shop import Dataset, demo_orders
from regulars.flows.import_orders import import_orders
from regulars.flows.importing.result import ImportResult, OnProgress, be_silent
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.reports import LoyaltyMetrics, LoyaltyReportService


@dataclass(frozen=True)
class DemoReport:
    """What the demo found out about its shop.

    Attributes:
        imported: What the import did.
        as_of: The store's day of the scores.
        segments: All twelve, best first.
        values: Lifetime values: totals, ranges, top customers.
        points: Points issued, redeemed, expired, taken back and outstanding; customers by tier.
        seconds: How long each step took, by its name.
    """

    dataset: Dataset
    imported: ImportResult
    as_of: date
    segments: list[RFMSegmentDistribution]
    values: CLVAnalysisResponse
    points: LoyaltyMetrics
    seconds: dict[str, float]


async def load_demo(
    url: str, settings: Settings, dataset: Dataset, *, shifted: bool, on_progress: OnProgress = be_silent
) -> DemoReport:
    """Import the orders of the demo shop, let its customers live with their points, and score them.

    Args:
        url: An empty, migrated database.
        settings: Of the installation.
        dataset: Which orders.
        shifted: Whether all dates move so that the last order was yesterday; otherwise the orders stay in their time
            and the scores show the last day of the data.
        on_progress: Told how far the import is.
    """
    clock = settings.clock
    shift = clock.today() - timedelta(days=1) - dataset.last_day if shifted else timedelta(0)
    as_of = clock.today() if shifted else dataset.last_day
    if not shifted:
        clock = _at_noon(clock, as_of)
    watch = _Watch()
    with watch.step("import"):
        orders = demo_orders(dataset, shift=shift)
        imported = await import_orders(
            url, orders, source=dataset.source, settings=settings, clock=settings.clock, on_progress=on_progress
        )
    async with Database(url, size=connections) as database:
        if imported.created:
            with watch.step("points"):
                await live(database, settings, clock, dataset)
        async with database.transaction() as connection:
            with watch.step("score"):
                service = RFMService(connection, settings, clock)
                await service.score_customers(ScoringRequest(kind="all", as_of=as_of, started_by="demo"))
            with watch.step("report"):
                segments = await service.get_rfm_segment_distribution()
                values = await CLVService(connection, settings, clock).get_clv_analysis(limit=5, by=operator)
                points = await LoyaltyReportService(connection, clock).get_loyalty_metrics()
    return DemoReport(dataset, imported, as_of, segments, values, points, watch.seconds)


def _at_noon(clock: Clock, day: date) -> Clock:
    """A clock of the same shop that stands still on a day of the past."""
    return replace(clock, stopped_at=datetime.combine(day, time(12), tzinfo=UTC))


class _Watch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside the block."""
        began = perf_counter()
        yield
        self.seconds[name] = round(perf_counter() - began, 2)
