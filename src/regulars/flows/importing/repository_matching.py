"""What is to be done with each row of an import, and the rows that cannot be taken."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier, Literal

from regulars.flows.importing.repository_referrals import ReferralsRepository
from regulars.flows.importing.repository_rules import reference
from regulars.flows.importing.rows import address_fields, profile_fields
from regulars.kit.database import Repository
from regulars.kit.schemas import most_tags

# Tags that are there keep their place, new ones follow.
united_tags = SQL("""
    ARRAY(
        SELECT tag FROM unnest(coalesce(customers.tags, '{{}}') || {tags}) WITH ORDINALITY AS t (tag, place)
        GROUP BY tag ORDER BY min(place)
    )
""")

# Sorted as it will be read and written: batch by batch, customer by customer. The ids of new orders are one fresh UUID
# with the line number as its last 48 bits: as unique as ids made one by one, at a tenth of the cost.
_create_matched = SQL("""
    CREATE TEMP TABLE matched AS
    SELECT people.batch, persons.customer_id,
        coalesce(known.order_id, (left(fresh.id, 24) || lpad(to_hex(checked.line), 12, '0'))::uuid) AS order_id,
        CASE WHEN known.order_id IS NULL THEN 'create'
            WHEN stored.content_hash = checked.content_hash THEN 'keep' ELSE 'update' END AS action,
        CASE WHEN persons.code IS NOT NULL THEN persons.code
            WHEN known.customer_id <> persons.customer_id THEN 'order-of-another-customer'
            WHEN stored.refunded_total > checked.total THEN 'order-refunded'
            WHEN stored.cancelled_on IS NOT NULL AND checked.status <> 'cancelled'
                AND stored.content_hash <> checked.content_hash THEN 'order-cancelled' END AS code,
        checked.line, checked.order_id AS external_id, checked.ordered_at, checked.ordered_on, checked.status,
        checked.total, checked.discount_total, checked.tax_total, checked.shipping_total, checked.cash_rounding,
        checked.channel, checked.lines, checked.content_hash
    FROM (SELECT uuidv7()::text AS id OFFSET 0) AS fresh, checked
    JOIN persons ON persons.who = checked.who
    LEFT JOIN people ON people.customer_id = persons.customer_id AND persons.code IS NULL
    LEFT JOIN order_identifiers AS known ON known.source = {source} AND known.external_id = checked.order_id
    LEFT JOIN orders AS stored ON stored.customer_id = known.customer_id AND stored.id = known.order_id
    WHERE checked.code IS NULL
    ORDER BY people.batch, persons.customer_id, checked.ordered_at
""")

# Of several lines of one customer the first one counts. A referrer is known, or stands in the file.
_create_matched_customers = SQL("""
    CREATE TEMP TABLE matched AS
    SELECT people.batch, persons.customer_id, CASE WHEN people.is_new THEN 'create' ELSE 'keep' END AS action,
        CASE WHEN persons.code IS NOT NULL THEN persons.code
            WHEN row_number() OVER (PARTITION BY persons.customer_id, persons.code ORDER BY checked.line) > 1
            THEN 'customer-repeated'
            WHEN customers.deleted_at IS NOT NULL THEN 'customer-unknown'
            WHEN checked.referrer IS NOT NULL AND coalesce({referrer}) IS NULL THEN 'referrer-unknown'
            WHEN coalesce({referrer}) = persons.customer_id THEN 'referrer-self'
            WHEN cardinality({united_tags}) > {most_tags} THEN 'tags-number' END AS code,
        checked.line, checked.ordered_at, coalesce(checked.tags, '{{}}') AS tags, coalesce({referrer}) AS referrer_id
    FROM checked
    JOIN persons ON persons.who = checked.who
    LEFT JOIN people ON people.customer_id = persons.customer_id AND persons.code IS NULL
    LEFT JOIN customers ON customers.id = persons.customer_id
    LEFT JOIN customer_identifiers AS numbered ON numbered.kind = 'number' AND numbered.value = upper(checked.referrer)
    LEFT JOIN customer_identifiers AS named ON named.kind = {own} AND named.value = checked.referrer
    LEFT JOIN (
        SELECT external_customer_id AS id, min(customer_id::text)::uuid AS customer_id
        FROM persons WHERE code IS NULL AND external_customer_id IS NOT NULL GROUP BY external_customer_id
    ) AS listed ON listed.id = checked.referrer
    WHERE checked.code IS NULL
    ORDER BY people.batch, persons.customer_id
""")
_create_further_ids = SQL("""
    CREATE TEMP TABLE further_ids AS
    SELECT matched.line, matched.customer_id, wanted.kind, wanted.value,
        held.customer_id IS NULL AND claims.customer_id IS NULL AS is_news,
        coalesce(held.customer_id, claims.customer_id,
            first_value(matched.customer_id) OVER (PARTITION BY wanted.kind, wanted.value ORDER BY matched.line)
        ) <> matched.customer_id AS is_taken
    FROM matched JOIN checked ON checked.line = matched.line,
        LATERAL (
            SELECT 'ext:' || key, id FROM jsonb_each_text(checked.external_ids), LATERAL (SELECT {id} AS id) AS named
            WHERE id IS NOT NULL
        ) AS wanted (kind, value)
    LEFT JOIN customer_identifiers AS held ON held.kind = wanted.kind AND held.value = wanted.value
    LEFT JOIN claims ON claims.kind = wanted.kind AND claims.value = wanted.value
    WHERE matched.code IS NULL
