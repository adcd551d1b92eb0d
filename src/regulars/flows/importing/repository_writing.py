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
from regulars.orders.repository_sql import status_after

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
# What was refunded stays refunded, what is cancelled stays so, and no order goes back to a status that it has passed;
# apart from that the source decides. Where the amounts change, or the order ends, those of before are noted: the points
# are to follow.
_update_orders = SQL("""
    WITH changed AS (
        UPDATE orders SET
            status = CASE
                WHEN given.status = 'cancelled' THEN 'cancelled'
                ELSE {status} END,
            cancelled_on = CASE WHEN given.status = 'cancelled' THEN coalesce(orders.cancelled_on, %(today)s) END,
            ordered_at = given.ordered_at, ordered_on = given.ordered_on, total = given.total,
            discount_total = given.discount_total, tax_total = given.tax_total, shipping_total = given.shipping_total,
            cash_rounding = given.cash_rounding, channel = given.channel, metadata = NULL,
            content_hash = given.content_hash, updated_at = %(now)s
        FROM matched AS given
        WHERE given.batch = %(batch)s AND given.code IS NULL AND given.action = 'update'
            AND orders.customer_id = given.customer_id AND orders.id = given.order_id
            AND orders.refunded_total <= given.total
            AND (orders.cancelled_on IS NULL OR given.status = 'cancelled')
        RETURNING orders.customer_id, orders.id, old.total, old.discount_total, old.tax_total, old.shipping_total,
            old.cash_rounding, given.lines,
            (new.total, new.discount_total, new.tax_total, new.shipping_total, new.cash_rounding)
                <> (old.total, old.discount_total, old.tax_total, old.shipping_total, old.cash_rounding)
                OR (new.cancelled_on IS NOT NULL AND old.cancelled_on IS NULL) AS is_other
    ), compared AS (
        SELECT *, (
            SELECT sum(l.total) FROM order_lines AS l WHERE l.customer_id = changed.customer_id AND l.order_id = id
        ) AS lines_total FROM changed
    ), noted AS (
        INSERT INTO award_bases
        SELECT customer_id, id, total, discount_total, tax_total, shipping_total, cash_rounding, lines_total,
            false, %(now)s
        FROM compared
        WHERE is_other OR lines_total IS DISTINCT FROM (
            SELECT sum((item ->> 4)::numeric) FROM jsonb_array_elements(lines::jsonb) AS item
        )
        ON CONFLICT (customer_id, order_id) DO UPDATE SET is_followed = false, changed_at = excluded.changed_at
    )
    SELECT count(*) FROM changed
""").format(status=status_after.format(total=SQL("given.total"), status=SQL("given.status")))
# By a statement of its own, which sees what was awarded until the orders were locked.
_forget_unawarded = """
    DELETE FROM award_bases AS b USING matched
    WHERE matched.batch = %(batch)s AND matched.code IS NULL AND matched.action = 'update'
        AND b.customer_id = matched.customer_id AND b.order_id = matched.order_id AND NOT b.is_followed
        AND NOT EXISTS (
            SELECT FROM loyalty_transactions AS t
            WHERE t.customer_id = b.customer_id AND t.order_id = b.order_id AND t.transaction_type = 'EARNED'
        )
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
            if await self._value(_update_orders, facts) != batch.updated:
                raise WorldMoved
            await self._execute(_forget_unawarded, facts)
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
