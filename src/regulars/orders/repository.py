"""Orders in the database: written with their identifier and lines, compared by what their source decides."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Placeholder
from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.orders.lines import canonical_lines
from regulars.orders.models import NewOrder, Order, OrderLine, StoredLine
from regulars.orders.repository_sql import content_hash, recompute_metrics, valid_order

_columns = SQL("""
    customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total, discount_total, tax_total,
    shipping_total, refunded_total, cancelled_on, channel, metadata, content_hash, created_at, updated_at
""")
_content = SQL("""
    SELECT %(ordered_at)s::timestamptz AS ordered_at, %(status)s::text AS status, %(currency)s::text AS currency,
        %(total)s::numeric(18, 4) AS total, %(discount_total)s::numeric(18, 4) AS discount_total,
        %(tax_total)s::numeric(18, 4) AS tax_total, %(shipping_total)s::numeric(18, 4) AS shipping_total,
        %(channel)s::text AS channel, %(metadata)s::jsonb AS metadata, %(lines)s::text AS lines
""")
_insert_order = SQL("""
    WITH content AS ({content}), identified AS (
        INSERT INTO order_identifiers (source, external_id, customer_id, order_id)
        VALUES (%(source)s, %(external_id)s, %(customer_id)s, uuidv7())
        ON CONFLICT DO NOTHING
        RETURNING order_id
    )
    INSERT INTO orders (customer_id, id, source, external_id, ordered_on, cancelled_on, created_at, updated_at,
        ordered_at, status, currency, total, discount_total, tax_total, shipping_total, channel, metadata, content_hash)
    SELECT %(customer_id)s, order_id, %(source)s, %(external_id)s, %(ordered_on)s,
        CASE WHEN status = 'cancelled' THEN %(ordered_on)s::date END, %(now)s, %(now)s,
        ordered_at, status, currency, total, discount_total, tax_total, shipping_total, channel, metadata,
        {content_hash}
    FROM content, identified
    RETURNING {columns}
""").format(content=_content, content_hash=content_hash, columns=_columns)


class OrderRepository(Repository):
    """Orders on one connection."""

    async def find(self, source: str, external_id: str) -> Order | None:
        """The order that a source knows by this id."""
        rows = await self._rows(
            "SELECT customer_id, order_id FROM order_identifiers WHERE source = %s AND external_id = %s",
            [source, external_id],
        )
        if not rows:
            return None
        statement = SQL("SELECT {} FROM orders WHERE customer_id = %s AND id = %s").format(_columns)
        return await self._one(Order, statement, rows[0])

    async def create_order(
        self, order: NewOrder, customer_id: UUID, *, ordered_on: date, now: datetime
    ) -> Order | None:
        """Write an order with its identifier and lines; None if its source has an order of this id already."""
        parameters = _parameters(order) | {"customer_id": customer_id, "ordered_on": ordered_on, "now": now}
        created = await self._one(Order, _insert_order, parameters)
        if created:
            await self._insert_lines(created, order.lines)
        return created

    async def has_content_of(self, stored: Order, order: NewOrder) -> bool:
        """Whether a stored order is what is sent again: equal in everything that its source decides."""
        statement = SQL("SELECT {} = %(stored)s FROM ({}) AS content").format(content_hash, _content)
        return bool(await self._value(statement, _parameters(order) | {"stored": stored.content_hash}))

    async def get_lines(self, order: Order) -> list[StoredLine]:
        """The lines of an order, in their order."""
        return await self._all(
            StoredLine,
            """
            SELECT line_number, sku, quantity, unit_price, discount, total FROM order_lines
            WHERE customer_id = %s AND order_id = %s ORDER BY line_number
            """,
            [order.customer_id, order.id],
        )

    async def recompute_metrics(self, customer_id: UUID, *, now: datetime) -> None:
        """Bring the customer's purchase metrics up to the orders. The customer must be locked."""
        statement = recompute_metrics.format(
            touched=SQL("SELECT %(customer_id)s::uuid AS customer_id"), now=Placeholder("now"), valid=valid_order
        )
        await self._execute(statement, {"customer_id": customer_id, "now": now})

    async def _insert_lines(self, order: Order, lines: Sequence[OrderLine]) -> None:
        if not lines:
            return
        columns = {name: [getattr(line, name) for line in lines] for name in OrderLine.__dataclass_fields__}
        await self._execute(
            """
            INSERT INTO order_lines (customer_id, order_id, line_number, sku, quantity, unit_price, discount, total)
            SELECT %(customer_id)s, %(order_id)s, place, sku, quantity, unit_price, discount, total
            FROM unnest(%(sku)s::text[], %(quantity)s::numeric[], %(unit_price)s::numeric[], %(discount)s::numeric[],
                %(total)s::numeric[]) WITH ORDINALITY AS line (sku, quantity, unit_price, discount, total, place)
            """,
            {"customer_id": order.customer_id, "order_id": order.id, **columns},
        )


def _parameters(order: NewOrder) -> dict[str, Any]:
    return {
        **asdict(order.totals),
        "source": order.source,
        "external_id": order.external_id,
        "ordered_at": order.ordered_at,
        "status": order.status,
        "currency": order.currency,
        "channel": order.channel,
        "metadata": None if order.metadata is None else Jsonb(dict(order.metadata)),
        "lines": canonical_lines(order.lines) or None,
    }
