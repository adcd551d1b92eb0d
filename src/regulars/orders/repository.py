"""Orders in the database: written with their identifier and lines, compared by what their source decides."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.orders.lines import canonical_lines
from regulars.orders.models import NewOrder, NewOrderStatus, Order, OrderKey, OrderLine, OrderName, StoredLine
from regulars.orders.repository_sql import content_hash, order_columns, status_after

_content = SQL("""
    SELECT %(ordered_at)s::timestamptz AS ordered_at, {status} AS status, %(currency)s::text AS currency,
        %(total)s::numeric(18, 4) AS total, %(discount_total)s::numeric(18, 4) AS discount_total,
        %(tax_total)s::numeric(18, 4) AS tax_total, %(shipping_total)s::numeric(18, 4) AS shipping_total,
        %(cash_rounding)s::numeric(18, 4) AS cash_rounding,
        %(channel)s::text AS channel, %(metadata)s::jsonb AS metadata, %(lines)s::text AS lines
""")
_new_content = _content.format(status=SQL("%(status)s::text"))
_insert_order = SQL("""
    WITH content AS ({content}), identified AS (
        INSERT INTO order_identifiers (source, external_id, customer_id, order_id)
        VALUES (%(source)s, %(external_id)s, %(customer_id)s, uuidv7())
        ON CONFLICT DO NOTHING
        RETURNING order_id
    )
    INSERT INTO orders (customer_id, id, source, external_id, ordered_on, cancelled_on, created_at, updated_at,
        ordered_at, status, currency, total, discount_total, tax_total, shipping_total, cash_rounding, channel,
        metadata, content_hash)
    SELECT %(customer_id)s, order_id, %(source)s, %(external_id)s, %(ordered_on)s,
        CASE WHEN status = 'cancelled' THEN %(ordered_on)s::date END, %(now)s, %(now)s,
        ordered_at, status, currency, total, discount_total, tax_total, shipping_total, cash_rounding, channel,
        metadata, {content_hash}
    FROM content, identified
    RETURNING {columns}
""").format(content=_new_content, content_hash=content_hash, columns=order_columns)
_stored_status = SQL("""
    SELECT status FROM ({content}) AS content WHERE {content_hash} = %(stored)s
""").format(
    content=_content.format(status=SQL("unnest(ARRAY['pending', 'paid', 'fulfilled', 'cancelled'])")),
    content_hash=content_hash,
)
_set_status = SQL("""
    UPDATE orders SET
        status = CASE WHEN refunded_total > 0 THEN orders.status ELSE %(status)s::text END,
        content_hash = (SELECT {content_hash} FROM ({content}) AS content), updated_at = %(now)s
    WHERE customer_id = %(customer_id)s AND id = %(order_id)s
    RETURNING {columns}
""").format(content=_new_content, content_hash=content_hash, columns=order_columns)
_revise = SQL("""
    UPDATE orders SET status = CASE WHEN given.status = 'cancelled' THEN orders.status ELSE {status} END,
        ordered_at = given.ordered_at, ordered_on = %(ordered_on)s, total = given.total,
        discount_total = given.discount_total, tax_total = given.tax_total, shipping_total = given.shipping_total,
        cash_rounding = given.cash_rounding, channel = given.channel, metadata = given.metadata,
        content_hash = given.content_hash, updated_at = %(now)s
    FROM (SELECT content.*, {content_hash} AS content_hash FROM ({content}) AS content) AS given
    WHERE customer_id = %(customer_id)s AND id = %(order_id)s
""").format(
    status=status_after.format(total=SQL("given.total"), status=SQL("given.status")),
    content=_new_content,
    content_hash=content_hash,
)
_set_content = SQL("""
    UPDATE orders SET content_hash = (SELECT {content_hash} FROM ({content}) AS content)
    WHERE customer_id = %(customer_id)s AND id = %(order_id)s
    RETURNING {columns}
