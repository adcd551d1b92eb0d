"""What in a schema could not be distributed by customer: one row for each violation, from the catalogue alone."""

from collections.abc import Iterable
from fnmatch import fnmatch

from psycopg import Connection

from regulars.migrations.rights import TableRule

Violation = tuple[str, str, str]
"""The rule, the table, and what breaks it."""


def violations(connection: Connection, rules: Iterable[TableRule]) -> list[Violation]:
    """Everything in the schema `public` that does not fit how its tables are meant to be distributed."""
    known = list(rules)
    found = connection.execute(
        _query,
        {
            "tables": [rule.table for rule in known],
            "kinds": [rule.distribution for rule in known],
            "columns": [rule.column for rule in known],
        },
    ).fetchall()
    allowed = {rule.table: rule.triggers for rule in known}
    return sorted(
        (rule, table, what)
        for rule, table, what in found
        if rule != "trigger" or not any(fnmatch(what, pattern) for pattern in allowed.get(table, ()))
    )


_query = """
WITH meant AS (
    SELECT c.oid, t.name, t.kind, t.by, a.attnum
    FROM unnest(%(tables)s::text[], %(kinds)s::text[], %(columns)s::text[]) AS t (name, kind, by)
    JOIN pg_class AS c ON c.relname = t.name AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = t.by AND NOT a.attisdropped
), there AS (
    SELECT c.oid, c.relname::text AS name FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
)
SELECT 'unclassified', t.name, 'not in distribution.csv' FROM there AS t LEFT JOIN meant AS m USING (oid)
WHERE m.oid IS NULL OR m.kind NOT IN ('customer', 'value', 'reference', 'local')
    OR (m.kind IN ('customer', 'value')) <> (m.attnum IS NOT NULL)
UNION ALL
SELECT 'unique key', m.name, x.indexrelid::regclass::text FROM meant AS m JOIN pg_index AS x ON x.indrelid = m.oid
WHERE x.indisunique AND m.kind IN ('customer', 'value') AND NOT m.attnum = ANY (x.indkey::smallint[])
UNION ALL
SELECT 'foreign key', m.name, k.conname FROM meant AS m
JOIN pg_constraint AS k ON k.conrelid = m.oid AND k.contype = 'f'
LEFT JOIN meant AS r ON r.oid = k.confrelid
WHERE CASE
    WHEN r.oid IS NULL THEN true
    WHEN r.kind = 'reference' THEN false
    WHEN m.kind = 'local' THEN r.kind <> 'local'
    ELSE m.kind <> 'customer' OR r.kind <> 'customer'
        OR array_position(k.conkey, m.attnum) IS DISTINCT FROM array_position(k.confkey, r.attnum)
        OR array_position(k.conkey, m.attnum) IS NULL
END
UNION ALL
SELECT 'foreign key action', m.name, k.conname FROM meant AS m JOIN pg_constraint AS k ON k.conrelid = m.oid
WHERE k.contype = 'f' AND m.kind IN ('customer', 'value')
    AND (k.confdeltype IN ('n', 'd') OR k.confupdtype IN ('n', 'd'))
UNION ALL
SELECT 'trigger', t.name, g.tgname FROM there AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'rule', t.name, w.rulename FROM there AS t JOIN pg_rewrite AS w ON w.ev_class = t.oid
UNION ALL
SELECT 'exclusion', t.name, k.conname FROM there AS t JOIN pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'x'
UNION ALL
SELECT 'citext', t.name, a.attname FROM there AS t
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS y ON y.oid = a.atttypid WHERE y.typname = 'citext'
UNION ALL
SELECT 'identity', t.name, a.attname FROM there AS t
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attidentity <> '' AND a.atttypid <> 'bigint'::regtype
"""
