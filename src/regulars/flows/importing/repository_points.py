"""The staging of opening balances: whose they are, which can be taken, and each customer's lines together."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from psycopg.sql import SQL, Composed, Literal

from regulars.flows.importing.repository_rules import Rule, broken_rules, day_form, rule, trimmed_rows
from regulars.flows.importing.rows import points as subject
from regulars.kit.bounds import latest_day, most_points
from regulars.kit.database import Repository

# OFFSET 0: a cast must only ever see a text that passed its rule.
_create_checked = SQL("""
    CREATE TEMP TABLE checked AS
    SELECT line, coalesce(code, CASE
            WHEN owner.ids IS NULL OR customers.erased_at IS NOT NULL OR customers.deleted_at IS NOT NULL
            THEN 'customer-unknown'
            WHEN cardinality(owner.ids) > 1 THEN 'customer-conflict'
            WHEN expires_on::date < {today} THEN 'points-expired' END) AS code,
        customers.customer_number, CASE WHEN code IS NULL THEN points::bigint END AS points,
        CASE WHEN code IS NULL THEN expires_on::date END AS expires_on
    FROM (SELECT *, {code} AS code FROM ({rows}) AS texts OFFSET 0) AS coded
    LEFT JOIN LATERAL (
        SELECT array_agg(DISTINCT customer_id) AS ids FROM customer_identifiers AS known
        WHERE coded.code IS NULL AND (known.kind, known.value) IN (
            ('number', coded.customer_number), ({own}, coded.customer_id), ('email', coded.email),
            ('phone', coded.phone))
    ) AS owner ON true
    LEFT JOIN customers ON customers.id = owner.ids[1]
""")


@dataclass(frozen=True)
class PointsLine:
    """Points of a file, and whose they are."""

    line: int
    customer_number: str
    points: int
    expires_on: date | None


class PointsRepository(Repository):
    """Opening balances in the temporary tables of one session."""

    async def check(self, columns: Collection[str], *, source: str, today: date) -> None:
        """Fill `checked` from `incoming`.

        A customer has one opening balance for good. So where a line of a customer cannot be taken, the others wait
        with it, but for points that have expired: they are lost anyway.
        """
        await self._execute(
            _create_checked.format(
                today=Literal(today),
                own=Literal(f"ext:{source}"),
                code=broken_rules(columns, _rules()),
                rows=trimmed_rows(columns, subject.fields),
            )
        )
        await self._execute("CREATE INDEX ON checked (customer_number, line)")
        await self._execute("ANALYZE checked")

    async def hold_back_parts(self, columns: Collection[str], *, source: str) -> None:
        """Reject the good lines of customers who have a bad one."""
        await self._execute(_hold_back.format(own=Literal(f"ext:{source}"), rows=trimmed_rows(columns, subject.fields)))

    async def get_lines(self, *, after: str, customers: int) -> list[PointsLine]:
        """The lines that can be taken of so many customers, from the one after this number on."""
        return await self._all(
            PointsLine,
            """
            SELECT line, customer_number, points, expires_on FROM checked
            WHERE code IS NULL AND customer_number IN (
                SELECT DISTINCT customer_number FROM checked
                WHERE code IS NULL AND customer_number > %s ORDER BY customer_number LIMIT %s
            )
            ORDER BY customer_number, line
            """,
            [after, customers],
        )

    async def reject(self, lines: Sequence[int], code: str) -> None:
        """Mark lines that could not be taken after all."""
        await self._execute("UPDATE checked SET code = %s WHERE line = ANY (%s)", [code, list(lines)])


_hold_back = SQL("""
    WITH owners AS (
        SELECT texts.line, known.customer_id FROM ({rows}) AS texts JOIN customer_identifiers AS known
            ON (known.kind, known.value) IN (
                ('number', texts.customer_number), ({own}, texts.customer_id), ('email', texts.email),
                ('phone', texts.phone))
        WHERE texts.line IN (SELECT line FROM checked WHERE code <> 'points-expired')
    )
    UPDATE checked SET code = 'points-in-part'
    FROM owners JOIN customers ON customers.id = owners.customer_id
    WHERE checked.code IS NULL AND checked.customer_number = customers.customer_number
""")


def _rules() -> list[Rule]:
    number = SQL("points !~ '^[1-9][0-9]{{0,7}}$' OR points::bigint > {}").format(Literal(most_points))
    day: Composed = SQL(
        "expires_on !~ {} OR NOT pg_input_is_valid(expires_on, 'date') OR expires_on::date > {}"
    ).format(Literal(day_form), Literal(latest_day))
    return [
        rule("points", SQL("points IS NULL"), "points-format"),
        rule("points", number, "points-format"),
        rule("expires_on", day, "expires-on-format"),
    ]
