"""The demo's orders, read back with their ids, and the refunds that it makes up for some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from psycopg.sql import SQL, Placeholder

from regulars.customers.repository_purchases import recompute_metrics, valid_order
from regulars.kit.database import Repository


@dataclass(frozen=True)
class DemoOrder:
    """An order as it was imported."""

    customer_id: UUID
    id: UUID
    external_id: str
    ordered_at: datetime
    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal


@dataclass(frozen=True)
class DemoRefund:
    """Money that was paid back for an order, in one piece."""

    id: UUID
    order: DemoOrder
    amount: Decimal
    refunded_at: datetime
    refunded_on: date


class DemoRepository(Repository):
    """Reads and writes many orders at once."""

    async def get_orders(self, source: str) -> list[DemoOrder]:
        """All orders of a source, in the order of their instants, whatever ids they were given."""
        return await self._all(
            DemoOrder,
            """
            SELECT customer_id, id, external_id, ordered_at, total, tax_total, shipping_total FROM orders
            WHERE source = %s ORDER BY ordered_at, external_id
            """,
            [source],
        )

    async def write_refunds(self, refunds: Sequence[DemoRefund]) -> None:
        """Write refunds, at most one for an order, and what follows for the orders and for the customers' metrics."""
        facts = {
            "id": [refund.id for refund in refunds],
            "customer_id": [refund.order.customer_id for refund in refunds],
            "order_id": [refund.order.id for refund in refunds],
            "refund_id": [f"R-{refund.order.external_id}" for refund in refunds],
            "amount": [refund.amount for refund in refunds],
            "refunded_at": [refund.refunded_at for refund in refunds],
            "refunded_on": [refund.refunded_on for refund in refunds],
            "now": max((refund.refunded_at for refund in refunds), default=None),
        }
        await self._execute(
            """
            INSERT INTO refunds (id, customer_id, order_id, refund_id, amount, refunded_at, refunded_on, created_at)
            SELECT *, refunded_at FROM unnest(%(id)s::uuid[], %(customer_id)s::uuid[], %(order_id)s::uuid[],
                %(refund_id)s::text[], %(amount)s::numeric[], %(refunded_at)s::timestamptz[], %(refunded_on)s::date[])
                AS refund (id, customer_id, order_id, refund_id, amount, refunded_at, refunded_on)
            """,
            facts,
        )
        await self._execute(
            """
            UPDATE orders SET refunded_total = refund.amount, updated_at = refund.refunded_at,
                status = CASE WHEN refund.amount = orders.total THEN 'refunded' ELSE 'partially_refunded' END
            FROM unnest(%(customer_id)s::uuid[], %(order_id)s::uuid[], %(amount)s::numeric[],
                %(refunded_at)s::timestamptz[]) AS refund (customer_id, order_id, amount, refunded_at)
            WHERE orders.customer_id = refund.customer_id AND orders.id = refund.order_id
            """,
            facts,
        )
        touched = SQL("SELECT DISTINCT customer_id FROM unnest(%(customer_id)s::uuid[]) AS customer (customer_id)")
        await self._execute(recompute_metrics.format(touched=touched, now=Placeholder("now"), valid=valid_order), facts)
