"""The outbox: what happened is written in the transaction in which it happened, for programs that follow it.

Each kind of event is a frozen dataclass in the `events.py` of its domain. Its fields are the facts: ids, numbers,
instants and words of fixed lists, never text that a person gave and nothing that identifies one.

    @dataclass(frozen=True, kw_only=True)
    class PointsEarned(Event, kind="points.earned"):
        \"\"\"A customer earned points.\"\"\"

        transaction_id: UUID
        points: int

docs/reference/events.md lists all of them, and says how to read the table without missing a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.kit.database import Connection
from regulars.kit.logs import current_trace_id

Fact: TypeAlias = str | int | float | bool | list[str] | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        kind: What: a noun and a past participle, `points.earned`.
        customer_id: To which customer; None where it is about none, or about all.
    """

    kind: ClassVar[str]
    customer_id: UUID | None

    def __init_subclass__(cls, *, kind: str, **options: Any) -> None:  # noqa: ANN401 - what the base class takes
        """Name the kind of a class of events."""
        super().__init_subclass__(**options)
        cls.kind = kind

    def facts(self) -> Mapping[str, Fact]:
        """The fields but `customer_id`, as JSON has them; ids, money and times as text."""
        named = (field.name for field in fields(self) if field.name != "customer_id")
        return {name: _as_fact(getattr(self, name)) for name in named}


async def record_events(connection: Connection, at: datetime, *events: Event) -> None:
    """Add events to the outbox, in the transaction that made them happen, in the order given.

    Args:
        connection: The transaction.
        at: When it happened.
        events: Of one or several kinds; none is allowed, and does nothing.
    """
    if events:
        await connection.execute(
            """
            INSERT INTO events (occurred_at, kind, customer_id, facts, trace_id)
            SELECT %s, kind, customer_id, facts, %s
              FROM unnest(%s::text[], %s::uuid[], %s::jsonb[]) WITH ORDINALITY AS e (kind, customer_id, facts, n)
             ORDER BY n
            """,
            [
                at,
                current_trace_id.get(),
                [event.kind for event in events],
                [event.customer_id for event in events],
                [Jsonb(event.facts()) for event in events],
            ],
        )


async def purge_events(connection: Connection, before: datetime, *, at_most: int) -> int:
    """Delete the oldest events, as far as they happened before an instant; says how many."""
    cursor = await connection.execute(
        """
        DELETE FROM events
         WHERE position IN (
             SELECT position
               FROM (SELECT position, occurred_at FROM events ORDER BY position LIMIT %(at_most)s) AS oldest
              WHERE occurred_at < %(before)s)
        """,
        {"before": before, "at_most": at_most},
    )
    return cursor.rowcount


def _as_fact(value: object) -> Fact:
    match value:
        case bool() | int() | float() | str() | None:  # a member of a StrEnum is its text
            return value
        case UUID() | Decimal():
            return str(value)
        case datetime() | date():
            return value.isoformat()
        case list() | tuple():
            return [str(item) for item in value]
    message = f"an event cannot tell a {type(value).__name__}"
    raise TypeError(message)
