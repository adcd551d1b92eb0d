"""What the ledger says about the programme as a whole, and in full about one customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from regulars.kit.database import Repository


@dataclass(frozen=True)
class PointTotals:
    """Sums over all customers, all of one moment.

    Attributes:
        moved: Signed points by kind of transaction in the period.
        opening: Sum of the ledger before the period.
        closing: Sum of the ledger at its end.
        outstanding: Points in lots now.
        awaiting_expiry: Those of them that have expired by the clock and are not written off yet.
        owed: Points that customers owe now.
        ledger: Sum of the whole ledger now: outstanding less owed.
        active: Customers who earned or redeemed in the year before now.
        by_tier: Customers and outstanding points of each tier.
        by_month: Outstanding points by the store's month in which they expire; "never" for those that do not.
    """

    moved: dict[str, int]
    opening: int
    closing: int
    outstanding: int
    awaiting_expiry: int
    owed: int
    ledger: int
    active: int
    by_tier: dict[str, dict[str, int]]
    by_month: dict[str, int]


@dataclass(frozen=True)
class LotRecord:
    """A lot of one customer, with what became of it."""

    id: UUID
    seq: int
    earned: int
    remaining: int
    earned_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class AllocationRecord:
    """What a transaction did to a lot; no lot means points owed."""

    seq: int
    lot_id: UUID | None
    points: int


class LoyaltyReportRepository(Repository):
    """Reads sums over the ledger; locks nothing."""

    async def get_totals(
        self, *, since: datetime | None, until: datetime | None, now: datetime, timezone: str
    ) -> PointTotals:
        """All sums in one statement, so that they are of one moment and tie to the point."""
        totals = await self._one(
            PointTotals,
            """
            WITH ledger AS (
                SELECT transaction_type, sum(points) AS points,
                    coalesce(sum(points) FILTER (WHERE created_at < %(since)s::timestamptz), 0) AS before,
                    coalesce(sum(points) FILTER (WHERE created_at >= %(until)s::timestamptz), 0) AS after
                FROM loyalty_transactions GROUP BY transaction_type
            ), held AS (
                SELECT customer_id, sum(remaining) AS points FROM point_lots WHERE remaining > 0 GROUP BY customer_id
            )
            SELECT
                (SELECT coalesce(jsonb_object_agg(transaction_type, points - before - after), '{}') FROM ledger)
                    AS moved,
                (SELECT coalesce(sum(before), 0)::bigint FROM ledger) AS opening,
                (SELECT coalesce(sum(points - after), 0)::bigint FROM ledger) AS closing,
                (SELECT coalesce(sum(points), 0)::bigint FROM held) AS outstanding,
                (SELECT coalesce(sum(remaining), 0)::bigint FROM point_lots
                 WHERE remaining > 0 AND expires_at <= %(now)s) AS awaiting_expiry,
                (SELECT coalesce(-sum(balance), 0)::bigint FROM loyalty_accounts WHERE balance < 0) AS owed,
                (SELECT coalesce(sum(points), 0)::bigint FROM ledger) AS ledger,
                (SELECT count(DISTINCT customer_id) FROM loyalty_transactions
                 WHERE transaction_type IN ('EARNED', 'REDEEMED') AND created_at <= %(now)s
                     AND created_at > %(now)s::timestamptz - interval '1 year') AS active,
                (SELECT coalesce(jsonb_object_agg(tier, jsonb_build_object('customers', customers, 'points', points)),
                                 '{}')
                 FROM (SELECT a.tier, count(*) AS customers, coalesce(sum(h.points), 0) AS points
                       FROM loyalty_accounts AS a LEFT JOIN held AS h USING (customer_id) GROUP BY a.tier) AS t
                ) AS by_tier,
                (SELECT coalesce(jsonb_object_agg(month, points), '{}')
                 FROM (SELECT coalesce(to_char((expires_at - interval '1 microsecond') AT TIME ZONE %(timezone)s,
                                               'YYYY-MM'), 'never') AS month, sum(remaining) AS points
                       FROM point_lots WHERE remaining > 0 GROUP BY 1) AS m
                ) AS by_month
            """,
            {"since": since, "until": until, "now": now, "timezone": timezone},
        )
        assert totals is not None  # noqa: S101 - sums over nothing are a row too
        return totals

    async def get_lots(self, customer_id: UUID) -> list[LotRecord]:
        """All lots a customer ever had, oldest first."""
        return await self._all(
            LotRecord,
            """
            SELECT id, seq, earned, remaining, earned_at, expires_at FROM point_lots
            WHERE customer_id = %s ORDER BY seq, id
            """,
            [customer_id],
        )

    async def get_allocations(self, customer_id: UUID, first_seq: int, last_seq: int) -> list[AllocationRecord]:
        """What a customer's transactions of these numbers, both included, did to lots; oldest first."""
        return await self._all(
            AllocationRecord,
            """
            SELECT a.seq, a.lot_id, a.points FROM point_allocations AS a
            LEFT JOIN point_lots AS l ON l.customer_id = a.customer_id AND l.id = a.lot_id
            WHERE a.customer_id = %s AND a.seq BETWEEN %s AND %s
            ORDER BY a.seq, l.expires_at, l.earned_at, l.id
            """,
            [customer_id, first_seq, last_seq],
        )

    async def get_customers_with_points_expiring(
        self, *, after: datetime, until: datetime, after_customer: UUID | None, limit: int
    ) -> Sequence[tuple[UUID, datetime, int]]:
        """For campaigns: (customer, first deadline, points) of those with points that expire in a period, by id."""
        return await self._rows(
            """
            SELECT l.customer_id, min(l.expires_at), sum(l.remaining)::bigint
            FROM point_lots AS l JOIN customers AS c ON c.id = l.customer_id
            WHERE l.remaining > 0 AND l.expires_at > %(after)s AND l.expires_at <= %(until)s
                AND c.deleted_at IS NULL AND c.erased_at IS NULL
                AND (%(customer)s::uuid IS NULL OR l.customer_id > %(customer)s)
            GROUP BY l.customer_id ORDER BY l.customer_id LIMIT %(limit)s
            """,
            {"after": after, "until": until, "customer": after_customer, "limit": limit},
        )
