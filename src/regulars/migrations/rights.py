"""What the runtime role may do with each table: read from `distribution.csv`, compared with the database, put right.

A migration needs no grants of its own. What its tables may be used for stands in the file, and is brought about after
each run of the migrations; a table that the file does not know keeps the rights it was born with.
"""

import csv
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Composable, Identifier

from regulars.kit.database import runtime_role
from regulars.kit.errors import OperatorError


@dataclass(frozen=True)
class TableRule:
    """A line of `distribution.csv`.

    Attributes:
        table: Its name.
        distribution: `customer`, `value`, `reference` or `local`: where its rows live on several nodes.
        column: Which column says where a row lives; empty for the last two.
        triggers: Names of the triggers it may have; a name may end in `*`.
        rights: What the runtime role may do, such as `SELECT` or `UPDATE (remaining)`.
    """

    table: str
    distribution: str
    column: str
    triggers: frozenset[str]
    rights: frozenset[str]


def table_rules() -> dict[str, TableRule]:
    """Every table of ours, by name."""
    lines = (files("regulars.migrations") / "distribution.csv").read_text(encoding="utf-8").splitlines()
    return {
        row["table"]: TableRule(
            row["table"],
            row["distribution"],
            row["column"],
            frozenset(row["triggers"].split()),
            frozenset(right.strip() for right in row["runtime_rights"].split(";") if right.strip()),
        )
        for row in csv.DictReader(lines)
    }


def table_rights(connection: Connection, role: str = runtime_role) -> dict[str, frozenset[str]]:
    """What a role may do with each table of the schema, in the words of `distribution.csv`."""
    found: dict[str, set[str]] = {}
    for table, right in connection.execute(_rights_query, {"role": role}):
        found.setdefault(table, set()).update([right] if right else [])
    return {table: frozenset(rights) for table, rights in found.items()}


def apply_rights(connection: Connection, role: str = runtime_role) -> None:
    """Make the runtime role if it is missing, and give it exactly the rights of `distribution.csv`.

    Where nothing differs, nothing is written.

    Raises:
        OperatorError: the role is missing or not ours to use, or the tables belong to somebody else; says what to do.
    """
    with connection.transaction():
        _make_role(connection, role)
    require_runtime_role(connection, role)
    if not _outdated(connection, role):
        return
    with suppress(InsufficientPrivilege), connection.transaction():
        _grant_what_all_tables_need(connection, role)
        _grant_tables(connection, role)
    # Who may do a little with a table, and does not own it, gets a mere warning from the server.
    if outdated := _outdated(connection, role):
        raise OperatorError(
            f"The rights of the role {role} on {outdated[0]} are outdated, and are not this user's to change.",
            "Run `regulars migrate` as the user who owns the tables.",
        )


def require_runtime_role(connection: Connection, role: str = runtime_role) -> None:
    """Refuse a user who may not become the runtime role.

    Raises:
        OperatorError: the role is missing, or not granted to this user; says what to do.
    """
    user, exists, may_become = _row(
        connection,
        """
        SELECT session_user::text, count(r.oid) > 0,
            coalesce(bool_or(pg_has_role(session_user, r.oid, 'SET')), false)
        FROM (VALUES (1)) AS one LEFT JOIN pg_roles AS r ON r.rolname = %s
        """,
        role,
    )
    grant = SQL("GRANT {} TO {}").format(Identifier(role), Identifier(user)).as_string(connection)
    if not exists:
        raise OperatorError(
            f"The role {role} is missing, and {user} may not make it.",
            f"Let an administrator of the server run `CREATE ROLE {role} NOLOGIN; {grant};`,"
            " then run `regulars migrate`.",
        )
    if not may_become:
        raise OperatorError(
            f"The database user {user} may not work as {role}.",
            f"Let an administrator of the server run `{grant};`, then try again.",
        )


def _make_role(connection: Connection, role: str) -> None:
    exists, may_make = _row(
        connection,
        """
        SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s),
            (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
        """,
        role,
    )
    if not exists and may_make:
        connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(role)))
        connection.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(role)))


def _outdated(connection: Connection, role: str) -> list[str]:
    """What the role may do too much with, or too little; empty when all is well."""
    rules, found = table_rules(), table_rights(connection, role)
    (needs_met,) = _row(connection, _needs_query, role)
    tables = [table for table, rights in found.items() if table in rules and rights != rules[table].rights]
    return tables if needs_met else ["the schema", *tables]


def _grant_what_all_tables_need(connection: Connection, role: str) -> None:
    """The schema, temporary tables (import and scoring work in them), and the sequences."""
    facts = {"role": Identifier(role), "database": Identifier(connection.info.dbname)}
    connection.execute(SQL("GRANT USAGE ON SCHEMA public TO {role}").format(**facts))
    connection.execute(SQL("GRANT TEMPORARY ON DATABASE {database} TO {role}").format(**facts))
    connection.execute(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}").format(**facts))


def _grant_tables(connection: Connection, role: str) -> None:
    found = table_rights(connection, role)
    for rule in table_rules().values():
        if found.get(rule.table, rule.rights) == rule.rights:
            continue
        facts: dict[str, Composable] = {"role": Identifier(role), "table": Identifier(rule.table)}
        connection.execute(SQL("REVOKE ALL ON {table} FROM {role}").format(**facts))
        for right in sorted(rule.rights):
            # Words of our own file, which takes no other.
            connection.execute(SQL("GRANT {right} ON {table} TO {role}").format(right=SQL(right), **facts))


def _row(connection: Connection, query: LiteralString, role: str) -> tuple[Any, ...]:
    row = connection.execute(query, [role]).fetchone()
    return row or ()


_needs_query = """
    SELECT has_schema_privilege(r.oid, 'public', 'USAGE')
        AND has_database_privilege(r.oid, current_database(), 'TEMPORARY')
        AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace
            AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(r.oid, c.oid, 'USAGE') ELSE false END)
    FROM pg_roles AS r WHERE r.rolname = %s
"""

_rights_query = """
    SELECT c.relname, upper(a.privilege_type)
    FROM pg_class AS c
    LEFT JOIN LATERAL aclexplode(c.relacl) AS a ON a.grantee = to_regrole(%(role)s)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT c.relname, upper(a.privilege_type) || ' (' || t.attname || ')'
    FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid
    CROSS JOIN LATERAL aclexplode(t.attacl) AS a
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.grantee = to_regrole(%(role)s)
"""
