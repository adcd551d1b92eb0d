"""Who the rows of an import speak of: known customers, new ones, and combinations that contradict each other.

`persons` has one row for each different combination of identifiers in the file. A combination is settled from the
strongest identifier to the weakest: customer number, external id, e-mail address, phone number.

- An identifier that is claimed already belongs to its owner.
- An unclaimed one goes to the customer whom the combination's stronger identifiers name, else to the one who owns a
  weaker one, if that customer has none of its kind yet; the earlier line wins.
- If it is still nobody's and the strongest of its combination, it makes a new customer.
- A combination whose identifiers end up with different customers is rejected.
"""

from collections.abc import Collection
from typing import NamedTuple

from psycopg.sql import SQL, Composed, Identifier, Literal

from regulars.flows.importing.rows import contact_fields
from regulars.kit.database import Repository

_create_persons = SQL("""
    CREATE TEMP TABLE persons AS
    SELECT named.*, external.customer_id AS external_owner, mail.customer_id AS email_owner,
        telephone.customer_id AS phone_owner, number.customer_id AS customer_id,
        CASE WHEN customer_number IS NOT NULL AND number.customer_id IS NULL THEN 'customer-unknown' END AS code
    FROM (
        SELECT who, min(customer_number) AS customer_number, min(external_customer_id) AS external_customer_id,
            min(email) AS email, min(phone) AS phone, min(line) AS first_line, count(*) AS orders,
            min(ordered_at) AS first_ordered_at
        FROM checked WHERE code IS NULL GROUP BY who
    ) AS named
    LEFT JOIN customer_identifiers AS number ON number.kind = 'number' AND number.value = customer_number
    LEFT JOIN customer_identifiers AS external ON external.kind = {external} AND external.value = external_customer_id
    LEFT JOIN customer_identifiers AS mail ON mail.kind = 'email' AND mail.value = email
    LEFT JOIN customer_identifiers AS telephone ON telephone.kind = 'phone' AND telephone.value = phone
""")

_create_assigned = """
    CREATE TEMP TABLE assigned (
        kind text NOT NULL, value text NOT NULL, customer_id uuid NOT NULL, is_new boolean NOT NULL
    )
"""

_assign_to_known = SQL("""
    INSERT INTO assigned
    SELECT DISTINCT ON (customer_id) {kind}, value, customer_id, false FROM (
        SELECT DISTINCT ON (value) {value} AS value, coalesce(customer_id, {weaker}) AS customer_id, first_line
        FROM persons
        WHERE {value} IS NOT NULL AND {owner} IS NULL AND code IS NULL AND coalesce(customer_id, {weaker}) IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM customer_identifiers AS held
                WHERE held.customer_id = coalesce(persons.customer_id, {weaker}) AND held.kind = {kind}
            )
        ORDER BY value, first_line
    ) AS wanted
    ORDER BY customer_id, first_line
""")

# Ids grow with the lines, so that neighbours in the file become neighbours in every index.
_assign_to_new = SQL("""
    INSERT INTO assigned
    SELECT {kind}, value, uuidv7(), true FROM (
        SELECT {value} AS value FROM persons
        WHERE {value} IS NOT NULL AND {owner} IS NULL AND customer_id IS NULL AND code IS NULL
            AND NOT EXISTS (SELECT FROM assigned WHERE assigned.kind = {kind} AND assigned.value = {value})
        GROUP BY 1
        ORDER BY min(first_line)
    ) AS strongest
""")

_settle = SQL("""
    UPDATE persons SET
        customer_id = coalesce(persons.customer_id, persons.{owner}, assigned.customer_id),
        code = CASE WHEN persons.customer_id <> coalesce(persons.{owner}, assigned.customer_id) THEN {code} END
    FROM persons AS same LEFT JOIN assigned ON assigned.kind = {kind} AND assigned.value = same.{value}
    WHERE same.who = persons.who AND persons.code IS NULL
        AND persons.customer_id IS DISTINCT FROM coalesce(persons.{owner}, assigned.customer_id, persons.customer_id)
""")

