"""The register of columns is complete, and everything that handles personal data keeps to it."""

import io
import json
import logging
import pkgutil
from dataclasses import fields, replace
from importlib import import_module
from typing import Any, get_type_hints

import pytest

import regulars
from regulars.flows.export_customer import sections
from regulars.kit.database import Connection
from regulars.kit.events import Event
from regulars.kit.logs import JsonLines
from regulars.privacy.columns import ColumnRule, by_table, column_rules, deletes_rows, whole_table
from regulars.privacy.repository_tables import is_reached

rules = column_rules()
tables = by_table(rules)
register = "src/regulars/privacy/columns.csv"


async def columns_of(connection: Connection) -> set[tuple[str, str]]:
    cursor = await connection.execute(
        "SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0"
        " AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
    )
    return {(table, column) for table, column in await cursor.fetchall()}


async def test_every_column_of_every_table_has_a_line(connection: Connection) -> None:
    found = await columns_of(connection)
    listed = {(rule.table, rule.column) for rule in rules}
    whole = {table for table, column in listed if column == whole_table}
    missing = sorted((table, column) for table, column in found - listed if table not in whole)
    lines = "\n".join(f"{table},{column},CLASS,EXPORT,ERASURE,BECAUSE" for table, column in missing)
    assert not missing, f"add to {register} (its words: src/regulars/privacy/columns.py):\n{lines}"


async def test_every_line_is_about_a_column(connection: Connection) -> None:
    found = await columns_of(connection)
    known = {table for table, _ in found}
    gone = [
        rule
        for rule in rules
        if (rule.table, rule.column) not in found and not (rule.column == whole_table and rule.table in known)
    ]
    assert not gone, f"no such columns any more, remove from {register}: {[(r.table, r.column) for r in gone]}"
    assert len({(rule.table, rule.column) for rule in rules}) == len(rules)


def test_every_line_can_be_followed() -> None:
    faults = {f"{rule.table}.{rule.column}": rule.faults() for rule in rules if rule.faults()}
    assert not faults, f"correct {register}: {faults}"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"column_class": "nothing"}, "class"),
        ({"erasure": "forget"}, "erasure"),
        ({"column_class": "secret", "exported": True}, "never exported"),
        ({"exported": False}, "not exported: because?"),
        ({"erasure": "keep"}, "kept: because?"),
        ({"column": "*"}, "about nobody"),
    ],
)
def test_a_line_that_cannot_be_followed_says_why(changes: dict[str, Any], fault: str) -> None:
    good = ColumnRule("customers", "first_name", "contact", True, "set null", "")
    assert good.faults() == []
    assert fault in str(replace(good, **changes).faults())


def test_a_table_loses_its_rows_or_keeps_them() -> None:
    mixed = {
        table: [rule.column for rule in of_table if rule.erasure != "delete"]
        for table, of_table in tables.items()
        if deletes_rows(of_table) and any(rule.erasure != "delete" for rule in of_table)
    }
    assert not mixed, f"these columns go with their rows, say delete in {register}: {mixed}"


def test_whose_rows_they_are_is_known_of_every_table_that_is_exported_or_erased() -> None:
    unreachable = [
        table
        for table, of_table in tables.items()
        if any(rule.exported or rule.erasure != "keep" for rule in of_table) and not is_reached(of_table)
    ]
    assert not unreachable, f"tell repository_tables.py how a person's rows are found in {unreachable}"


def test_an_export_has_every_column_that_is_the_persons_to_know() -> None:
    told = {(table, rule.column) for table, of_table in sections().items() for rule in of_table if rule.exported}
    hidden = {
        (rule.table, rule.column)
        for rule in rules
        if rule.is_personal and rule.column_class != "secret" and not rule.because
    }
    assert hidden <= told
    assert next(iter(sections())) == "customers"


def test_no_personal_column_gets_into_a_log_line() -> None:
    """Logs carry fields by an allow-list; whatever is handed to them under the name of a column stays out."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    record = logging.LogRecord("regulars.request", logging.INFO, __file__, 1, "request", None, None)
    of_records = set(vars(record))
    telling = {rule.column for rule in rules if rule.column_class in {"identifier", "contact", "secret", "inferred"}}
    for name in telling - of_records:
        setattr(record, name, "canary")
    handler.emit(record)
    assert "canary" not in stream.getvalue(), json.loads(stream.getvalue())


def event_classes(kind: type[Event] = Event) -> list[type[Event]]:
    found = []
    for subclass in kind.__subclasses__():
        if subclass.__module__.startswith("regulars."):
            found += [subclass, *event_classes(subclass)]
    return found


def test_no_event_can_carry_text_that_a_person_gave() -> None:
    """So that an erasure has nothing to remove from the outbox. `list[str]` is for names of fields."""
    for module in pkgutil.walk_packages(regulars.__path__, "regulars."):
        if module.name.endswith(".events"):
            import_module(module.name)
    free = [
        f"{event.__name__}.{field.name}"
        for event in event_classes()
        for field in fields(event)
        if get_type_hints(event)[field.name] in {str, str | None, dict, object, Any}
        or (get_type_hints(event)[field.name] == list[str] and field.name != "fields")
    ]
    assert event_classes()
    # Words that the domain compares with a fixed list of its own before it tells them.
    free = [name for name in free if name != "PreferenceChanged.well_known_key" and not name.endswith(".currency")]
    assert not free, f"facts must be ids, numbers, instants and words of fixed lists: {free}"
