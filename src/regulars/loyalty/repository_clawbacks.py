"""What orders earned and what their refunds took back."""

from uuid import UUID

from regulars.kit.database import Repository
from regulars.loyalty.models import Award, ClawBack


class ClawBackRepository(Repository):
    """Reads awards and records claw-backs."""

    async def get_awards(self, customer_id: UUID, order_id: UUID) -> list[Award]:
        """What an order earned, oldest first, with what refunds have done to each award so far.

        `expired` counts the award's own lot and the lots its points came back to after a redemption was undone.
        """
        return await self._all(
            Award,
            """
            SELECT t.id AS transaction_id, t.customer_id, t.points, t.qualifies, t.programme_version, f.lot_id,
                (SELECT coalesce(sum(due), 0)::bigint FROM point_clawbacks AS c
                 WHERE c.customer_id = t.customer_id AND c.award_id = t.id) AS due_before,
                (SELECT coalesce(sum(due - expired), 0)::bigint FROM point_clawbacks AS c
                 WHERE c.customer_id = t.customer_id AND c.award_id = t.id) AS charged_before,
                (SELECT coalesce(-sum(a.points), 0)::bigint
                 FROM point_lots AS o
                 JOIN point_allocations AS a ON a.customer_id = o.customer_id AND a.lot_id = o.id AND a.is_expiry
                 WHERE o.customer_id = t.customer_id AND o.origin_id = f.lot_id) AS expired
            FROM loyalty_transactions AS t
            LEFT JOIN point_allocations AS f
                ON f.customer_id = t.customer_id AND f.seq = t.seq AND f.lot_id IS NOT NULL
            WHERE t.customer_id = %s AND t.order_id = %s AND t.transaction_type = 'EARNED'
            ORDER BY t.seq
            """,
            [customer_id, order_id],
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

    async def record(self, claw_back: ClawBack) -> None:
        """Append what a refund did to one award."""
        await self._execute(
            """
            INSERT INTO point_clawbacks (customer_id, refund_id, award_id, order_id, transaction_id, due, expired,
                written_off, taken, lifetime_points, created_at)
            VALUES (%(customer_id)s, %(refund_id)s, %(award_id)s, %(order_id)s, %(transaction_id)s, %(due)s,
                %(expired)s, %(written_off)s, %(taken)s, %(lifetime_points)s, %(created_at)s)
            """,
            vars(claw_back),
        )