""").format(content=_new_content, content_hash=content_hash, columns=order_columns)

_number_of_turns = 7265_0013


class OrderRepository(Repository):
    """Orders on one connection. Whoever writes an order has locked its customer."""

    async def take_turn(self, name: OrderName) -> None:
        """Let nobody else take in or take back an order of this name until the transaction ends.

        For what is done about an order that may not be there yet, so that no row could be locked.
        """
        await self._execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s || ':' || %s))",
            [_number_of_turns, name.source, name.external_id],
        )

    async def find_customer_of(self, key: OrderKey) -> tuple[UUID, UUID] | None:
        """Whose order it is: the ids of customer and order, which together find it where it lies."""
        if isinstance(key, OrderName):
            rows = await self._rows(
                "SELECT customer_id, order_id FROM order_identifiers WHERE source = %s AND external_id = %s",
                [key.source, key.external_id],
            )
        else:
            rows = await self._rows("SELECT customer_id, id FROM orders WHERE id = %s", [key])
        return (rows[0][0], rows[0][1]) if rows else None

    async def has_orders(self, customer_id: UUID) -> bool:
        """Whether a customer ever ordered, whatever became of it."""
        found: bool = await self._value("SELECT EXISTS (SELECT FROM orders WHERE customer_id = %s)", [customer_id])
        return found

    async def get(self, customer_id: UUID, order_id: UUID) -> Order | None:
        """An order of a customer."""
        statement = SQL("SELECT {} FROM orders WHERE customer_id = %s AND id = %s").format(order_columns)
        return await self._one(Order, statement, [customer_id, order_id])

    async def find(self, key: OrderKey) -> Order | None:
        """An order by what names it: first whose it is, then the order."""
        place = await self.find_customer_of(key)
        return await self.get(*place) if place else None

    async def create_order(
        self, order: NewOrder, customer_id: UUID, *, ordered_on: date, now: datetime
    ) -> Order | None:
        """Write an order with its identifier and lines; None if its source has an order of this id already."""
        parameters = _parameters(order) | {"customer_id": customer_id, "ordered_on": ordered_on, "now": now}
        created = await self._one(Order, _insert_order, parameters)
        if created:
            await self._insert_lines(created, order.lines)
        return created

    async def status_in_source(self, stored: Order, order: NewOrder) -> NewOrderStatus | None:
        """The status that the source told last, if what is sent again is otherwise the same order; else None.

        Refunds and cancellations that were made here are not part of what the source told.
        """
        status: NewOrderStatus | None = await self._value(
            _stored_status, _parameters(order) | {"stored": stored.content_hash}
        )
        return status

    async def set_status(self, stored: Order, order: NewOrder, *, now: datetime) -> Order:
        """Write down the status that the source tells now, any but cancelled; what is refunded stays so."""
        parameters = _parameters(order) | {"customer_id": stored.customer_id, "order_id": stored.id, "now": now}
        changed = await self._one(Order, _set_status, parameters)
        assert changed is not None, "the customer is locked"  # noqa: S101
        return changed

    async def revise(self, stored: Order, order: NewOrder, *, ordered_on: date, now: datetime) -> Order:
        """Replace what a source says of an order by what it says now, lines too; not whether it is cancelled."""
        parameters = _parameters(order) | {"customer_id": stored.customer_id, "order_id": stored.id, "now": now}
        await self._execute(_revise, parameters | {"ordered_on": ordered_on})
        await self._execute(
            "DELETE FROM order_lines WHERE customer_id = %s AND order_id = %s", [stored.customer_id, stored.id]
        )
        await self._insert_lines(stored, order.lines)
        revised = await self.get(stored.customer_id, stored.id)
        assert revised is not None, "the customer is locked"  # noqa: S101
        return revised

    async def note_cancellation(self, stored: Order, order: NewOrder) -> Order:
        """Keep for a cancelled order that its source says so too; what it says otherwise from now on is news."""
        parameters = _parameters(order) | {"customer_id": stored.customer_id, "order_id": stored.id}
        noted = await self._one(Order, _set_content, parameters)
        assert noted is not None, "the customer is locked"  # noqa: S101
        return noted

    async def cancel(self, order: Order, *, cancelled_on: date, now: datetime) -> Order:
        """Cancel an order."""
        cancelled = await self._one(
            Order,
            SQL("""
                UPDATE orders SET status = 'cancelled', cancelled_on = %(day)s, updated_at = %(now)s
                WHERE customer_id = %(customer_id)s AND id = %(order_id)s
                RETURNING {}
            """).format(order_columns),
            {"customer_id": order.customer_id, "order_id": order.id, "day": cancelled_on, "now": now},
        )
        assert cancelled is not None, "the customer is locked"  # noqa: S101
        return cancelled

    async def get_lines(self, orders: Sequence[Order]) -> list[StoredLine]:
        """The lines of orders, each order's in their order."""
        return await self._all(
            StoredLine,
            """
            SELECT l.customer_id, l.order_id, l.line_number, l.sku, l.quantity, l.unit_price, l.discount, l.total,
                p.category, p.brand
            FROM unnest(%s::uuid[], %s::uuid[]) AS o (customer_id, id)
            JOIN order_lines AS l ON l.customer_id = o.customer_id AND l.order_id = o.id
            LEFT JOIN products AS p ON p.sku = l.sku
            ORDER BY l.order_id, l.line_number
            """,
            [[order.customer_id for order in orders], [order.id for order in orders]],
        )

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
