"""The staging tables of an import: rows as they were read, and what is left of them after every rule was asked.

All of them are temporary tables of one session: they vanish with it, whatever ends it. `incoming` holds texts,
`checked` typed values, and a code where a rule was broken.
"""

from asyncio import sleep
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from psycopg.sql import SQL, Identifier, Literal

from regulars.flows.importing.repository_rules import (
    amount,
    broken_rules,
    order_rules,
    reference,
    trimmed_rows,
)
from regulars.flows.importing.result import Reject
from regulars.flows.importing.rows import Subject, id_fields, money_fields, orders
from regulars.kit.database import Repository
from regulars.kit.money import minor_units
from regulars.orders.repository_sql import content_hash

_create_incoming = SQL("CREATE TEMP TABLE incoming (line bigint NOT NULL, problem text, raw text, products text, {})")

# Whether a column has ids that became numbers with a fraction, and none that is anything but a whole number.
_has_fractions = SQL("SELECT EXISTS (SELECT FROM incoming WHERE btrim({}) LIKE '%.0')")
_are_whole_numbers = SQL(r"""
    SELECT bool_and(id ~ '^\d+(\.0)?$') FROM (SELECT {} AS id FROM incoming OFFSET 0) AS ids WHERE id IS NOT NULL
""")

# OFFSET 0 keeps the planner from merging the levels: a cast must only ever see a text that passed its rule, and no rule
# shall be asked once for every column that stands on it.
_create_checked = SQL("""
    CREATE TEMP TABLE checked AS
    SELECT line, code, order_id, customer_number, customer_id AS external_customer_id, email, phone,
        concat_ws(chr(31), 'n' || customer_number, 'x' || customer_id, 'e' || email, 'p' || phone) AS who,
        ordered_at, ordered_at::date AS ordered_on, status, total, discount_total, tax_total,
        shipping_total, cash_rounding, channel, lines, {content_hash} AS content_hash
    FROM (
        SELECT line, code, order_id, customer_number, customer_id, email, phone, channel, lines,
            {currency}::text AS currency, coalesce(status, 'paid') AS status, NULL::jsonb AS metadata,
            CASE WHEN code IS NULL THEN ordered_at::timestamptz END AS ordered_at, {amounts}
        FROM (SELECT *, {code} AS code FROM ({rows}) AS texts OFFSET 0) AS coded
        OFFSET 0
    ) AS typed
""")