""").format(id=reference("value"))

_create_profiles = SQL("""
    CREATE TEMP TABLE profiles AS
    SELECT matched.customer_id, {latest}
    FROM matched JOIN incoming ON incoming.line = matched.line
    WHERE matched.code IS NULL AND coalesce({columns}) IS NOT NULL
    GROUP BY matched.customer_id
""")
_latest_value = SQL("""
    (array_agg(normalize(btrim({column}), NFC) ORDER BY matched.ordered_at DESC, matched.line DESC)
        FILTER (WHERE btrim({column}) <> ''))[1] AS {column}
""")


@dataclass(frozen=True)
class Batch:
    """The work that one transaction does.

    Attributes:
        number: Which of the batches.
        created: Rows to insert.
        updated: Rows whose content changed.
        unchanged: Rows that are stored already just so.
        customers_created: New customers.
        filled: Known customers who were told something new, once that is done.
    """

    number: int
    created: int
    updated: int
    unchanged: int
    customers_created: int
    filled: int = 0

    @property
    def rows(self) -> int:
        """How many lines of the file it stands for."""
        return self.created + self.updated + self.unchanged


class MatchingRepository(Repository):
    """Compares the rows with what is stored."""

    async def match_orders(self, columns: Collection[str], source: str) -> None:
        """Fill `matched` from `checked`, `persons` and `people`, and `profiles` if the file describes customers."""
        await self._match(_create_matched.format(source=Literal(source)), profile_fields, columns)

    async def match_customers(self, columns: Collection[str], source: str) -> None:
        """The same for a file of customers: each is taken by its first line."""
        statement = _create_matched_customers.format(
            own=Literal(f"ext:{source}"),
            referrer=SQL("numbered.customer_id, named.customer_id, listed.customer_id"),
            united_tags=united_tags.format(tags=SQL("checked.tags")),
            most_tags=Literal(most_tags),
        )
        await self._match(statement, (*profile_fields, *address_fields), columns)

    async def _match(self, create_matched: Composed, described: Sequence[str], columns: Collection[str]) -> None:
        await self._execute("DROP TABLE IF EXISTS matched, profiles, further_ids")
        await self._execute(create_matched)
        if "referrer" in columns:
            await ReferralsRepository(self._connection).reject_circles()
        if "external_ids" in columns:
            await self._find_further_ids()
        await self._execute("CREATE INDEX ON matched (batch)")
        await self._execute("ANALYZE matched (batch, customer_id, action, code)")
        # Nothing is written of a customer all of whose lines were rejected; a new one is none.
        await self._execute("""
            DELETE FROM people USING matched AS rejected
            WHERE rejected.code IS NOT NULL AND rejected.customer_id = people.customer_id AND NOT EXISTS (
                SELECT FROM matched AS good WHERE good.customer_id = people.customer_id AND good.code IS NULL
            )
        """)
        await self._describe_customers([field for field in described if field in columns])

    async def _find_further_ids(self) -> None:
        """Look up the ids of other systems; a line whose id is another customer's is rejected."""
        await self._execute(_create_further_ids)
        await self._execute("""
            UPDATE matched SET code = 'external-id-taken'
            WHERE line IN (SELECT line FROM further_ids WHERE is_taken)
        """)
        await self._execute("DELETE FROM further_ids WHERE line IN (SELECT line FROM matched WHERE code IS NOT NULL)")

    async def _describe_customers(self, described: Sequence[str]) -> None:
        """Collect what the rows say about each customer: of every field the value of the latest order that has one."""
        if described:
            names = [Identifier(field) for field in described]
            latest = SQL(", ").join(_latest_value.format(column=name) for name in names)
            await self._execute(_create_profiles.format(latest=latest, columns=SQL(", ").join(names)))
            await self._execute("CREATE INDEX ON profiles (customer_id)")
            await self._execute("ANALYZE profiles")

    async def get_batches(self) -> list[Batch]:
        """The batches in order, with what they have to do."""
        return await self._all(
            Batch,
            """
            SELECT batch::int AS number, created, updated, unchanged, coalesce(newcomers.count, 0) AS customers_created
            FROM (
                SELECT batch, count(*) FILTER (WHERE action = 'create') AS created,
                    count(*) FILTER (WHERE action = 'update') AS updated,
                    count(*) FILTER (WHERE action = 'keep') AS unchanged
                FROM matched WHERE code IS NULL GROUP BY batch
            ) AS work
            LEFT JOIN (SELECT batch, count(*) FROM people WHERE is_new GROUP BY batch) AS newcomers USING (batch)
            ORDER BY number
            """,
        )

    async def forget(self, batches: Sequence[int]) -> None:
        """Take the rows of finished batches out of `checked`, before the rest is matched again."""
        await self._execute(
            """
            DELETE FROM checked USING matched
            WHERE matched.line = checked.line AND matched.code IS NULL AND matched.batch = ANY(%s)
            """,
            [list(batches)],
        )
