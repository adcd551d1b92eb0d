"""Sums over customers and orders, by month and by segment. They count customers who are neither deleted nor erased."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from psycopg.sql import SQL

from regulars.customers.repository_segments import RunMomentRepository, segments_at_two_moments

Grouping: TypeAlias = Literal["month", "source", "campaign"]


@dataclass(frozen=True)
class MovementCount:
    """How many customers were in one segment and are in another; None before for those who had none."""

    segment_before: str | None
    segment: str
    customers: int


@dataclass(frozen=True)
class AcquisitionCount:
    """The new customers of a month from one source; all sums.

    Attributes:
        is_rest: Several sources taken together, since each brought fewer customers than those listed.
    """

    month: date
    source: str | None
    campaign: str | None
    is_rest: bool
    customers: int
    customers_with_orders: int
    orders: int
    net_spent: Decimal
    clv: Decimal


@dataclass(frozen=True)
class CohortCount:
    """What the customers of one cohort did in one of its months; see `formulas.retention.CohortMonth`."""

    cohort: date
    month: int
    active: int
    last: int
    second_orders: int
    net: Decimal


@dataclass(frozen=True)
class ActivityCount:
    """The customers of a month by what they did before."""

    month: date
    active: int
    new: int
    returning: int
    reactivated: int
    churned: int


_valid = SQL("o.cancelled_on IS NULL AND (o.refunded_total < o.total OR o.total = 0)")

_movement = SQL("""
    SELECT segment_before, segment, count(*) AS customers
      FROM ({segments}) AS moved
      JOIN customers c ON c.id = moved.customer_id
     WHERE c.deleted_at IS NULL AND c.erased_at IS NULL AND segment IS NOT NULL
     GROUP BY segment_before, segment
""").format(segments=segments_at_two_moments)

_acquisition = SQL("""
    WITH grouped AS (
        SELECT date_trunc('month', c.created_at AT TIME ZONE %(timezone)s)::date AS month,
               CASE WHEN %(by)s::text <> 'month' THEN c.acquisition_source END AS source,
               CASE WHEN %(by)s::text = 'campaign' THEN c.acquisition_campaign END AS campaign,
               count(*) AS customers, count(*) FILTER (WHERE m.total_orders > 0) AS customers_with_orders,
               coalesce(sum(m.total_orders), 0) AS orders, coalesce(sum(m.net_spent), 0) AS net_spent,
               coalesce(sum(s.clv), 0) AS clv
          FROM customers c
          LEFT JOIN customer_metrics m ON m.customer_id = c.id
          LEFT JOIN customer_scores s ON s.customer_id = c.id
         WHERE c.created_at >= %(since)s AND c.created_at < %(until)s AND c.deleted_at IS NULL AND c.erased_at IS NULL
         GROUP BY 1, 2, 3
    ), weighed AS (
        SELECT *, sum(customers) OVER (PARTITION BY source, campaign) AS weight FROM grouped
    ), placed AS (
        SELECT *, dense_rank() OVER (ORDER BY weight DESC, source, campaign) > %(most)s AS is_rest FROM weighed
    )
    SELECT month, CASE WHEN NOT is_rest THEN source END AS source, CASE WHEN NOT is_rest THEN campaign END AS campaign,
           is_rest, sum(customers)::bigint AS customers, sum(customers_with_orders)::bigint AS customers_with_orders,
           sum(orders)::bigint AS orders, sum(net_spent) AS net_spent, sum(clv) AS clv
      FROM placed
     GROUP BY 1, 2, 3, 4
     ORDER BY month, is_rest, customers DESC, source, campaign
""")

_cohorts = SQL("""
    WITH cohorts AS (
        SELECT m.customer_id, date_trunc('month', m.first_order_at AT TIME ZONE %(timezone)s)::date AS cohort
          FROM customer_metrics m
          JOIN customers c ON c.id = m.customer_id
         WHERE m.first_order_at >= %(since)s AND m.first_order_at < %(until)s
           AND c.deleted_at IS NULL AND c.erased_at IS NULL
    ), purchases AS (
        SELECT o.customer_id, h.cohort,
               (12 * (extract(year FROM o.ordered_on) - extract(year FROM h.cohort))
                + extract(month FROM o.ordered_on) - extract(month FROM h.cohort))::integer AS month,
               o.total - o.refunded_total AS net,
               row_number() OVER (PARTITION BY o.customer_id ORDER BY o.ordered_on) AS nth
          FROM cohorts h
          JOIN orders o ON o.customer_id = h.customer_id
         WHERE {valid} AND o.ordered_on <= %(today)s
    ), by_month AS (
        SELECT customer_id, cohort, month, sum(net) AS net, bool_or(nth = 2) AS has_second,
               month = max(month) OVER (PARTITION BY customer_id) AS is_last
          FROM purchases
         GROUP BY customer_id, cohort, month
    )
    SELECT cohort, month, count(*) AS active, count(*) FILTER (WHERE is_last) AS last,
           count(*) FILTER (WHERE has_second) AS second_orders, sum(net) AS net
      FROM by_month
     GROUP BY cohort, month
     ORDER BY cohort, month
