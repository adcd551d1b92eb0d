"""The rows of one person, in whatever table: found, read for an export, erased. What to do is in the register."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from regulars.kit.database import Repository
from regulars.privacy.columns import ColumnRule, deletes_rows, exported_columns
from regulars.privacy.models import Person

read_at_once: Final = 1_000

_proofs = "SELECT id FROM verifications WHERE subject_id = ANY(%(subjects)s) OR address = ANY(%(addresses)s)"

# Where a table keeps the id of the customer in customer_id, that is how its rows are found; these are all others.
_reach: Final[Mapping[str, Composable]] = {
    "customers": SQL("id = %(customer_id)s"),
    "sessions": SQL("user_id = ANY(%(logins)s)"),
    "refresh_tokens": SQL("session_id IN (SELECT id FROM sessions WHERE user_id = ANY(%(logins)s))"),
    "verifications": SQL("id IN ({})").format(SQL(_proofs)),
    "registrations": SQL("profile ->> 'email' = ANY(%(addresses)s)"),
    "shared_contacts": SQL("value = ANY(%(addresses)s)"),
    "idempotency_keys": SQL("(customer_id = %(customer_id)s OR principal_id = ANY(%(logins)s))"),
    "job_pieces": SQL("job_id IN (SELECT id FROM jobs WHERE customer_id = %(customer_id)s OR names_people)"),
    "audit_log": SQL(
        "((object_kind IN ('customer', 'user') AND object_id = ANY(%(subjects)s))"
        " OR (facts ? 'customer_ids' AND facts -> 'customer_ids' @> to_jsonb(%(customer_id)s::text)))"
    ),
    # What a worker has begun is left to it: it finds the proof gone, and sends nothing.
    "procrastinate_jobs": SQL(
        "status = 'todo' AND args ->> 'verification_id' IN (SELECT id::text FROM ({}) AS p)"
    ).format(SQL(_proofs)),
}
# What the person is recognised by, and signs in with.
_identifying: Final = frozenset({"users", "customer_identifiers"})
# A list of whom somebody looked at names others too.
_exported_as: Final[Mapping[tuple[str, str], SQL]] = {("audit_log", "facts"): SQL("facts - 'customer_ids'")}
_strip: Final = "SELECT strip_audit_log(%(customer_id)s, %(logins)s)"
_oldest_first: Final = ("seq", "occurred_at", "ordered_at", "created_at", "changed_at")


def is_reached(rules: Sequence[ColumnRule]) -> bool:
    """Whether it is known which rows of a table are about a person."""
    return rules[0].table in _reach or any(rule.column == "customer_id" for rule in rules)


def needs_the_person(table: str) -> bool:
    """Whether rows are found by more than the id of the customer, or are what identifies: they go first, together."""
    return table in _reach or table in _identifying


class PersonalTables(Repository):
    """Rows of one person."""

    async def find_person(self, customer_id: UUID) -> Person:
        """By what the rows of a customer are found, as long as they are there."""
        rows = await self._rows(
            """
            SELECT array_remove(ARRAY[c.email, c.phone] || array_agg(u.email) || ARRAY(
                    SELECT value FROM customer_identifiers WHERE customer_id = c.id AND kind IN ('email', 'phone')
                ), NULL),
                array_remove(array_agg(u.id), NULL)
            FROM customers c LEFT JOIN users u ON u.customer_id = c.id
            WHERE c.id = %s GROUP BY c.id
            """,
            [customer_id],
        )
        addresses, logins = rows[0] if rows else ([], [])
        return Person(customer_id, logins, addresses)

    async def erase(self, rules: Sequence[ColumnRule], person: Person) -> int:
        """Do to the person's rows of a table what the register says; how many were deleted or changed.

        Args:
            rules: All rules of the table.
            person: Whose rows.
        """
        if deletes_rows(rules):
            delete = SQL("DELETE FROM {} WHERE {}").format(Identifier(rules[0].table), _reach_of(rules[0].table))
            return await self._execute(delete, _parameters(person))
        changed = 0
        if any(rule.erasure == "strip" for rule in rules):
            changed += int(await self._value(_strip, _parameters(person)))
        if values := {rule.column: rule.new_value for rule in rules if rule.erasure.startswith("set ")}:
            changed += await self._execute(_update(rules[0].table, values), _parameters(person))
        return changed

    async def export(self, rules: Sequence[ColumnRule], person: Person) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The person's rows of a table, some at a time, with the columns that the person gets."""
        table, columns = rules[0].table, exported_columns(rules)
        order = next((column for column in _oldest_first if column in columns), columns[0])
        query = SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
            SQL(", ").join(_exported_as.get((table, column), Identifier(column)) for column in columns),
            Identifier(table),
            _reach_of(table),
            Identifier(order),
        )
        async with self._connection.cursor(name="personal_rows", row_factory=tuple_row) as cursor:
            await cursor.execute(query, _parameters(person))
            while rows := await cursor.fetchmany(read_at_once):
                yield rows


def _reach_of(table: str) -> Composable:
    return _reach.get(table, SQL("customer_id = %(customer_id)s"))


def _parameters(person: Person) -> Mapping[str, object]:
    return {
        "customer_id": person.customer_id,
        "logins": list(person.logins),
        "addresses": list(person.addresses),
        "subjects": person.subjects,
    }


def _update(table: str, values: Mapping[str, str | None]) -> Composed:
    """Set columns of the person's rows that are not so already: doing it again writes nothing."""
    new = {column: SQL("NULL") if value is None else Literal(value) for column, value in values.items()}
    return SQL("UPDATE {} SET {} WHERE {} AND ({})").format(
        Identifier(table),
        SQL(", ").join(SQL("{} = {}").format(Identifier(column), value) for column, value in new.items()),
        _reach_of(table),
        SQL(" OR ").join(
            SQL("{} IS DISTINCT FROM {}").format(Identifier(column), value) for column, value in new.items()
        ),
    )
