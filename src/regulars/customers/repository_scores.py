"""Scores and lifetime values of many customers at once: written, counted, ranked, and found to be stale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.json import Jsonb

from regulars.customers.repository_columns import listed
from regulars.kit.database import Repository
from regulars.kit.logs import current_trace_id


@dataclass(frozen=True)
class ScoringStamp:
    """What a run writes beside every score.

    Attributes:
        run_id: The run.
        scored_at: Purchases from before this instant are in the scores.
        confirm: Also stamp customers whose scores did not change. A full run need not: it confirms all by itself.
        method: How lifetime values were made.
        window_days: The horizon they were asked for; None for the whole lifespan.
    """

    run_id: UUID
    scored_at: datetime
    confirm: bool = False
    method: str = "seed"
    window_days: int | None = None


@dataclass(frozen=True)
class WrittenScores:
    """How many customers got another score or value than before, and how many another segment."""

    changed: int
    moved: int


@dataclass(frozen=True)
class Freshness:
    """What a score must be to count as fresh.

    Attributes:
        covered_at: When the latest full run began, which confirmed every score; None without one.
        not_before: Scores from before this instant are stale whatever happened since.
        among: The customers to look at; None for all.
    """

    covered_at: datetime | None
    not_before: datetime
    among: Sequence[UUID] | None = None


@dataclass(frozen=True)
class SegmentSummary:
    """The customers of one segment, what they bought (net of refunds) and their lifetime values; all sums."""

    segment: str
    customers: int
    orders: int
    net_spent: Decimal
    clv: Decimal


@dataclass(frozen=True)
class TopCustomer:
    """A customer at the top of the list by lifetime value.

    Attributes:
        clv: The value over the whole lifespan.
        value: The value in the window that was asked for; without one, the same.
    """

    customer_id: UUID
    customer_number: str
    first_name: str | None
    last_name: str | None
    email: str | None
    segment: str | None
    orders: int
    net_spent: Decimal
    clv: Decimal
    value: Decimal


_rfm = ("recency_score", "frequency_score", "monetary_score", "segment")
_forecast = ("p_buy", "expected_orders", "median_wait_days", "next_order_on", "clv_low", "clv_high")
_clv = ("clv", "clv_reason", "clv_method", *_forecast)
_rfm_stamps = ("rfm_run_id", "rfm_scored_at")
_clv_stamps = ("clv_run_id", "clv_scored_at", "clv_window_days")

# Where a score is as it was, the row stays as it is: most of them, on most days. A segment that moved is history.
_write = SQL("""
    WITH written AS (
        INSERT INTO customer_scores AS kept (customer_id, {columns}, {stamps})
        SELECT customer_id, {found}, {stamped}
        FROM (
            SELECT *, %(run_id)s::uuid AS rfm_run_id, %(scored_at)s::timestamptz AS rfm_scored_at,
                   %(run_id)s::uuid AS clv_run_id, %(scored_at)s::timestamptz AS clv_scored_at,
                   %(method)s::text AS clv_method, %(window_days)s::integer AS clv_window_days
            FROM scored_customers
        ) found
        LEFT JOIN customer_scores before USING (customer_id)
        WHERE (%(confirm)s OR ROW ({before}) IS DISTINCT FROM ROW ({found}))
          AND (NOT %(only_missing)s OR before.segment IS NULL OR before.segment = 'prospect')
        ON CONFLICT (customer_id) DO UPDATE SET {assignments}
        RETURNING kept.customer_id, old.segment AS segment_before, new.segment AS segment,
                  ROW ({old}) IS DISTINCT FROM ROW ({new}) AS is_changed
    ), moved AS (
        INSERT INTO segment_history (customer_id, run_id, segment_before, segment, changed_at)
        SELECT customer_id, %(run_id)s, segment_before, segment, %(scored_at)s
        FROM written
        WHERE segment_before IS DISTINCT FROM segment
        RETURNING customer_id, segment_before, segment
    ), told AS (
        INSERT INTO events (occurred_at, kind, customer_id, facts, trace_id)
        SELECT %(scored_at)s, 'segment.changed', customer_id,
               jsonb_build_object('segment_before', segment_before, 'segment', segment, 'run_id', %(run_id)s::uuid),
               %(trace_id)s
        FROM moved
        WHERE segment_before IS NOT NULL
    )
    SELECT count(*) FILTER (WHERE is_changed) AS changed, (SELECT count(*) FROM moved) AS moved FROM written
""")


WindowShares: TypeAlias = Mapping[str, Decimal]
"""By segment, the part of a lifetime value that falls into a window."""


def value_of(shares: WindowShares | None) -> SQL:
    """The value of a row `s` of customer_scores: over the whole lifespan, or in the window of `shares_parameter()`."""
    return SQL("s.clv") if shares is None else SQL("s.clv * coalesce((%(shares)s ->> s.segment)::numeric, 0)")


def shares_parameter(shares: WindowShares | None) -> dict[str, Any]:
    """What `value_of()` needs to know; nothing without a window."""
    return {} if shares is None else {"shares": Jsonb({segment: str(share) for segment, share in shares.items()})}


def _write_of(columns: Sequence[str], stamps: Sequence[str]) -> Composed:
    return _write.format(
        columns=listed(columns),
        stamps=listed(stamps),
        found=listed(columns, "found"),
        stamped=listed(stamps, "found"),
        before=listed(columns, "before"),
        old=listed(columns, "old"),
        new=listed(columns, "new"),
        assignments=SQL(", ").join(
            SQL("{column} = excluded.{column}").format(column=Identifier(column)) for column in (*columns, *stamps)
        ),
    )


_write_rfm = _write_of(_rfm, _rfm_stamps)
_write_clv = _write_of(_clv, _clv_stamps)
_write_both = _write_of(_rfm + _clv, _rfm_stamps + _clv_stamps)

_stale = SQL("""
    SELECT c.id
    FROM customers c
    LEFT JOIN customer_scores s ON s.customer_id = c.id
    LEFT JOIN customer_metrics m ON m.customer_id = c.id
    WHERE c.deleted_at IS NULL AND c.erased_at IS NULL
      AND (%(among)s::uuid[] IS NULL OR c.id = ANY (%(among)s::uuid[]))
      AND (s.{scored_at} IS NULL
           OR greatest(s.{scored_at}, %(covered_at)s::timestamptz) < greatest({changes}, %(not_before)s::timestamptz))
    ORDER BY c.id
