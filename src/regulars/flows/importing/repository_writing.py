"""Writing one batch of an import: customers, their claims, orders with lines and identifiers, metrics.

Everything a batch writes is computed already, in temporary tables. If meanwhile somebody else wrote the same customer
or order, a key is taken: the batch is rolled back and the rest of the file matched again.
"""

from collections.abc import Mapping, Sequence

from psycopg.sql import SQL, Composed, Identifier, Placeholder

from regulars.customers.repository_purchases import recompute_metrics, valid_order
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.rows import contact_fields, profile_fields
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Repository

many_orders = 10_000

# Customer numbers are formed here as in customers/numbers.py, for many customers of many days in one statement.
_reserve_numbers = """
    WITH newcomers AS (
        SELECT customer_id, first_ordered_at::date AS day,
            row_number() OVER (PARTITION BY first_ordered_at::date ORDER BY customer_id) AS position,
            count(*) OVER (PARTITION BY first_ordered_at::date) AS newcomers_of_day
        FROM people WHERE is_new AND batch = %(batch)s
    ), reserved AS (
        INSERT INTO customer_number_counters AS counter (day, last_number)
        SELECT day, count(*) FROM newcomers GROUP BY day ORDER BY day
        ON CONFLICT (day) DO UPDATE SET last_number = counter.last_number + excluded.last_number
        RETURNING day, last_number
    )
    UPDATE people SET customer_number = 'CUST-' || to_char(newcomers.day, 'YYYYMMDD') || '-'
        || lpad(number.text, greatest(4, length(number.text)), '0')
    FROM newcomers JOIN reserved USING (day),
        LATERAL (SELECT (last_number - newcomers_of_day + position)::text) AS number (text)
    WHERE people.customer_id = newcomers.customer_id
"""
_lock_customers = """
    SELECT FROM customers
    WHERE id IN (
        SELECT customer_id FROM people WHERE batch = %(batch)s AND NOT is_new
    )
    ORDER BY id FOR NO KEY UPDATE
"""
_insert_customers = SQL("""
    INSERT INTO customers (id, customer_number, email, phone, {profile} created_at, updated_at)
    SELECT people.customer_id, people.customer_number, mail.value, telephone.value, {values}
        people.first_ordered_at, %(now)s
    FROM people
    LEFT JOIN claims AS mail ON mail.customer_id = people.customer_id AND mail.kind = 'email'
    LEFT JOIN claims AS telephone ON telephone.customer_id = people.customer_id AND telephone.kind = 'phone'
    {profiles}
    WHERE people.batch = %(batch)s AND people.is_new
    ORDER BY people.customer_id
""")
_insert_claims = """
    INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
    SELECT kind, value, customer_id, %(now)s FROM (
        SELECT 'number' AS kind, customer_number AS value, customer_id FROM people WHERE batch = %(batch)s AND is_new
        UNION ALL
        SELECT kind, value, customer_id FROM claims JOIN people USING (customer_id) WHERE batch = %(batch)s
    ) AS claimed
    ORDER BY kind, value
"""
_fill_customers = SQL("""
    UPDATE customers SET {filled}, version = version + 1, updated_at = %(now)s
    FROM people
    LEFT JOIN claims AS mail ON mail.customer_id = people.customer_id AND mail.kind = 'email'
    LEFT JOIN claims AS telephone ON telephone.customer_id = people.customer_id AND telephone.kind = 'phone'
    {profiles}
    WHERE people.batch = %(batch)s AND NOT people.is_new AND customers.id = people.customer_id
        AND customers.erased_at IS NULL AND ({news})
""")
_insert_order_identifiers = """
    INSERT INTO order_identifiers (source, external_id, customer_id, order_id)
    SELECT %(source)s, external_id, customer_id, order_id FROM matched
    WHERE batch = %(batch)s AND code IS NULL AND action = 'create'
    ORDER BY external_id
"""
_insert_orders = """
    INSERT INTO orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
        discount_total, tax_total, shipping_total, cancelled_on, channel, content_hash, created_at, updated_at)
    SELECT customer_id, order_id, %(source)s, external_id, status, %(currency)s, ordered_at, ordered_on, total,
        discount_total, tax_total, shipping_total, CASE WHEN status = 'cancelled' THEN ordered_on END, channel,
        content_hash, %(now)s, %(now)s
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
        self._described = [field for field in profile_fields if field in columns]
        self._has_claims = not contact_fields.isdisjoint(columns)
        self._has_lines = "lines" in columns

    async def reserve_numbers(self, batch: Batch) -> None:
        """Number the new customers of a batch: each on the store day of the first order that the file has of it.

        In a transaction of its own, so that nobody who creates a customer waits for the batch. Numbers of a batch that
        is never written stay unused.
        """
        if batch.customers_created:
            await self._execute(_reserve_numbers, {"batch": batch.number})

    async def write(self, batch: Batch) -> None:
        """Write a batch; part of a transaction that the caller commits.

        Raises:
            WorldMoved, UniqueViolation: somebody else wrote one of its customers or orders since it was matched.
        """
        facts = {**self._facts, "batch": batch.number}
        await self._execute(_lock_customers, facts)
        await self._write_customers(batch, facts)
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
                recompute_metrics.format(touched=_touched, now=Placeholder("now"), valid=valid_order), facts
            )

    async def analyze(self, orders: int) -> None:
        """Give the planner fresh statistics after so many orders, if they are many."""
        if orders >= many_orders:
            await self._execute(
                "ANALYZE customers, customer_identifiers, customer_metrics,"
                " orders, order_identifiers, order_lines, products"
            )

    async def _write_customers(self, batch: Batch, facts: Mapping[str, object]) -> None:
        await self._execute(_insert_claims, facts)
        if batch.customers_created:
            await self._execute(self._customers_statement(_insert_customers), facts)
        if self._described or self._has_claims:
            await self._execute(self._customers_statement(_fill_customers), facts)

    def _customers_statement(self, statement: SQL) -> Composed:
        """Insert or fill customers with the fields that the file has."""
        told = {field: _told(field) for field in self._described}
        contacts = {"email": SQL("mail.value"), "phone": SQL("telephone.value")}
        news = {**contacts, **told}
        joined = "LEFT JOIN profiles ON profiles.customer_id = people.customer_id" if self._described else ""
        return statement.format(
            profile=SQL("").join(SQL("{}, ").format(Identifier(field)) for field in told),
            values=SQL("").join(SQL("{}, ").format(value) for value in told.values()),
            profiles=SQL(joined),
            filled=SQL(", ").join(
                SQL("{0} = coalesce(customers.{0}, {1})").format(Identifier(field), value)
                for field, value in news.items()
            ),
            news=SQL(" OR ").join(
                SQL("customers.{0} IS NULL AND {1} IS NOT NULL").format(Identifier(field), value)
                for field, value in news.items()
            ),
        )


def _told(field: str) -> Composed:
    value = SQL("profiles.{}").format(Identifier(field))
    return value + SQL("::date") if field == "date_of_birth" else value