_create_claims = """
    CREATE TEMP TABLE claims AS
    SELECT DISTINCT assigned.customer_id, assigned.kind, assigned.value, true AS identifies
    FROM assigned JOIN persons ON persons.code IS NULL AND persons.customer_id = assigned.customer_id
        AND assigned.value = CASE assigned.kind
            WHEN 'email' THEN persons.email WHEN 'phone' THEN persons.phone ELSE persons.external_customer_id END
"""

# Those that identify nobody are contacts of whoever has none.
_add_mere_contacts = """
    INSERT INTO claims
    SELECT DISTINCT ON (persons.customer_id, mere.kind) persons.customer_id, mere.kind, mere.value, false
    FROM mere_contacts AS mere JOIN checked USING (line) JOIN persons USING (who)
    WHERE persons.code IS NULL AND NOT EXISTS (
        SELECT FROM claims WHERE claims.customer_id = persons.customer_id AND claims.kind = mere.kind
    )
    ORDER BY persons.customer_id, mere.kind, mere.line
"""

_create_people = SQL("""
    CREATE TEMP TABLE people AS
    SELECT customer_id, first_ordered_at, is_new, NULL::text AS customer_number,
        (sum(orders) OVER (ORDER BY customer_id) - orders)::bigint / {batch_size} AS batch
    FROM (
        SELECT customer_id, min(first_ordered_at) AS first_ordered_at, sum(orders) AS orders,
            customer_id IN (SELECT customer_id FROM assigned WHERE is_new) AS is_new
        FROM persons WHERE code IS NULL GROUP BY customer_id
    ) AS counted
""")


class _Kind(NamedTuple):
    """A kind of identifier.

    Attributes:
        field: Its name in files.
        column: Where `persons` has its value.
        owner: Where `persons` has the customer who owns it.
        weaker: Where `persons` has the owners of weaker kinds.
        code: The reason to reject a combination in which it belongs to another customer.
    """

    field: str
    column: str
    owner: str
    weaker: tuple[str, ...]
    code: str


# From strong to weak; customer numbers are stronger than all, and are never assigned, only looked up.
_kinds = (
    _Kind("customer_id", "external_customer_id", "external_owner", ("email_owner", "phone_owner"), "customer-conflict"),
    _Kind("email", "email", "email_owner", ("phone_owner",), "email-taken"),
    _Kind("phone", "phone", "phone_owner", (), "phone-taken"),
)


class PeopleRepository(Repository):
    """Decides whose orders the rows are; reads the registry, writes nothing but temporary tables."""

    async def settle(self, columns: Collection[str], source: str, *, batch_size: int) -> None:
        """Fill `persons`, `claims` and `people` from `checked`.

        Args:
            columns: The fields that the file has; kinds of identifiers it lacks take no time.
            source: The system under whose ids the file names its customers.
            batch_size: Orders of one batch, about; all orders of one customer are in one batch.
        """
        await self._execute("DROP TABLE IF EXISTS persons, assigned, claims, people")
        await self._execute(_create_persons.format(external=Literal(f"ext:{source}")))
        await self._execute("ANALYZE persons")
        await self._execute(_create_assigned)
        for kind in _kinds:
            if kind.field in columns:
                await self._settle_kind(kind, f"ext:{source}" if kind.field == "customer_id" else kind.field)
        await self._execute(_create_claims)
        if not contact_fields.isdisjoint(columns):
            await self._execute(_add_mere_contacts)
        await self._execute(_create_people.format(batch_size=Literal(batch_size)))
        await self._execute("ANALYZE people")

    async def _settle_kind(self, kind: _Kind, name: str) -> None:
        for statement in (_assign_to_known, _assign_to_new, _settle):
            await self._execute(_for_kind(statement, kind, name))
            await self._execute("ANALYZE assigned")


def _for_kind(statement: SQL, kind: _Kind, name: str) -> Composed:
    weaker = SQL(", ").join([*map(Identifier, kind.weaker), SQL("NULL")])
    return statement.format(
        kind=Literal(name),
        value=Identifier(kind.column),
        owner=Identifier(kind.owner),
        weaker=weaker,
        code=Literal(kind.code),
    )
