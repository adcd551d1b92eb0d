"""What the outbox keeps, and that its page tells of every kind."""

import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

import regulars
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import Event, purge_events, record_events
from tests.conftest import RolledBackDatabase

page = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class ThingHappened(Event, kind="thing.happened"):
    """A thing happened in a test."""

    number: int
    colour: Colour
    money: Decimal
    at: datetime
    other: UUID | None


def event(customer_id: UUID | None = None, number: int = 1) -> ThingHappened:
    return ThingHappened(
        customer_id=customer_id,
        number=number,
        colour=Colour.RED,
        money=Decimal("1.50"),
        at=datetime(2026, 1, 2, tzinfo=UTC),
        other=None,
    )


async def rows(connection: Connection, columns: str) -> list[tuple[object, ...]]:
    return await (await connection.execute(f"SELECT {columns} FROM events ORDER BY position")).fetchall()  # type: ignore[arg-type]


async def test_an_event_is_kept_with_its_facts(connection: Connection, clock: Clock) -> None:
    customer_id = uuid4()
    await record_events(connection, clock.now(), event(customer_id))
    facts = {"number": 1, "colour": "red", "money": "1.50", "at": "2026-01-02T00:00:00+00:00", "other": None}
    assert await rows(connection, "occurred_at, kind, customer_id, facts") == [
        (clock.now(), "thing.happened", customer_id, facts)
    ]


async def test_events_are_kept_in_the_order_given(connection: Connection, clock: Clock) -> None:
    await record_events(connection, clock.now(), *(event(number=n) for n in range(20)))
    assert [n for (n,) in await rows(connection, "(facts ->> 'number')::int")] == list(range(20))


async def test_what_is_rolled_back_did_not_happen(
    connection: Connection, database: RolledBackDatabase, clock: Clock
) -> None:
    async def fail() -> None:
        async with database.transaction() as inner:
            await record_events(inner, clock.now(), event())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await rows(connection, "kind") == []


async def test_a_fact_that_is_no_plain_value_is_refused(connection: Connection, clock: Clock) -> None:
    wrong = ThingHappened(
        customer_id=None, number=object(), colour=Colour.RED, money=Decimal(1), at=clock.now(), other=None
    )  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object"):
        await record_events(connection, clock.now(), wrong)


async def test_old_events_are_deleted_oldest_first_and_not_too_many(connection: Connection, clock: Clock) -> None:
    now = clock.now()
    await record_events(connection, now - timedelta(days=2), *(event(number=n) for n in range(5)))
    await record_events(connection, now, event(number=5))
    assert [await purge_events(connection, now, at_most=3) for _ in range(3)] == [3, 2, 0]
    assert await rows(connection, "(facts ->> 'number')::int") == [(5,)]


def test_a_reader_that_follows_the_page_misses_no_event_of_a_late_writer(own_database_url: str) -> None:
    """Positions are given in the order of writing, seen in the order of commits."""
    _, _, statement = page.read_text().partition("```sql\n")
    statement, _, _ = statement.partition("```")
    add = "INSERT INTO events (occurred_at, kind) VALUES (now(), 'thing.happened') RETURNING position"

    def read(reader: psycopg.Connection[tuple[object, ...]], position: int) -> list[object]:
        return [row[0] for row in reader.execute(statement, {"position": position, "limit": 10})]

    with (
        psycopg.connect(own_database_url) as slow,
        psycopg.connect(own_database_url, autocommit=True) as fast,
        psycopg.connect(own_database_url, autocommit=True) as reader,
    ):
        [(first,)] = slow.execute(add).fetchall()
        [(second,)] = fast.execute(add).fetchall()
        assert read(reader, 0) == []
        slow.commit()
        until(lambda: read(reader, 0) == [first, second])
        assert read(reader, first) == [second]


def until(condition: Callable[[], bool]) -> None:
    """Wait for it: transactions of other databases on the server delay a reader too."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("waited 30 s in vain")


def every_event() -> Iterator[type[Event]]:
    for module in pkgutil.walk_packages(regulars.__path__, "regulars."):
        if module.name.endswith(".events"):
            import_module(module.name)
    yield from sorted((kind for kind in Event.__subclasses__() if kind is not ThingHappened), key=lambda e: e.kind)


def line_of(event: type[Event]) -> str:
    names = [field.name for field in fields(event) if field.name != "customer_id"]
    facts = ", ".join(f"`{name}`" for name in names) or "-"
    return f"| `{event.kind}` | {(event.__doc__ or '').splitlines()[0]} | {facts} |"


def test_the_page_tells_of_every_event() -> None:
    told = [line for line in page.read_text().splitlines() if re.match(r"\| `[a-z_]+\.", line)]
    assert told == [line_of(event) for event in every_event()]


def test_no_two_events_have_one_kind() -> None:
    kinds = [event.kind for event in every_event()]
    assert len(set(kinds)) == len(kinds)
