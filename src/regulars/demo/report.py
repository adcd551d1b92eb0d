"""The demo's report: who the regulars are, what they are worth, how long it took to know."""

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from regulars.analytics.schemas import CLVAnalysisResponse, RFMSegmentDistribution
from regulars.demo.load import DemoReport
from regulars.formulas.rfm import RFMSegment
from regulars.formulas.tiers import LoyaltyTier
from regulars.loyalty.reports import LoyaltyMetrics

_bar_width = 24
_colors = {
    RFMSegment.CHAMPION: "bright_green",
    RFMSegment.LOYAL: "green",
    RFMSegment.POTENTIAL_LOYALIST: "green",
    RFMSegment.NEW_CUSTOMER: "cyan",
    RFMSegment.PROMISING: "cyan",
    RFMSegment.NEED_ATTENTION: "yellow",
    RFMSegment.ABOUT_TO_SLEEP: "yellow",
    RFMSegment.AT_RISK: "red",
    RFMSegment.CANT_LOSE_THEM: "bright_red",
    RFMSegment.HIBERNATING: "grey62",
    RFMSegment.LOST: "grey62",
    RFMSegment.PROSPECT: "grey62",
}


def report_of(demo: DemoReport, currency: str) -> RenderableType:
    """The report for a terminal."""
    return Group(
        _headline(demo, currency),
        Padding(_segments(demo.segments, currency), (1, 0)),
        _top_customers(demo.values, currency),
        Padding(_value_ranges(demo.values, currency), (1, 0)),
        _points(demo.points, currency),
        _seconds(demo.seconds),
    )


def as_json(demo: DemoReport) -> dict[str, object]:
    """The report for programs."""
    return {
        "data": demo.dataset.source,
        "as_of": demo.as_of.isoformat(),
        "customers": demo.imported.customers_created,
        "orders": demo.imported.created,
        "net_spent": str(_net_spent(demo)),
        "segments": {row.segment.value: row.customers for row in demo.segments if row.customers},
        "clv_total": demo.values.total,
        "points": {**demo.points.moved, "outstanding": demo.points.totals.outstanding},
        "tiers": {tier: figures["customers"] for tier, figures in demo.points.totals.by_tier.items()},
        "seconds": demo.seconds,
    }


def _net_spent(demo: DemoReport) -> Decimal:
    return sum((Decimal(row.net_spent) for row in demo.segments), Decimal(0))


def _headline(demo: DemoReport, currency: str) -> Text:
    return Text.assemble(
        (f"{demo.dataset.title}", "bold"),
        f": {demo.imported.customers_created:,} customers, {demo.imported.created:,} orders, "
        f"{_net_spent(demo):,.2f} {currency} net, scored as of {demo.as_of}",
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        name, _, side = column.partition(">")
        table.add_column(name, justify="right" if side else "left", no_wrap=True)
    return table


def _segments(segments: list[RFMSegmentDistribution], currency: str) -> Table:
    table = _table("Segment", "customers>>", "share>>", "revenue>>", "", f"lifetime value each, {currency}>>")
    most = max((row.revenue_share for row in segments), default=0) or 1
    for row in segments:
        if not row.customers:
            continue
        bar = "█" * max(1, round(_bar_width * row.revenue_share / most))
        table.add_row(
            Text(row.label, style=_colors[row.segment]),
            f"{row.customers:,}",
            f"{row.share:.1%}",
            f"{row.revenue_share:.1%}",
            Text(bar, style=_colors[row.segment]),
            f"{Decimal(row.average_clv):,.2f}",
        )
    return table


def _top_customers(values: CLVAnalysisResponse, currency: str) -> Table:
    table = _table("Top customers", "number", "segment", "orders>>", f"spent, {currency}>>", "lifetime value>>")
    for customer in values.top_customers:
        table.add_row(
            f"{customer.first_name} {customer.last_name}",
            customer.customer_number,
            customer.segment_label or "",
            f"{customer.orders:,}",
            f"{Decimal(customer.net_spent):,.2f}",
            f"{Decimal(customer.clv):,.2f}",
        )
    return table


def _value_ranges(values: CLVAnalysisResponse, currency: str) -> Table:
    table = _table(f"Lifetime value, {currency}", "customers>>", "")
    most = max((row.customers for row in values.distribution), default=0) or 1
    for row in values.distribution:
        upper = f"to {Decimal(row.upper):,.0f}" if row.upper else "and more"
        bar = "█" * round(_bar_width * row.customers / most)
        table.add_row(f"{Decimal(row.lower):>8,.0f} {upper}", f"{row.customers:,}", Text(bar, style="blue"))
    return table


def _points(points: LoyaltyMetrics, currency: str) -> Text:
    moved = points.moved
    tiers = ", ".join(
        f"{points.totals.by_tier.get(tier.value, {}).get('customers', 0):,} {tier.label.lower()}"
        for tier in LoyaltyTier
    )
    return Text(
        f"Points: {moved['EARNED']:,} earned, {-moved['REDEEMED']:,} redeemed, {-moved['EXPIRED']:,} expired, "
        f"{-moved['REFUND_CLAWBACK']:,} taken back; {points.totals.outstanding:,} outstanding, "
        f"worth {points.liability:,.2f} {currency}\nTiers: {tiers}\n"
    )


def _seconds(seconds: dict[str, float]) -> Text:
    steps = ", ".join(f"{step} {spent:.1f} s" for step, spent in seconds.items())
    return Text(f"{steps}; {sum(seconds.values()):.1f} s in all", style="dim")
