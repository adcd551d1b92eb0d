"""Writing the orders of one batch of an import, with lines and identifiers, and what follows for metrics.

Everything a batch writes is computed already, in temporary tables. If meanwhile somebody else wrote the same customer
or order, a key is taken: the batch is rolled back and the rest of the file matched again.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Placeholder

from regulars.customers.repository_purchases import recompute_metrics, valid_order
from regulars.flows.importing.repository_matching import Batch
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Repository

many_orders = 10_000

_insert_order_identifiers = """
    INSERT INTO order_identifiers (source, external_id, customer_id, order_id)
    SELECT %(source)s, external_id, customer_id, order_id FROM matched
    WHERE batch = %(batch)s AND code IS NULL AND action = 'create'
    ORDER BY external_id
"""
_insert_orders = """
    INSERT INTO orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
        discount_total, tax_total, shipping_total, cash_rounding, cancelled_on, channel, content_hash, created_at,
        updated_at)
    SELECT customer_id, order_id, %(source)s, external_id, status, %(currency)s, ordered_at, ordered_on, total,
        discount_total, tax_total, shipping_total, cash_rounding,
        CASE WHEN status = 'cancelled' THEN ordered_on END, channel, content_hash, %(now)s, %(now)s
    FROM matched WHERE batch = %(batch)s AND code IS NULL AND action = 'create'
"""
# What was refunded stays refunded; apart from that the source decides.
_update_orders = """
    UPDATE orders SET
        status = CASE
            WHEN orders.refunded_total = 0 THEN new.status
            WHEN orders.refunded_total = new.total THEN 'refunded' ELSE 'partially_refunded' END,
        cancelled_on = CASE
            WHEN new.status = 'cancelled' AND orders.refunded_total = 0
            THEN coalesce(orders.cancelled_on, %(today)s) END,
        ordered_at = new.ordered_at, ordered_on = new.ordered_on, total = new.total,
        discount_total = new.discount_total, tax_total = new.tax_total, shipping_total = new.shipping_total,
        cash_rounding = new.cash_rounding,
        channel = new.channel, metadata = NULL, content_hash = new.content_hash, updated_at = %(now)s
    FROM matched AS new
    WHERE new.batch = %(batch)s AND new.code IS NULL AND new.action = 'update'
        AND orders.customer_id = new.customer_id AND orders.id = new.order_id AND orders.refunded_total <= new.total
"""
_delete_lines = """
    DELETE FROM order_lines USING matched AS new
    WHERE new.batch = %(batch)s AND new.code IS NULL AND new.action = 'update'
        AND order_lines.customer_id = new.customer_id AND order_lines.order_id = new.order_id
"""
_insert_lines = """
    INSERT INTO order_lines (customer_id, order_id, line_number, sku, quantity, unit_price, discount, total)
    SELECT customer_id, order_id, place, item ->> 0, (item ->> 1)::numeric, (item ->> 2)::numeric,
        (item ->> 3)::numeric, (item ->> 4)::numeric
    FROM matched, jsonb_array_elements(lines::jsonb) WITH ORDINALITY AS line (item, place)
    WHERE batch = %(batch)s AND code IS NULL AND action <> 'keep' AND lines IS NOT NULL
"""
# As one order that comes in tells of itself: that it is there, and that it is paid or cancelled if it is.
_tell_recorded = """
    INSERT INTO events (occurred_at, kind, customer_id, facts)
    SELECT %(now)s, event.kind, customer_id, event.facts
    FROM matched, LATERAL (SELECT
        jsonb_build_object('order_id', order_id) AS name,
        jsonb_build_object('total', total::text, 'currency', %(currency)s::text) AS amount
    ) AS fact, LATERAL (VALUES
        (1, 'order.recorded', fact.name || fact.amount || jsonb_build_object('status', status)),
        (2, 'order.paid', CASE WHEN status IN ('paid', 'fulfilled') THEN fact.name || fact.amount END),
        (3, 'order.cancelled', CASE WHEN status = 'cancelled' THEN fact.name END)
    ) AS event (place, kind, facts)
    WHERE batch = %(batch)s AND code IS NULL AND action = 'create' AND event.facts IS NOT NULL
    ORDER BY ordered_at, order_id, event.place
"""
_touched = SQL("SELECT DISTINCT customer_id FROM matched WHERE batch = %(batch)s AND code IS NULL AND action <> 'keep'")


class WorldMoved(Exception):  # noqa: N818 - a reason to look again, not a fault
    """Another writer changed an order of this batch."""


class WritingRepository(Repository):
    """Writes batches of matched rows.

    Args:
        connection: The session with the temporary tables.
        source: The system that the orders come from.
        currency: That of the installation.
        clock: Tells when it happens.
        columns: The fields that the file has.
    """

    def __init__(
        self, connection: Connection, *, source: str, currency: str, clock: Clock, columns: Sequence[str]
    ) -> None:
        super().__init__(connection)
        self._facts = {"source": source, "currency": currency, "now": clock.now(), "today": clock.today()}
        self._clock = clock
        self._has_lines = "lines" in columns

    async def write(self, batch: Batch) -> None:
        """Write the orders of a batch whose customers are written; part of a transaction that the caller commits.

        Raises:
            WorldMoved, UniqueViolation: somebody else wrote one of its customers or orders since it was matched.
        """
        facts = {**self._facts, "batch": batch.number}
        if batch.created:
            await self._execute(_insert_order_identifiers, facts)
            await self._execute(_insert_orders, facts)
        if batch.updated:
            if await self._execute(_update_orders, facts) != batch.updated:
                raise WorldMoved
            await self._execute(_delete_lines, facts)
        if self._has_lines:
            await self._execute(_insert_lines, facts)
        if batch.created or batch.updated:
            await self._execute(
                recompute_metrics.format(touched=_touched, now=Placeholder("now"), valid=valid_order),
                facts | {"now": self._clock.now()},
            )

    async def tell_recorded(self, batch: Batch) -> None:
        """Add an event for each new order of a batch, in their order of time."""
        await self._execute(_tell_recorded, {**self._facts, "batch": batch.number})

    async def analyze(self, orders: int) -> None:
        """Give the planner fresh statistics after so many orders, if they are many."""
        if orders >= many_orders:
            await self._execute(
                "ANALYZE customers, customer_identifiers, customer_metrics,"
                " orders, order_identifiers, order_lines, products"
            )
