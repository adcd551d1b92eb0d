"""The audit: every rule of the ledger as a set-based query for the customers who break it, once for each time.

All rules see one moment of the database, so writers may go on. `{scope}` limits them to the customers touched lately.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.sql import SQL, Literal

from regulars.kit.database import Repository

rules: Mapping[str, LiteralString] = {
    "chain": """
        SELECT customer_id FROM (
            SELECT customer_id, seq, points, balance_before, balance_after, lag(seq) OVER w AS prev_seq,
                lag(balance_after) OVER w AS prev_after
            FROM loyalty_transactions WHERE {scope}
            WINDOW w AS (PARTITION BY customer_id ORDER BY seq)
        ) AS t
        WHERE seq <> coalesce(prev_seq, 0) + 1 OR balance_before <> coalesce(prev_after, 0)
            OR balance_after <> balance_before + points OR points = 0
    """,
    "account": """
        SELECT customer_id FROM (SELECT * FROM loyalty_accounts WHERE {scope}) AS a
        FULL JOIN (
            SELECT customer_id, sum(points) AS points, max(seq) AS last_seq FROM loyalty_transactions WHERE {scope}
            GROUP BY customer_id
        ) AS t USING (customer_id)
        WHERE a.balance IS DISTINCT FROM coalesce(t.points, 0) OR a.last_seq IS DISTINCT FROM coalesce(t.last_seq, 0)
    """,
    "lots": """
        SELECT customer_id FROM (SELECT * FROM loyalty_accounts WHERE {scope}) AS a
        FULL JOIN (
            SELECT customer_id, sum(remaining) AS points, bool_or(remaining < 0 OR remaining > earned) AS is_odd
            FROM point_lots WHERE {scope} GROUP BY customer_id
        ) AS l USING (customer_id)
        WHERE greatest(a.balance, 0) IS DISTINCT FROM coalesce(l.points, 0) OR a.balance IS NULL OR l.is_odd
    """,
    "allocations_by_transaction": """
        SELECT customer_id FROM (SELECT * FROM loyalty_transactions WHERE {scope}) AS t
        FULL JOIN (
            SELECT customer_id, seq, sum(points) AS points FROM point_allocations WHERE {scope}
            GROUP BY customer_id, seq
        ) AS a USING (customer_id, seq)
        WHERE t.points IS DISTINCT FROM a.points
    """,
    "allocations_by_lot": """
        SELECT customer_id FROM (SELECT * FROM point_lots WHERE {scope}) AS l
        FULL JOIN (
            SELECT customer_id, lot_id AS id, sum(points) AS points FROM point_allocations
            WHERE lot_id IS NOT NULL AND {scope} GROUP BY customer_id, lot_id
        ) AS a USING (customer_id, id)
        WHERE l.remaining IS DISTINCT FROM a.points
    """,
    "sign": """
        SELECT customer_id FROM loyalty_transactions
        WHERE {scope}
            AND (points > 0) <> (transaction_type IN ('EARNED', 'ADJUSTED_ADD', 'REDEEM_RESTORED'))
    """,
    "overdraft": """
        SELECT t.customer_id FROM loyalty_transactions AS t
        LEFT JOIN loyalty_programmes AS p ON p.version = t.programme_version
        WHERE {scope} AND points < 0 AND balance_after < 0
            AND (transaction_type <> 'REFUND_CLAWBACK' OR balance_after < coalesce(p.debt_floor, 0))
    """,
    "order_of_use": """
        WITH held AS (
            SELECT customer_id, lot_id, seq, sum(points) OVER w AS points, lead(seq) OVER w AS next_seq
            FROM point_allocations WHERE lot_id IS NOT NULL AND {scope}
            WINDOW w AS (PARTITION BY customer_id, lot_id ORDER BY seq)
        ), kept AS (
            SELECT h.customer_id, h.seq, h.next_seq, coalesce(l.expires_at, 'infinity') AS expires_at, l.earned_at, l.id
            FROM held AS h JOIN point_lots AS l ON l.customer_id = h.customer_id AND l.id = h.lot_id
            WHERE h.points > 0
        ), used AS (
            SELECT DISTINCT ON (t.customer_id, t.seq) t.customer_id, t.seq, t.created_at,
                coalesce(l.expires_at, 'infinity') AS expires_at, l.earned_at, l.id
            FROM (SELECT * FROM loyalty_transactions
                  WHERE transaction_type IN ('REDEEMED', 'ADJUSTED_SUB') AND {scope}) AS t
            JOIN point_allocations AS a ON a.customer_id = t.customer_id AND a.seq = t.seq
            JOIN point_lots AS l ON l.customer_id = a.customer_id AND l.id = a.lot_id
            ORDER BY t.customer_id, t.seq, coalesce(l.expires_at, 'infinity') DESC, l.earned_at DESC, l.id DESC
        )
        SELECT u.customer_id FROM used AS u
        JOIN kept AS k ON k.customer_id = u.customer_id AND k.seq <= u.seq AND u.seq < coalesce(k.next_seq, u.seq + 1)
        WHERE k.expires_at > u.created_at
            AND (k.expires_at, k.earned_at, k.id) < (u.expires_at, u.earned_at, u.id)
    """,
    "expiry": """
        SELECT customer_id FROM (
            SELECT a.customer_id, a.is_expiry, t.transaction_type,
                coalesce(l.expires_at <= t.created_at, false) AS is_due,
                count(*) FILTER (WHERE a.is_expiry) OVER (PARTITION BY a.customer_id, a.lot_id) AS times
            FROM (SELECT * FROM point_allocations WHERE lot_id IS NOT NULL AND {scope}) AS a
            JOIN loyalty_transactions AS t ON t.customer_id = a.customer_id AND t.seq = a.seq
            JOIN point_lots AS l ON l.customer_id = a.customer_id AND l.id = a.lot_id
        ) AS x
        WHERE is_expiry <> (transaction_type = 'EXPIRED') OR is_expiry <> is_due OR times > 1
    """,
    "expiry_as_awarded": """
        SELECT t.customer_id
        FROM (SELECT * FROM loyalty_transactions WHERE transaction_type = 'EARNED' AND {scope}) AS t
        JOIN point_allocations AS a ON a.customer_id = t.customer_id AND a.seq = t.seq
        JOIN point_lots AS l ON l.customer_id = a.customer_id AND l.id = a.lot_id
        WHERE l.expires_at IS DISTINCT FROM t.expires_at OR l.earned_at <> t.created_at OR l.seq <> t.seq
    """,
    "claw_backs": """
        SELECT customer_id FROM (
            SELECT t.customer_id, t.id, t.points,
                (SELECT sum(c.due) FROM point_clawbacks AS c
                 WHERE c.customer_id = t.customer_id AND c.award_id = t.id) AS due
            FROM loyalty_transactions AS t WHERE t.transaction_type = 'EARNED' AND t.order_id IS NOT NULL AND {scope}
        ) AS awards WHERE due > points
    """,
    "void_orders": """
        SELECT t.customer_id FROM (
            SELECT customer_id, order_id, id, points FROM loyalty_transactions
            WHERE transaction_type = 'EARNED' AND order_id IS NOT NULL AND {scope}
        ) AS t
        JOIN orders AS o ON o.customer_id = t.customer_id AND o.id = t.order_id
            AND o.status IN ('cancelled', 'refunded')
        JOIN customers AS p ON p.id = t.customer_id AND p.erased_at IS NULL
        LEFT JOIN award_bases AS b
            ON b.customer_id = t.customer_id AND b.order_id = t.order_id AND NOT b.is_followed
        WHERE b.order_id IS NULL
        GROUP BY t.customer_id, t.order_id
        HAVING sum(t.points) > sum((SELECT coalesce(sum(c.due), 0) FROM point_clawbacks AS c
                                    WHERE c.customer_id = t.customer_id AND c.award_id = t.id))
    """,
    "claw_backs_booked": """
        SELECT coalesce(c.customer_id, t.customer_id)
        FROM (SELECT * FROM point_clawbacks WHERE taken > 0 AND {scope}) AS c
        FULL JOIN (SELECT * FROM loyalty_transactions WHERE transaction_type = 'REFUND_CLAWBACK' AND {scope}) AS t
            ON t.customer_id = c.customer_id AND t.id = c.transaction_id
        WHERE c.taken IS DISTINCT FROM -t.points OR c.award_id <> t.reverses_transaction_id
            OR c.refund_id <> t.refund_id
    """,
    "restores": """
        SELECT r.customer_id FROM (
            SELECT customer_id, reverses_transaction_id AS id, sum(points) AS points FROM loyalty_transactions
            WHERE transaction_type = 'REDEEM_RESTORED' AND {scope} GROUP BY customer_id, reverses_transaction_id
        ) AS r
        LEFT JOIN loyalty_transactions AS t ON t.customer_id = r.customer_id AND t.id = r.id
        WHERE t.transaction_type IS DISTINCT FROM 'REDEEMED' OR r.points > -t.points
    """,
    "lifetime_points": """
        SELECT customer_id FROM (SELECT * FROM loyalty_accounts WHERE {scope}) AS a
        LEFT JOIN (
            SELECT customer_id, sum(points) AS points FROM (
                SELECT customer_id, points FROM loyalty_transactions WHERE qualifies AND {scope}
                UNION ALL SELECT customer_id, -lifetime_points FROM point_clawbacks WHERE {scope}
            ) AS moves GROUP BY customer_id
        ) AS m USING (customer_id)
        WHERE a.lifetime_points <> coalesce(m.points, 0) OR a.lifetime_points < 0
    """,
    "once": """
        SELECT customer_ids[1] FROM (
            SELECT array_agg(customer_id ORDER BY created_at DESC) AS customer_ids FROM loyalty_transactions
            WHERE transaction_type = 'EARNED' AND order_id IS NOT NULL AND {scope}
            GROUP BY order_id, rule HAVING count(*) > 1
            UNION ALL
            SELECT array_agg(customer_id) FROM loyalty_transactions
            WHERE transaction_type = 'REFUND_CLAWBACK' AND {scope}
            GROUP BY customer_id, reverses_transaction_id, refund_id HAVING count(*) > 1
            UNION ALL
            SELECT array_agg(customer_id) FROM loyalty_transactions
            WHERE transaction_type = 'EARNED' AND rule = 'welcome' AND {scope}
            GROUP BY customer_id HAVING count(*) > 1
        ) AS twice
    """,
    "hash_chain": """
        SELECT (x.t).customer_id FROM (
            SELECT t, lag(t.hash) OVER w AS previous, lead(t.hash) OVER w AS following FROM loyalty_transactions AS t
            WHERE {scope} WINDOW w AS (PARTITION BY t.customer_id ORDER BY t.seq)
        ) AS x
        LEFT JOIN loyalty_accounts AS a ON x.following IS NULL AND a.customer_id = (x.t).customer_id
        WHERE (x.t).hash <> loyalty_row_hash(x.previous, x.t)
            OR (x.following IS NULL AND a.last_hash IS DISTINCT FROM (x.t).hash)
    """,
    "codes": """
        SELECT t.customer_id FROM loyalty_transactions AS t
        LEFT JOIN loyalty_programmes AS p ON p.version = t.programme_version
        WHERE {scope} AND (rule !~ '^[a-z][a-z0-9_:.-]{{0,99}}$' OR reason_code !~ '^[a-z][a-z0-9_]{{0,63}}$'
            OR (t.programme_version IS NOT NULL AND p.version IS NULL))
    """,
}

touched = SQL(
    "customer_id IN (SELECT customer_id FROM loyalty_accounts WHERE updated_at >= %(since)s"
    " UNION ALL SELECT customer_id FROM loyalty_reviews)"
)


class AuditRepository(Repository):
    """Finds who breaks the rules of the ledger, and keeps who is under review for it."""

    async def find_violations(self, *, since: datetime | None = None) -> list[tuple[str, UUID | None, int]]:
        """Which customer breaks which rule how often, at one moment.

        Args:
            since: Look only at customers whose account moved since then, and at those under review.
        """
        scope = SQL("true") if since is None else touched
        broken = [
            SQL("SELECT {name} AS rule, broken.* FROM ({query}) AS broken (customer_id)").format(
                name=Literal(rule), query=SQL(query).format(scope=scope)
            )
            for rule, query in rules.items()
        ]
        query = SQL("SELECT rule, customer_id, count(*) FROM ({}) AS found GROUP BY rule, customer_id").format(
            SQL(" UNION ALL ").join(broken)
        )
        rows: list[tuple[str, UUID | None, int]] = await self._rows(query, {"since": since})
        return rows

    async def wait_for_other_reviews(self) -> None:
        """Be the only one, until the transaction ends, who decides who is under review."""
        await self._execute("SELECT pg_advisory_xact_lock(hashtextextended('regulars.review_ledger', 0))")

    async def put_under_review(self, found: Mapping[UUID, Sequence[str]], *, now: datetime) -> None:
        """Mark customers with the rules that they break; since when, stays as it was."""
        await self._execute(
            """
            INSERT INTO loyalty_reviews (customer_id, rules, found_at)
            SELECT customer_id, string_to_array(rules, ' '), %s
            FROM unnest(%s::uuid[], %s::text[]) AS t (customer_id, rules)
            ON CONFLICT (customer_id) DO UPDATE SET rules = excluded.rules
            WHERE loyalty_reviews.rules <> excluded.rules
            """,
            [now, list(found), [" ".join(sorted(broken)) for broken in found.values()]],
        )

    async def release(self, *, still_broken: Collection[UUID]) -> int:
        """End the review of all customers but these; how many."""
        return await self._execute(
            "DELETE FROM loyalty_reviews WHERE customer_id <> ALL (%s::uuid[])", [list(still_broken)]
        )

    async def count_transactions(self, *, since: datetime | None = None) -> int:
        """How many transactions the audit looks at."""
        scope = SQL("true") if since is None else touched
        query = SQL("SELECT count(*) FROM loyalty_transactions WHERE {scope}").format(scope=scope)
        found: int = await self._value(query, {"since": since})
        return found

    async def digest(self) -> str:
        """SHA-256 over the heads of all chains, in hexadecimal: whoever keeps it can prove later what was written."""
        found: str = await self._value(
            """
            SELECT encode(sha256(coalesce(string_agg(uuid_send(customer_id) || last_hash, ''::bytea
                                                     ORDER BY customer_id), ''::bytea)), 'hex')
            FROM loyalty_accounts WHERE last_hash IS NOT NULL
            """
        )
        return found