class StagingRepository(Repository):
    """Fills the staging tables of one session, and tells what cannot be taken of them."""

    async def prepare_session(self, store_timezone: str, subject: Subject) -> None:
        """Set up the tables of one import, in a session where a time without offset is the store's."""
        await self._execute("SELECT set_config('TimeZone', %s, false)", [store_timezone])
        await self._execute("SET work_mem = '128MB'")
        await self._execute("SET temp_buffers = '64MB'")
        columns = SQL(", ").join(SQL("{} text").format(Identifier(field)) for field in subject.fields)
        await self._execute(_create_incoming.format(columns))

    async def copy_rows(
        self, columns: Collection[str], blocks: Iterable[tuple[int, bytes]], on_rows: Callable[[int], None]
    ) -> int:
        """Append blocks of COPY text to `incoming` and count their rows.

        Args:
            columns: The fields of each row, in order.
            blocks: Encoded text, each with the number of its rows.
            on_rows: Told how many rows have come so far.
        """
        statement = SQL("COPY incoming (line, problem, raw, products, {}) FROM STDIN (NULL '')").format(
            SQL(", ").join(map(Identifier, columns))
        )
        received = 0
        async with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for count, block in blocks:
                await copy.write(block)
                received += count
                on_rows(received)
                await sleep(0)  # lets others have their turn: a large file is read for seconds
        return received

    async def restore_ids(self, columns: Collection[str]) -> None:
        """Give ids their form back that became numbers with a fraction: `17850.0` is the customer `17850`.

        A data frame with one empty field writes the whole column so. Where any id of the column is no whole number, the
        fractions may be meant and stay.
        """
        for field in id_fields:
            if field not in columns or not await self._value(_has_fractions.format(Identifier(field))):
                continue
            if await self._value(_are_whole_numbers.format(reference(field))):
                await self._execute(
                    SQL("UPDATE incoming SET {0} = left(btrim({0}), -2) WHERE btrim({0}) LIKE '%.0'").format(
                        Identifier(field)
                    )
                )

    async def count_rejects(self, tables: Sequence[str] = ("checked", "matched")) -> int:
        """How many lines cannot be taken, by these tables."""
        counts = [SQL("(SELECT count(*) FROM {} WHERE code IS NOT NULL)").format(Identifier(table)) for table in tables]
        count: int = await self._value(SQL("SELECT {}").format(SQL(" + ").join(counts)))
        return count

    async def get_rejects(
        self, columns: Sequence[str], tables: Sequence[str] = ("checked", "matched")
    ) -> AsyncIterator[Reject]:
        """The lines that cannot be taken, in the order of the file; read from the server piece by piece."""
        rejected = [
            SQL("SELECT line, code FROM {} WHERE code IS NOT NULL").format(Identifier(table)) for table in tables
        ]
        statement = SQL("""
            SELECT rejected.line, rejected.code, coalesce(raw, ''), {values}
            FROM ({rejected}) AS rejected JOIN incoming USING (line)
            ORDER BY line
        """).format(values=SQL(", ").join(map(Identifier, columns)), rejected=SQL(" UNION ALL ").join(rejected))
        async with self._connection.transaction(), self._connection.cursor(name="rejects") as cursor:
            await cursor.execute(statement)
            async for line, code, raw, *values in cursor:
                yield Reject(line, code, {name: value or "" for name, value in zip(columns, values, strict=True)}, raw)

    async def take_turn(self, *, wait: bool) -> bool:
        """Be the only import that matches and writes, until the session ends; answers whether it is so.

        Two imports that meet the same new customers would roll each other back all the time.
        """
        key = SQL("hashtextextended('regulars.import_orders', 0)")
        if wait:
            await self._execute(SQL("SELECT pg_advisory_lock({})").format(key))
            return True
        return bool(await self._value(SQL("SELECT pg_try_advisory_lock({})").format(key)))

    async def check(
        self, columns: Collection[str], *, currency: str, latest: datetime, points_per_unit: Decimal
    ) -> None:
        """Fill `checked` from `incoming`.

        Args:
            columns: The fields that the file has.
            currency: That of the installation.
            latest: Orders after this instant lie in the future.
            points_per_unit: What the orders will earn; zero for nothing.
        """
        rules = order_rules(currency, minor_units(currency), latest, points_per_unit)
        await self._execute(
            _create_checked.format(
                content_hash=content_hash,
                currency=Literal(currency),
                amounts=SQL(", ").join(amount(field, columns) for field in money_fields),
                code=broken_rules(columns, rules),
                rows=trimmed_rows(columns, orders.fields),
            )
        )
        await self._execute("ANALYZE checked (line, code, order_id, who)")

    async def settle_repeats(self) -> int:
        """Of lines with one order id, keep the first: drop equal ones, mark those with other content.

        Returns how many were dropped.
        """
        await self._execute("""
            CREATE TEMP TABLE repeats AS
            SELECT line, content_hash = first_value(content_hash) OVER earlier
                AND who = first_value(who) OVER earlier AS is_equal, row_number() OVER earlier AS occurrence
            FROM checked
            WHERE code IS NULL AND order_id IN (
                SELECT order_id FROM checked WHERE code IS NULL GROUP BY order_id HAVING count(*) > 1
            )
            WINDOW earlier AS (PARTITION BY order_id ORDER BY line)
        """)
        await self._execute("""
            UPDATE checked SET code = 'order-repeated' FROM repeats
            WHERE repeats.line = checked.line AND occurrence > 1 AND NOT is_equal
        """)
        return await self._execute("""
            DELETE FROM checked USING repeats
            WHERE repeats.line = checked.line AND occurrence > 1 AND is_equal
        """)
