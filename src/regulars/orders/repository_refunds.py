"""Refunds in the database, with the lines they are about; and those that came before their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.orders.models import NewRefund, Order, OrderName, Refund

_refunds = SQL("""
    SELECT r.id, r.customer_id, r.order_id, r.refund_id, r.amount, r.shipping_amount, r.refunded_at, r.refunded_on,
        r.reason_code AS reason, r.created_at, coalesce((
            SELECT jsonb_agg(jsonb_build_array(l.line_number::text, l.quantity::text, l.amount::text)
                ORDER BY l.line_number)
            FROM refund_lines AS l WHERE l.customer_id = r.customer_id AND l.refund_id = r.id
        ), '[]') AS lines
    FROM refunds AS r
""")
_create_refund = SQL("""
    WITH refunded AS (
        UPDATE orders SET refunded_total = refunded_total + %(amount)s, updated_at = %(now)s,
            status = CASE WHEN refunded_total + %(amount)s >= total AND total > 0
                THEN 'refunded' ELSE 'partially_refunded' END
        WHERE customer_id = %(customer_id)s AND id = %(order_id)s
    ), refund AS (
        INSERT INTO refunds
            (customer_id, order_id, refund_id, amount, shipping_amount, refunded_at, refunded_on, reason_code,
            created_at)
        VALUES (%(customer_id)s, %(order_id)s, %(refund_id)s, %(amount)s, %(shipping_amount)s, %(refunded_at)s,
            %(refunded_on)s, %(reason)s, %(now)s)
        RETURNING *
    ), brought_back AS (
        INSERT INTO refund_lines (customer_id, refund_id, line_number, quantity, amount)
        SELECT refund.customer_id, refund.id, line_number, quantity, line.amount
        FROM refund, unnest(%(line_numbers)s::integer[], %(quantities)s::numeric[], %(amounts)s::numeric[])
            AS line (line_number, quantity, amount)
        RETURNING line_number, quantity, amount
    )
    SELECT id, customer_id, order_id, refund_id, amount, shipping_amount, refunded_at, refunded_on,
        reason_code AS reason, created_at, coalesce((
            SELECT jsonb_agg(jsonb_build_array(line_number::text, quantity::text, amount::text) ORDER BY line_number)
            FROM brought_back
        ), '[]') AS lines
    FROM refund
""")


class RefundRepository(Repository):
    """Refunds on one connection. Whoever writes one has locked the customer."""

    async def get_refunds(self, orders: Sequence[Order]) -> list[Refund]:
        """The refunds of orders with their lines, each order's by when they were made."""
        return await self._all(
            Refund,
            _refunds
            + SQL("""
                JOIN unnest(%s::uuid[], %s::uuid[]) AS o (customer_id, id)
                    ON r.customer_id = o.customer_id AND r.order_id = o.id
                ORDER BY r.order_id, r.refunded_at, r.id
            """),
            [[order.customer_id for order in orders], [order.id for order in orders]],
        )

    async def create_refund(self, order: Order, refund: NewRefund, *, refunded_on: date, now: datetime) -> Refund:
        """Write a refund with its lines, and what it makes of its order."""
        written = await self._one(
            Refund,
            _create_refund,
            {
                "customer_id": order.customer_id,
                "order_id": order.id,
                "refund_id": refund.refund_id,
                "amount": refund.amount,
                "shipping_amount": refund.shipping_amount,
                "refunded_at": refund.refunded_at,
                "refunded_on": refunded_on,
                "reason": refund.reason,
                "now": now,
                "line_numbers": [line.line_number for line in refund.lines],
                "quantities": [line.quantity for line in refund.lines],
                "amounts": [line.amount for line in refund.lines],
            },
        )
        assert written is not None, "INSERT returns its row"  # noqa: S101
        return written


@dataclass(frozen=True)
class EarlyReversal:
    """A refund or cancellation of an order that was not known when it came.

    Attributes:
        refund_id: As it was sent; empty for a cancellation.
        request: What was sent, as JSON values.
        refused_as: Why it could not be done when the order came; None while it waits.
    """

    refund_id: str
    request: dict[str, Any]
    refused_as: str | None


class EarlyReversalRepository(Repository):
    """What was taken back before it was bought. Whoever comes here has taken the turn of the order's name."""

    async def keep(
        self, name: OrderName, refund_id: str, request: Mapping[str, Any], *, by: UUID | None, now: datetime
    ) -> EarlyReversal:
        """Keep a reversal until its order comes; answers the one that is kept, which may be an earlier one."""
        await self._execute(
            """
            INSERT INTO early_reversals (source, external_id, refund_id, request, received_by, received_at)
            VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
            """,
            [name.source, name.external_id, refund_id, Jsonb(dict(request)), by, now],
        )
        [kept] = [found for found in await self.waiting_for(name) if found.refund_id == refund_id]
        return kept

    async def waiting_for(self, name: OrderName) -> list[EarlyReversal]:
        """What waits for an order: refunds in the order in which they came, a cancellation last."""
        return await self._all(
            EarlyReversal,
            """
            SELECT refund_id, request, refused_as FROM early_reversals
            WHERE source = %s AND external_id = %s ORDER BY refund_id = '', received_at, refund_id
            """,
            [name.source, name.external_id],
        )

    async def finish(self, name: OrderName, refund_id: str, *, refused_as: str | None) -> None:
        """Forget a reversal that was done; one that was refused stays, with the reason, to be looked at."""
        if refused_as is None:
            await self._execute(
                "DELETE FROM early_reversals WHERE source = %s AND external_id = %s AND refund_id = %s",
                [name.source, name.external_id, refund_id],
            )
        else:
            await self._execute(
                "UPDATE early_reversals SET refused_as = %s WHERE source = %s AND external_id = %s AND refund_id = %s",
                [refused_as, name.source, name.external_id, refund_id],
            )

    async def find_arrived(self, *, but: Sequence[OrderName], limit: int) -> list[OrderName]:
        """Orders that came by a way that does not ask what waits for them, such as an import, without some."""
        return await self._all(
            OrderName,
            """
            SELECT DISTINCT e.source, e.external_id FROM early_reversals AS e
            JOIN order_identifiers AS i ON i.source = e.source AND i.external_id = e.external_id
            WHERE e.refused_as IS NULL
                AND (e.source, e.external_id) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))
            LIMIT %s
            """,
            [[name.source for name in but], [name.external_id for name in but], limit],
        )

    async def purge(self, before: datetime, *, at_most: int) -> int:
        """Delete what nobody bought before an instant; how many."""
        return await self._execute(
            """
            DELETE FROM early_reversals WHERE (source, external_id, refund_id) IN (
                SELECT source, external_id, refund_id FROM early_reversals WHERE received_at <= %s LIMIT %s)
            """,
            [before, at_most],
        )
