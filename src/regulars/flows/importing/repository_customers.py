"""Writing the customers of one batch of an import: numbers, claims, profiles.

New customers are inserted; known ones are filled where they are empty, never overwritten.
"""

from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL, Composable, Composed, Identifier

from regulars.flows.importing.repository_matching import Batch, united_tags
from regulars.flows.importing.rows import Subject, address_fields, contact_fields, customers, profile_fields
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Repository

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
    {joins}
    WHERE people.batch = %(batch)s AND people.is_new
    ORDER BY people.customer_id
""")
_insert_claims = """
    INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
    SELECT kind, value, customer_id, %(now)s FROM (
        SELECT 'number' AS kind, customer_number AS value, customer_id FROM people WHERE batch = %(batch)s AND is_new
        UNION ALL
        SELECT kind, value, customer_id FROM claims JOIN people USING (customer_id)
        WHERE batch = %(batch)s AND identifies
    ) AS claimed
    ORDER BY kind, value
"""
_fill_customers = SQL("""
    UPDATE customers SET {filled}, version = version + 1, updated_at = %(now)s
    FROM people
    LEFT JOIN claims AS mail ON mail.customer_id = people.customer_id AND mail.kind = 'email'
    LEFT JOIN claims AS telephone ON telephone.customer_id = people.customer_id AND telephone.kind = 'phone'
    {joins}
    WHERE people.batch = %(batch)s AND NOT people.is_new AND customers.id = people.customer_id
        AND customers.erased_at IS NULL AND ({news})
""")
_insert_further_claims = """
    INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
    SELECT kind, value, customer_id, %(now)s FROM further_ids JOIN people USING (customer_id)
    WHERE batch = %(batch)s AND is_news
    ORDER BY kind, value
"""
_create_referrals = """
    CREATE TEMP TABLE referrals (customer_id uuid NOT NULL, referrer text NOT NULL, referrer_id uuid NOT NULL)
"""
_note_referrals = """
    INSERT INTO referrals SELECT matched.customer_id, checked.referrer, matched.referrer_id
    FROM matched JOIN checked USING (line)
    WHERE matched.batch = %(batch)s AND matched.code IS NULL AND matched.referrer_id IS NOT NULL
"""
# A referrer who was new when the row was matched may have been written under another id, after looking again.
_name_referrers = """
    UPDATE customers SET referrer_customer_id = referrer.id, updated_at = %(now)s, version = customers.version + 1
    FROM referrals
    LEFT JOIN customer_identifiers AS numbered
        ON numbered.kind = 'number' AND numbered.value = upper(referrals.referrer)
    LEFT JOIN customer_identifiers AS named ON named.kind = %(own)s AND named.value = referrals.referrer
    JOIN customers AS referrer
        ON referrer.id = coalesce(numbered.customer_id, named.customer_id, referrals.referrer_id)
    WHERE customers.id = referrals.customer_id AND customers.referrer_customer_id IS NULL
        AND customers.erased_at IS NULL
"""
_tell_created = """
    INSERT INTO events (occurred_at, kind, customer_id, facts)
    SELECT %(at)s, 'customer.created', customer_id, '{"by_registration": false}'
    FROM people WHERE batch = %(batch)s AND is_new ORDER BY customer_id
