"""A customer with a mark of its own in every personal column, and the search for what is left of the marks.

Where the API writes a column, the mark goes in through the API; all other columns that the register calls personal get
theirs by SQL. A table that is new needs a row of the person: add it to `rows_by_sql`, or a request to
`live_through_api`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
from psycopg.errors import CheckViolation, InvalidTextRepresentation
from psycopg.sql import SQL, Composable, Identifier

from regulars.kit.database import Connection
from regulars.privacy.columns import ColumnRule, by_table, column_rules
from regulars.privacy.repository_tables import PersonalTables, _parameters, _reach_of, is_reached
from tests.factories.registrations import register_url

base = "/api/v1/retail-customers"
planted_types: Mapping[str, Composable] = {
    "text": SQL("{mark} || '-' || ctid::text"),
    "text[]": SQL("ARRAY[{mark}]"),
    "jsonb": SQL("coalesce({column}, '{{}}') || jsonb_build_object('mark', {mark})"),
    "bytea": SQL("convert_to({mark} || '-' || ctid::text, 'UTF8')"),
}
password = "a sentence that nobody says"


@dataclass
class Marks:
    """Words that occur nowhere else, and what each of them was written into.

    Attributes:
        others: Marks of another form: numbers, days.
    """

    token: str = field(default_factory=lambda: f"zz{uuid4().hex[:12]}")
    places: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def word(self, place: str) -> str:
        word = f"{self.token}x{len(self.places)}x"
        self.places[word] = place
        return word

    def patterns(self) -> list[str]:
        """Every form in which a mark could be found; bytes are written in hexadecimal."""
        return [self.token, self.token.encode().hex(), *self.others]

    def named(self, text: str) -> set[str]:
        """The places whose marks are in a text."""
        plain = text + "".join(
            bytes.fromhex(found).decode("latin-1") for found in re.findall(r"x((?:[0-9a-f]{2}){8,})", text)
        )
        found = {place for word, place in self.places.items() if word in plain.lower()}
        return found | {place for mark, place in self.others.items() if mark in plain}


@dataclass(frozen=True)
class Planted:
    """A customer, and in which columns the marks are."""

    customer_id: UUID
    customer_number: str
    marks: Marks
    columns: set[str] = field(default_factory=set)


async def live_through_api(admin: httpx.AsyncClient, till: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> Planted:
    """A person who registers, is written about, buys, collects, signs in and forgets the password."""
    marks = Marks()
    email = f"{marks.word('customers.email')}@example.com"
    words = {name: marks.word(f"customers.{name}") for name in ("first_name", "last_name", "city", "address_line1")}
    marks.others |= {"+4915199887766": "customers.phone", "1961-07-23": "customers.date_of_birth"}
    person = {**words, "email": email, "phone": "+4915199887766", "date_of_birth": "1961-07-23"}
    registered = await ok(anonymous.post(register_url, json={**person, "password": password}))
    customer_id, number = registered["id"], registered["customer_number"]
    marks.others[number] = "customers.customer_number"
    url = f"{base}/{customer_id}"
    await ok(admin.put(url, json={"notes": marks.word("customers.notes"), "tags": [marks.word("customers.tags")]}))
    for operation in ("deactivate", "reactivate"):
        await ok(admin.post(f"{url}/{operation}", json={"reason": marks.word("audit_log.facts")}))
    order = {
        "source": "till", "external_id": "A-1", "customer_id": customer_id, "ordered_at": "2026-06-14T10:00:00Z",
        "total": "20.00", "metadata": {"gift_for": marks.word("orders.metadata")},
    }  # fmt: skip
    await ok(till.post("/api/v1/orders", json=order, headers={"Idempotency-Key": marks.word("idempotency_keys.key")}))
    note = {
        "description": marks.word("loyalty_notes.description"),
        "metadata": {"x": marks.word("loyalty_notes.metadata")},
    }
    earned = {"customer_id": customer_id, "points": 70, **note}
    await ok(till.post(f"{base}/loyalty/earn", json=earned, headers={"Idempotency-Key": "earn"}))
    tier = {"customer_id": customer_id, "tier": "gold", "reason": marks.word("loyalty_tier_changes.reason")}
    await ok(admin.put(f"{base}/loyalty/tier", json=tier))
    signing_in = {"grant_type": "password", "username": email, "password": password}
    token = (await ok(anonymous.post("/api/v1/auth/token", data=signing_in)))["access_token"]
    own = {"Authorization": f"Bearer {token}"}
    await ok(anonymous.post(f"{url}/verify-email/send", headers=own))
    await ok(anonymous.post("/api/v1/auth/password/forgot", json={"email": email}))
    liking = {"preference_type": "SHOPPING", "preference_key": marks.word("customer_preferences.preference_key")}
    await ok(admin.post(f"{url}/preferences", json={**liking, "preference_value": {"x": "y"}}))
    await ok(admin.get(url))
    await ok(admin.post(f"{base}/search", json={"q": words["last_name"]}))
    # What is refused and what fails tells nothing either.
    await anonymous.post(register_url, json={**person, "password": password})
    await anonymous.post("/api/v1/auth/token", data={**signing_in, "password": "wrong"})
    await admin.put(url, json={"notes": 7, marks.word("a field that does not exist"): email})
    return Planted(UUID(customer_id), number, marks)


async def ok(request: Any) -> Any:
    answer = await request
    assert answer.is_success, answer.text
    return answer.json()


async def rows_by_sql(connection: Connection, planted: Planted) -> None:
    """Rows that no request makes."""
    who = {"id": planted.customer_id, "email": next(iter(planted.marks.places)) + "@example.com"}
    await connection.execute(
        "INSERT INTO registrations (password_hash, profile, created_at, expires_at)"
        " VALUES ('x', jsonb_build_object('email', %(email)s::text), now(), now())",
        who,
    )
    await connection.execute(
        "WITH job AS (INSERT INTO jobs (id, kind, creator_kind, customer_id, created_at)"
        "     VALUES (uuidv4(), 'export_customer_data', 'operator', %(id)s, now()) RETURNING id)"
        " INSERT INTO job_pieces (job_id, part, number, content) SELECT id, 'result', 1, 'x' FROM job",
        who,
    )
    await connection.execute("INSERT INTO shared_contacts VALUES ('email', %(email)s, now())", who)
    await connection.execute("INSERT INTO customer_scores (customer_id, segment) VALUES (%(id)s, 'champions')", who)
    await connection.execute(
        "INSERT INTO customer_engagement (customer_id, bounced_email, bounced_at) VALUES (%(id)s, 'x', now())", who
    )
    await connection.execute(
        "INSERT INTO engagement_events (customer_id, event_id, message_id, kind, occurred_at, recorded_at)"
        " VALUES (%(id)s, 'e', 'm', 'opened', now(), now())",
        who,
    )
    await connection.execute(
        "INSERT INTO suppressed_contacts (customer_id, channel, address, reason, suppressed_at)"
        " VALUES (%(id)s, 'email', 'x', 'withdrawn', now())",
        who,
    )
    await connection.execute(
        "INSERT INTO segment_history (customer_id, run_id, segment, changed_at)"
        " VALUES (%(id)s, uuidv4(), 'champions', now())",
        who,
    )


async def plant_the_rest(connection: Connection, planted: Planted) -> None:
    """Mark every personal column that erasure is to empty and that has no mark yet, in all rows of the person."""
    await connection.execute("SET ROLE NONE")  # nobody else may change what was done or allowed
    person = await PersonalTables(connection).find_person(planted.customer_id)
    parameters, types = _parameters(person), await types_of(connection)
    for table, rules in by_table(column_rules()).items():
        for rule in rules:
            form = planted_types.get(types.get((table, rule.column), ""))
            if form is None or not is_due(rule, rules):
                continue
            here = SQL("FROM {} WHERE {}").format(Identifier(table), _reach_of(table))
            cursor = await connection.execute(
                SQL("SELECT {}::text ").format(Identifier(rule.column)) + here, parameters
            )
            values = [str(value) for (value,) in await cursor.fetchall()]
            assert values, f"plant a row of the person in {table}: see tests/privacy/planting.py"
            if all(planted.marks.named(value) for value in values) or await plant(
                connection, planted, rule, form, parameters
            ):
                planted.columns.add(f"{table}.{rule.column}")


def is_due(rule: ColumnRule, rules: Sequence[ColumnRule]) -> bool:
    return rule.is_personal and rule.erasure != "keep" and is_reached(rules)


async def plant(
    connection: Connection, planted: Planted, rule: ColumnRule, form: Composable, parameters: Mapping[str, object]
) -> bool:
    """Mark a column, unless it takes words of a fixed list only: then it cannot tell who somebody is."""
    mark, column = planted.marks.word(f"{rule.table}.{rule.column}"), Identifier(rule.column)
    value = SQL(form.as_string()).format(mark=SQL("%(mark)s::text"), column=column)
    statement = SQL("UPDATE {} SET {} = {} WHERE {}").format(
        Identifier(rule.table), column, value, _reach_of(rule.table)
    )
    try:
        async with connection.transaction():
            await connection.execute(statement, {**parameters, "mark": mark})
    except (CheckViolation, InvalidTextRepresentation):
        planted.marks.places.pop(mark)
        return False
    return True


async def types_of(connection: Connection) -> dict[tuple[str, str], str]:
    cursor = await connection.execute(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0"
        " AND NOT a.attisdropped AND a.attgenerated = ''"
    )
    return {(table, column): type_ for table, column, type_ in await cursor.fetchall()}


async def places_left(connection: Connection, marks: Marks) -> dict[str, set[str]]:
    """Which marks are still found, by the table in which they are: every row of every table, as text."""
    cursor = await connection.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    left: dict[str, set[str]] = {}
    for (table,) in await cursor.fetchall():
        query = SQL("SELECT t::text FROM {} AS t WHERE t::text ~* %s").format(Identifier(table))
        pattern = "|".join(re.escape(pattern) for pattern in marks.patterns())
        found = await (await connection.execute(query, [pattern])).fetchall()
        if found:
            left[table] = set().union(*(marks.named(text) or {"?"} for (text,) in found))
    return left
