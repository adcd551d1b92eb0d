"""What analytics reads: purchase facts of single customers, their scores, and the values of all."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from psycopg.sql import SQL, Literal

from regulars.analytics.models import (
    CustomerScore,
    Period,
    PurchaseFacts,
    SegmentChange,
    ValuePercentile,
    ValueRange,
    ValueSummary,
)
from regulars.analytics.repository_facts import purchase_facts
from regulars.customers.repository_scores import WindowShares, shares_parameter, value_of
from regulars.kit.database import Repository
from regulars.kit.errors import NotFound

_valued = SQL("""
    WITH valued AS (
        SELECT s.customer_id, {value} AS value, s.clv_reason IS DISTINCT FROM 'no_orders' AS has_orders
        FROM customer_scores s
        JOIN customers c ON c.id = s.customer_id
        WHERE s.clv IS NOT NULL AND c.deleted_at IS NULL AND c.erased_at IS NULL
    )
""")


class AnalyticsRepository(Repository):
    """Facts, scores and values on one connection."""

    async def get_rfm_inputs(self, customer_id: UUID, period: Period) -> PurchaseFacts | None:
        """What a customer's scores are made of; None for a deleted or erased one."""
        facts = purchase_facts(period, SQL("= {}").format(Literal(customer_id)))
        return await self._one(PurchaseFacts, facts)

    async def get_clv_inputs(
        self, customer_id: UUID, as_of: date, last_days: int | None = None
    ) -> PurchaseFacts | None:
        """What a customer's lifetime value is made of: all orders up to the day, for a model the last ones apart."""
        return await self.get_rfm_inputs(customer_id, Period(as_of, last_days=last_days))

    async def get_customer_score(self, customer_id: UUID) -> CustomerScore:
        """The stored scores of a customer; empty ones before the first run.

        Raises:
            NotFound: there is no such customer.
        """
        score = await self._one(
            CustomerScore,
            """
            SELECT c.id AS customer_id, s.recency_score, s.frequency_score, s.monetary_score, s.segment, s.rfm_run_id,
                   s.rfm_scored_at, s.clv, s.clv_method, s.clv_reason, s.clv_run_id, s.clv_scored_at,
                   s.p_buy, s.expected_orders, s.median_wait_days, s.next_order_on, s.clv_low, s.clv_high
            FROM customers c
            LEFT JOIN customer_scores s ON s.customer_id = c.id
            WHERE c.id = %s
            """,
            [customer_id],
        )
        if score is None:
            raise NotFound
        return score

    async def get_segment_steps(self, customer_id: UUID, *, limit: int) -> list[SegmentChange]:
        """The latest changes of a customer's segment, newest first."""
        return await self._all(
            SegmentChange,
            """
            SELECT changed_at, segment_before, segment, run_id FROM segment_history
            WHERE customer_id = %s ORDER BY changed_at DESC, run_id DESC LIMIT %s
            """,
            [customer_id, limit],
        )

    async def get_clv_summary(self, shares: WindowShares | None = None) -> ValueSummary:
        """Total, average and median over customers with orders."""
        summary = await self._one(
            ValueSummary,
            _valued.format(value=value_of(shares))
            + SQL("""
                SELECT count(*) FILTER (WHERE has_orders) AS customers,
                       count(*) FILTER (WHERE NOT has_orders) AS prospects,
                       coalesce(sum(value), 0) AS total,
                       coalesce(avg(value) FILTER (WHERE has_orders), 0) AS average,
                       coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY value)
                                FILTER (WHERE has_orders), 0) AS median,
                       coalesce(percentile_disc(0.95) WITHIN GROUP (ORDER BY value)
                                FILTER (WHERE has_orders), 0) AS high
                FROM valued
            """),
            shares_parameter(shares),
        )
        return summary or ValueSummary(0, 0, Decimal(0), Decimal(0), Decimal(0), Decimal(0))

    async def get_clv_distribution(
        self, bounds: Sequence[Decimal], shares: WindowShares | None = None
    ) -> list[ValueRange]:
        """Customers with orders by range of value; ranges without customers are left out.

        Args:
            bounds: The rising lower bounds of the ranges; the last range is open.
            shares: For values in a window.
        """
        return await self._all(
            ValueRange,
            _valued.format(value=value_of(shares))
            + SQL("""
                SELECT width_bucket(value, %(bounds)s::numeric[]) - 1 AS number, count(*) AS customers,
                       sum(value) AS total
                FROM valued
                WHERE has_orders
                GROUP BY number
                ORDER BY number
            """),
            shares_parameter(shares) | {"bounds": list(bounds)},
        )

    async def get_clv_percentiles(self, shares: WindowShares | None = None) -> list[ValuePercentile]:
        """Hundredths of the customers with orders by falling value; those without customers are left out.

        The first p of them are the best p percent, the number of customers rounded up.
        """
        return await self._all(
            ValuePercentile,
            _valued.format(value=value_of(shares))
            + SQL("""
                , ranked AS (
                    SELECT value, row_number() OVER (ORDER BY value DESC) AS place, count(*) OVER () AS customers
                    FROM valued
                    WHERE has_orders
                )
                SELECT (1 + (place - 1) * 100 / customers)::integer AS number, count(*) AS customers,
                       sum(value) AS total
                FROM ranked
                GROUP BY number
                ORDER BY number
            """),
            shares_parameter(shares),
        )