""").format(valid=_valid)

_activity = SQL("""
    WITH active AS (
        SELECT o.customer_id, date_trunc('month', o.ordered_on)::date AS month,
               min(o.ordered_on) = min((m.first_order_at AT TIME ZONE %(timezone)s)::date) AS is_new
          FROM orders o
          JOIN customer_metrics m ON m.customer_id = o.customer_id
          JOIN customers c ON c.id = o.customer_id
         WHERE {valid} AND o.ordered_on >= %(looked_at_from)s AND o.ordered_on <= %(today)s
           AND c.deleted_at IS NULL AND c.erased_at IS NULL
         GROUP BY o.customer_id, date_trunc('month', o.ordered_on)
    ), followed AS (
        SELECT *, (month + make_interval(months => %(inactive)s))::date AS lapses,
               lag(month) OVER visits AS before, lead(month) OVER visits AS after
          FROM active
        WINDOW visits AS (PARTITION BY customer_id ORDER BY month)
    ), counted AS (
        SELECT month, 1 AS active, is_new::integer AS new,
               (NOT is_new AND before >= month - make_interval(months => %(inactive)s))::integer AS came_back,
               0 AS churned
          FROM followed
        UNION ALL
        SELECT lapses, 0, 0, 0, 1 FROM followed WHERE after IS NULL OR after > lapses
    )
    SELECT month, sum(active) AS active, sum(new) AS new, coalesce(sum(came_back), 0) AS "returning",
           sum(active) - sum(new) - coalesce(sum(came_back), 0) AS reactivated, sum(churned) AS churned
      FROM counted
     WHERE month BETWEEN %(since)s AND %(until)s
     GROUP BY month
     ORDER BY month
""").format(valid=_valid)


class ReportRepository(RunMomentRepository):
    """Reports of one moment; nothing is locked."""

    async def get_rfm_movement(self, first: datetime, second: datetime) -> list[MovementCount]:
        """Customers by their segment at two moments; who had none at the second is left out."""
        return await self._all(MovementCount, _movement, {"first_moment": first, "second_moment": second})

    async def get_acquisition_metrics(
        self, since: datetime, until: datetime, *, by: Grouping, most: int, timezone: str
    ) -> list[AcquisitionCount]:
        """Customers by the store's month in which they were added, and where they came from.

        Args:
            since: From when, included.
            until: Until when, not included.
            by: What a row stands for: a month, a source in it, or a campaign of a source in it.
            most: So many sources or campaigns with the most customers have rows of their own; the others share one.
            timezone: The store's.
        """
        parameters = {"since": since, "until": until, "by": by, "most": most, "timezone": timezone}
        return await self._all(AcquisitionCount, _acquisition, parameters)

    async def get_retention_cohorts(
        self, since: datetime, until: datetime, *, today: date, timezone: str
    ) -> list[CohortCount]:
        """Cohorts by the store's month of the first valid order, and what they did in each month since.

        Args:
            since: First orders from when on, included.
            until: First orders until when, not included.
            today: The last day whose orders count.
            timezone: The store's.
        """
        parameters = {"since": since, "until": until, "today": today, "timezone": timezone}
        return await self._all(CohortCount, _cohorts, parameters)

    async def get_activity(
        self, since: date, until: date, *, looked_at_from: date, inactive_months: int, today: date, timezone: str
    ) -> list[ActivityCount]:
        """Customers by month and by what they did before; months in which nothing happened are left out.

        Args:
            since: First day of the first month.
            until: First day of the last month.
            looked_at_from: First day of the month `inactive_months` before the first.
            inactive_months: Who has not ordered for so many months has churned.
            today: The last day whose orders count.
            timezone: The store's.
        """
        parameters = {
            "since": since,
            "until": until,
            "looked_at_from": looked_at_from,
            "inactive": inactive_months,
            "today": today,
            "timezone": timezone,
        }
        return await self._all(ActivityCount, _activity, parameters)

    async def get_latest_run_ids(self, count: int) -> list[UUID]:
        """The latest finished runs that scored everyone, newest first."""
        rows = await self._rows(
            """
            SELECT id FROM scoring_runs
             WHERE kind IN ('rfm', 'all') AND coverage = 'full' AND finished_at IS NOT NULL
             ORDER BY finished_at DESC, id DESC
             LIMIT %s
            """,
            [count],
        )
        return [row[0] for row in rows]
