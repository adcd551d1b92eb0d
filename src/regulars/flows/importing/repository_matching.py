"""What is to be done with each row of an import, and the rows that cannot be taken."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Identifier, Literal

from regulars.flows.importing.result import Reject
from regulars.flows.importing.rows import profile_fields
from regulars.kit.database import Repository

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
            WHEN stored.refunded_total > checked.total THEN 'order-refunded' END AS code,
        checked.line, checked.order_id AS external_id, checked.ordered_at, checked.ordered_on, checked.status,
        checked.total, checked.discount_total, checked.tax_total, checked.shipping_total, checked.channel,
        checked.lines, checked.content_hash
    FROM (SELECT uuidv7()::text AS id OFFSET 0) AS fresh, checked
    JOIN persons ON persons.who = checked.who
    LEFT JOIN people ON people.customer_id = persons.customer_id AND persons.code IS NULL
    LEFT JOIN order_identifiers AS known ON known.source = {source} AND known.external_id = checked.order_id
    LEFT JOIN orders AS stored ON stored.customer_id = known.customer_id AND stored.id = known.order_id
    WHERE checked.code IS NULL
    ORDER BY people.batch, persons.customer_id, checked.ordered_at
""")

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
        created: Orders to insert.
        updated: Orders whose content changed.
        unchanged: Orders that are stored already just so.
        customers_created: New customers.
    """

    number: int
    created: int
    updated: int
    unchanged: int
    customers_created: int

    @property
    def orders(self) -> int:
        """How many lines of the file it stands for."""
        return self.created + self.updated + self.unchanged


class MatchingRepository(Repository):
    """Compares the rows with the orders that are stored."""

    async def match(self, columns: Collection[str], source: str) -> None:
        """Fill `matched` from `checked`, `persons` and `people`, and `profiles` if the file describes customers."""
        await self._execute("DROP TABLE IF EXISTS matched, profiles")
        await self._execute(_create_matched.format(source=Literal(source)))
        await self._execute("CREATE INDEX ON matched (batch)")
        await self._execute("ANALYZE matched (batch, customer_id, action, code)")
        # A new customer all of whose orders were rejected is none.
        await self._execute("""
            DELETE FROM people USING matched AS rejected
            WHERE rejected.code IS NOT NULL AND rejected.customer_id = people.customer_id AND is_new AND NOT EXISTS (
                SELECT FROM matched AS good WHERE good.customer_id = people.customer_id AND good.code IS NULL
            )
        """)
        await self._describe_customers([field for field in profile_fields if field in columns])

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

    async def count_rejects(self) -> int:
        """How many lines cannot be taken."""
        count: int = await self._value(
            """
            SELECT (SELECT count(*) FROM checked WHERE code IS NOT NULL)
                + (SELECT count(*) FROM matched WHERE code IS NOT NULL)
            """
        )
        return count

    async def get_rejects(self, columns: Sequence[str]) -> AsyncIterator[Reject]:
        """The lines that cannot be taken, in the order of the file; read from the server piece by piece."""
        statement = SQL("""
            SELECT rejected.line, rejected.code, coalesce(raw, ''), {values}
            FROM (
                SELECT line, code FROM checked WHERE code IS NOT NULL
                UNION ALL SELECT line, code FROM matched WHERE code IS NOT NULL
            ) AS rejected
            JOIN incoming USING (line)
            ORDER BY line
        """).format(values=SQL(", ").join(map(Identifier, columns)))
        async with self._connection.transaction(), self._connection.cursor(name="rejects") as cursor:
            await cursor.execute(statement)
            async for line, code, raw, *values in cursor:
                yield Reject(line, code, {name: value or "" for name, value in zip(columns, values, strict=True)}, raw)