""")


class CustomerScoresRepository(Repository):
    """What scoring runs write and what is read of it."""

    async def stage_scored_customers(self) -> None:
        """Make `scored_customers`, the empty temporary table that the `update_...` methods write from.

        Whoever calculates fills it, one row for each customer; a prospect has no scores. What only models forecast
        stays empty under `seed`.
        """
        await self._execute("""
            CREATE TEMPORARY TABLE scored_customers (
                customer_id uuid NOT NULL,
                recency_score smallint,
                frequency_score smallint,
                monetary_score smallint,
                segment text NOT NULL,
                clv numeric(28, 4) NOT NULL,
                clv_reason text,
                p_buy double precision,
                expected_orders double precision,
                median_wait_days double precision,
                next_order_on date,
                clv_low numeric(28, 4),
                clv_high numeric(28, 4)
            ) ON COMMIT DROP
        """)

    async def update_rfm_scores(self, stamp: ScoringStamp, *, only_missing: bool = False) -> WrittenScores:
        """Write scores and segments of `scored_customers`, and who moved to the history of segments and to the outbox.

        Args:
            stamp: What is written beside them.
            only_missing: Leave whoever has a segment as it is, unless it is a prospect.
        """
        return await self._written(_write_rfm, stamp, only_missing=only_missing)

    async def update_clv(self, stamp: ScoringStamp) -> WrittenScores:
        """Write the lifetime values of `scored_customers`."""
        return await self._written(_write_clv, stamp)

    async def update_scores_and_clv(self, stamp: ScoringStamp) -> WrittenScores:
        """Both at once: each row is written once."""
        return await self._written(_write_both, stamp)

    async def _written(self, statement: Composed, stamp: ScoringStamp, *, only_missing: bool = False) -> WrittenScores:
        written = await self._one(
            WrittenScores, statement, vars(stamp) | {"only_missing": only_missing, "trace_id": current_trace_id.get()}
        )
        return written or WrittenScores(0, 0)

    async def get_customers_needing_rfm_update(self, freshness: Freshness) -> list[UUID]:
        """Customers never scored, scored too long ago, or with purchases that changed since."""
        statement = _stale.format(scored_at=Identifier("rfm_scored_at"), changes=SQL("m.changed_at"))
        return [row[0] for row in await self._rows(statement, vars(freshness))]

    async def get_customers_needing_clv_update(self, freshness: Freshness) -> list[UUID]:
        """As `get_customers_needing_rfm_update()`; a value is also stale when the segment was scored after it."""
        statement = _stale.format(
            scored_at=Identifier("clv_scored_at"), changes=SQL("greatest(m.changed_at, s.rfm_scored_at)")
        )
        return [row[0] for row in await self._rows(statement, vars(freshness))]

    async def get_rfm_segment_distribution(self) -> list[SegmentSummary]:
        """Every segment that has customers, prospects too. Deleted customers are not counted."""
        return await self._all(
            SegmentSummary,
            """
            SELECT s.segment, count(*) AS customers, coalesce(sum(m.total_orders), 0) AS orders,
                   coalesce(sum(m.net_spent), 0) AS net_spent, coalesce(sum(s.clv), 0) AS clv
            FROM customer_scores s
            JOIN customers c ON c.id = s.customer_id
            LEFT JOIN customer_metrics m ON m.customer_id = s.customer_id
            WHERE s.segment IS NOT NULL AND c.deleted_at IS NULL AND c.erased_at IS NULL
            GROUP BY s.segment
            """,
        )

    async def get_top_customers_by_clv(self, limit: int, shares: WindowShares | None = None) -> list[TopCustomer]:
        """The customers with the highest lifetime values.

        Args:
            limit: How many.
            shares: For values in a window.
        """
        statement = SQL("""
            SELECT c.id AS customer_id, c.customer_number, c.first_name, c.last_name, c.email, s.segment,
                   coalesce(m.total_orders, 0) AS orders, coalesce(m.net_spent, 0) AS net_spent,
                   s.clv, {value} AS value
            FROM customer_scores s
            JOIN customers c ON c.id = s.customer_id
            LEFT JOIN customer_metrics m ON m.customer_id = s.customer_id
            WHERE s.clv > 0 AND c.deleted_at IS NULL AND c.erased_at IS NULL
            ORDER BY {value} DESC NULLS LAST, s.customer_id
            LIMIT %(limit)s
        """).format(value=value_of(shares))
        return await self._all(TopCustomer, statement, shares_parameter(shares) | {"limit": limit})