"""


class CustomerWritingRepository(Repository):
    """Writes the customers of batches.

    Args:
        connection: The session with the temporary tables.
        clock: Tells when it happens.
        columns: The fields that the file has.
        subject: What the file is about.
    """

    def __init__(self, connection: Connection, *, clock: Clock, columns: Sequence[str], subject: Subject) -> None:
        super().__init__(connection)
        self._now: datetime = clock.now()
        self._described = [field for field in (*profile_fields, *address_fields) if field in columns]
        self._has_claims = not contact_fields.isdisjoint(columns)
        self._is_about_customers = subject is customers
        self._has_tags, self._has_ids = "tags" in columns, "external_ids" in columns

    async def reserve_numbers(self, batch: Batch) -> None:
        """Number the new customers of a batch: each on the store day since which the file knows it.

        In a transaction of its own, so that nobody who creates a customer waits for the batch. Numbers of a batch that
        is never written stay unused.
        """
        if batch.customers_created:
            await self._execute(_reserve_numbers, {"batch": batch.number})

    async def write(self, batch: Batch) -> int:
        """Lock the known customers of a batch, insert the new ones, fill the known; answers how many were filled.

        Raises:
            UniqueViolation: somebody else claimed an identifier since it was matched.
        """
        facts = {"now": self._now, "batch": batch.number}
        await self._execute(_lock_customers, facts)
        await self._execute(_insert_claims, facts)
        if batch.customers_created:
            await self._execute(self._statement(_insert_customers), facts)
        filled = 0
        if self._is_about_customers or self._described or self._has_claims:
            filled = await self._execute(self._statement(_fill_customers), facts)
        if self._has_ids:
            await self._execute(_insert_further_claims, facts)
        return filled

    async def begin_referrals(self) -> None:
        """Make the table of who brought whom, which outlasts the matching: a referrer may be in a later batch."""
        await self._execute(_create_referrals)

    async def note_referrals(self, batch: Batch) -> None:
        """Note who brought the customers of a batch."""
        await self._execute(_note_referrals, {"batch": batch.number})

    async def write_referrers(self, source: str) -> None:
        """Name who brought whom, where nobody is named yet and both are written.

        Args:
            source: The system whose ids name referrers.
        """
        await self._execute(_name_referrers, {"now": self._now, "own": f"ext:{source}"})

    async def tell_created(self, batch: Batch, *, at: datetime) -> None:
        """Add an event for each new customer of a batch."""
        await self._execute(_tell_created, {"batch": batch.number, "at": at})

    def _statement(self, statement: SQL) -> Composed:
        """Insert or fill customers with the fields that the file has."""
        told: dict[str, Composable] = {field: _told(field) for field in self._described}
        contacts: dict[str, Composable] = {"email": SQL("mail.value"), "phone": SQL("telephone.value")}
        filled, news = map(
            list, zip(*(_filled(field, value) for field, value in {**contacts, **told}.items()), strict=True)
        )
        joins = []
        if self._described:
            joins.append(SQL("LEFT JOIN profiles ON profiles.customer_id = people.customer_id"))
        if self._has_tags:
            joins.append(SQL("LEFT JOIN matched ON matched.customer_id = people.customer_id AND matched.code IS NULL"))
            told["tags"] = SQL("coalesce(matched.tags, '{}')")
            filled.append(SQL("tags = {}").format(united_tags.format(tags=SQL("matched.tags"))))
            news.append(SQL("NOT customers.tags @> coalesce(matched.tags, '{}')"))
        if self._is_about_customers:
            news.append(SQL("people.customer_id IN (SELECT customer_id FROM claims WHERE identifies)"))
        if self._has_ids:
            news.append(SQL("people.customer_id IN (SELECT customer_id FROM further_ids WHERE is_news)"))
        return statement.format(
            profile=SQL("").join(SQL("{}, ").format(Identifier(field)) for field in told),
            values=SQL("").join(SQL("{}, ").format(value) for value in told.values()),
            joins=SQL(" ").join(joins),
            filled=SQL(", ").join(filled),
            news=SQL(" OR ").join(news),
        )


def _filled(field: str, value: Composable) -> tuple[Composable, Composable]:
    """The assignment that fills a field where it is empty, and the condition that there is something to fill in."""
    name = Identifier(field)
    return (
        SQL("{0} = coalesce(customers.{0}, {1})").format(name, value),
        SQL("customers.{0} IS NULL AND {1} IS NOT NULL").format(name, value),
    )


def _told(field: str) -> Composed:
    value = SQL("profiles.{}").format(Identifier(field))
    return value + SQL("::date") if field == "date_of_birth" else value
