"""What orders earned and what their refunds took back."""

from collections.abc import Sequence
from uuid import UUID

from regulars.kit.database import Repository
from regulars.loyalty.models_refunds import Award, ClawBack


class ClawBackRepository(Repository):
    """Reads awards and records claw-backs."""

    async def get_awards(self, orders: Sequence[tuple[UUID, UUID]]) -> list[Award]:
        """What orders, given with their customers, earned; of each the oldest award first, with what became of it.

        `expired` counts the award's own lot and the lots its points came back to after a redemption was undone.
        """
        return await self._all(
            Award,
            """
            SELECT t.id AS transaction_id, t.customer_id, t.order_id, t.points, t.qualifies,
                t.rule LIKE 'purchase:%%' AS is_supplement, t.programme_version, f.lot_id,
                c.due::bigint AS due_before, c.charged::bigint AS charged_before,
                (SELECT coalesce(-sum(a.points), 0)::bigint
                 FROM point_lots AS o
                 JOIN point_allocations AS a ON a.customer_id = o.customer_id AND a.lot_id = o.id AND a.is_expiry
                 WHERE o.customer_id = t.customer_id AND o.origin_id = f.lot_id) AS expired,
                b.total AS order_total, b.tax_total AS order_tax, b.shipping_total AS order_shipping,
                b.discount_total AS order_discount, b.lines_total AS order_lines,
                b.cash_rounding AS order_rounding
            FROM unnest((SELECT %s::uuid[]), (SELECT %s::uuid[])) AS asked (customer_id, order_id)
            JOIN loyalty_transactions AS t ON t.customer_id = asked.customer_id AND t.order_id = asked.order_id
                AND t.transaction_type = 'EARNED'
            LEFT JOIN point_allocations AS f
                ON f.customer_id = t.customer_id AND f.seq = t.seq AND f.lot_id IS NOT NULL
            LEFT JOIN award_bases AS b ON b.customer_id = t.customer_id AND b.order_id = t.order_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(due), 0) AS due, coalesce(sum(due - expired), 0) AS charged
                FROM point_clawbacks AS c WHERE c.customer_id = t.customer_id AND c.award_id = t.id
            ) AS c
            ORDER BY t.customer_id, t.seq
            """,
            [[customer_id for customer_id, _ in orders], [order_id for _, order_id in orders]],
        )

    async def get_claw_backs(self, customer_id: UUID, refund_id: UUID) -> list[ClawBack]:
        """What a refund has done, if it was booked."""
        return await self._all(
            ClawBack,
            """
            SELECT customer_id, refund_id, award_id, order_id, transaction_id, due, expired, written_off, taken,
                lifetime_points, created_at
            FROM point_clawbacks WHERE customer_id = %s AND refund_id = %s ORDER BY created_at, award_id
            """,
            [customer_id, refund_id],
        )

    async def record(self, claw_backs: Sequence[ClawBack]) -> None:
        """Append what refunds did, to one award each."""
        columns = {name: [getattr(one, name) for one in claw_backs] for name in ClawBack.__dataclass_fields__}
        await self._execute(
            """
            INSERT INTO point_clawbacks (customer_id, refund_id, award_id, order_id, transaction_id, due, expired,
                written_off, taken, lifetime_points, created_at)
            SELECT * FROM unnest(%(customer_id)s::uuid[], %(refund_id)s::uuid[], %(award_id)s::uuid[],
                %(order_id)s::uuid[], %(transaction_id)s::uuid[], %(due)s::bigint[], %(expired)s::bigint[],
                %(written_off)s::bigint[], %(taken)s::bigint[], %(lifetime_points)s::bigint[],
                %(created_at)s::timestamptz[])
            """,
            columns,
        )
