"""The schema can be distributed by customer, and stays so."""

import psycopg

from regulars.migrations.rights import TableRule, table_rules
from tests.migrations.catalog_lint import violations


def test_nothing_in_the_schema_keeps_it_from_being_distributed(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        found = violations(connection, table_rules().values())
    assert not found, (
        f"{found}: keys of a table `by customer` contain customer_id, references stay within the customer or lead to a"
        " reference table; each table has its line in src/regulars/migrations/distribution.csv"
    )


naive = """
    CREATE TYPE citext AS ENUM ('stands in for the extension');
    CREATE EXTENSION btree_gist;
    CREATE TABLE people (id uuid PRIMARY KEY, mail citext, referrer uuid REFERENCES people (id), code text UNIQUE);
    CREATE TABLE visits (
        number integer GENERATED ALWAYS AS IDENTITY, person_id uuid REFERENCES people (id) ON DELETE SET NULL,
        day date, PRIMARY KEY (number), EXCLUDE USING gist (day WITH =));
    CREATE TABLE notes (id bigint PRIMARY KEY, person_id uuid REFERENCES people (id));
    CREATE TABLE forgotten (id bigint PRIMARY KEY);
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER allowed AFTER INSERT ON people EXECUTE FUNCTION nothing();
    CREATE TRIGGER unheard_of AFTER INSERT ON people EXECUTE FUNCTION nothing();
    CREATE RULE quietly AS ON DELETE TO notes DO INSTEAD NOTHING;
"""


def test_a_naive_schema_breaks_every_rule(own_database_url: str) -> None:
    meant = [
        TableRule("people", "customer", "id", frozenset({"allow*"}), frozenset()),
        TableRule("visits", "customer", "person_id", frozenset(), frozenset()),
        TableRule("notes", "local", "", frozenset(), frozenset()),
    ]
    with psycopg.connect(own_database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(naive.encode())
        found = violations(connection, meant)
    assert found == [
        ("citext", "people", "mail"),
        ("exclusion", "visits", "visits_day_excl"),
        ("foreign key", "notes", "notes_person_id_fkey"),
        ("foreign key", "people", "people_referrer_fkey"),
        ("foreign key action", "visits", "visits_person_id_fkey"),
        ("identity", "visits", "number"),
        ("rule", "notes", "quietly"),
        ("trigger", "people", "unheard_of"),
        ("unclassified", "forgotten", "not in distribution.csv"),
        ("unique key", "people", "people_code_key"),
        ("unique key", "visits", "visits_pkey"),
    ]
