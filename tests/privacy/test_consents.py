"""Consents in the database: only ever added to, and the flags of a customer are what the last ones say."""

import os
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege

from regulars.flows.erase_customer import Erasures, Request
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.consents_rules import Outcome
from regulars.privacy.erased_people import ErasedPeople
from regulars.privacy.models import Erasure
from regulars.privacy.models_consents import ConsentAction, ConsentChannel, ConsentStatement, When, flags
from regulars.privacy.repository_consents import ConsentRepository
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns

least = timedelta(microseconds=1)
granted, withdrawn = ConsentAction.GRANTED, ConsentAction.WITHDRAWN
email, sms, push = ConsentChannel
random_events = int(os.environ.get("REGULARS_CONSENT_EVENTS", "600"))
everything_said = "SELECT channel, action, source FROM consent_events ORDER BY seq"


def statement(
    customer_id: UUID,
    channel: ConsentChannel = email,
    action: ConsentAction = granted,
    when: When = "now",
    source: str = "till",
) -> ConsentStatement:
    return ConsentStatement(customer_id=customer_id, channel=channel, action=action, when=when, source=source)


async def record(connection: Connection, clock: Clock, *statements: ConsentStatement) -> list[Outcome]:
    erased = ErasedPeople(connection, Settings(_env_file=None, jwt_secret="x" * 32))
    return await ConsentJournal(connection, clock).record(statements, by=None, erased=erased)


async def flags_of(connection: Connection, *customer_ids: UUID) -> list[tuple[bool, ...]]:
    columns = ", ".join(flags.values())
    cursor = await connection.execute(
        f"SELECT {columns} FROM customers WHERE id = ANY(%s) ORDER BY id",
        [list(customer_ids)],  # type: ignore[arg-type]
    )
    return await cursor.fetchall()


async def rows(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, parameters)).fetchall()  # type: ignore[arg-type]


class Model:
    """What must be true, by a list and a sort."""

    def __init__(self) -> None:
        self.events: list[tuple[UUID, ConsentChannel, datetime, ConsentAction, str]] = []

    def said(
        self, customer_id: UUID, channel: ConsentChannel, source: str | None = None
    ) -> list[tuple[datetime, ConsentAction]]:
        about = [
            (at, action)
            for who, by_way, at, action, where in self.events
            if (who, by_way) == (customer_id, channel) and source in {None, where}
        ]
        return sorted(about, key=lambda event: event[0])  # of one time, in the order of writing

    def allows(self, customer_id: UUID) -> tuple[bool, ...]:
        said = [self.said(customer_id, channel) for channel in ConsentChannel]
        return tuple(bool(events) and events[-1][1] == granted for events in said)

    def take(self, each: ConsentStatement, now: datetime) -> Outcome:
        said = self.said(each.customer_id, each.channel)
        last_at, last = said[-1] if said else (now, None)
        if isinstance(each.when, datetime):
            if (each.when, each.action) in said:
                return Outcome.UNCHANGED
            if (each.when, withdrawn) == (last_at, last):
                return Outcome.OVERRULED
            return self.write(each, each.when)
        own = self.said(each.customer_id, each.channel, each.source) if each.when == "unknown" else []
        if own and own[-1][1] == each.action:
            return Outcome.UNCHANGED
        if each.when == "unknown" and last == withdrawn:
            return self.write(each, last_at - least) if each.action == withdrawn else Outcome.OVERRULED
        return Outcome.UNCHANGED if last == each.action else self.write(each, max(now, last_at))

    def write(self, each: ConsentStatement, at: datetime) -> Outcome:
        self.events.append((each.customer_id, each.channel, at, each.action, each.source))
        return Outcome.RECORDED


async def test_flags_are_always_what_the_last_events_say(connection: Connection, clock: Clock) -> None:
    """Random statements, alone and many together, told in any order of time: 10,000 with REGULARS_CONSENT_EVENTS."""
    chance, model = random.Random(20260615), Model()  # noqa: S311 - the same statements in every run
    people = sorted([(await make_customer(connection, clock)).id for _ in range(4)])
    times = [clock.now() - timedelta(hours=hours) for hours in range(12)]

    def anything() -> ConsentStatement:
        when: When = chance.choice(["now", "unknown", *times])
        return statement(
            chance.choice(people), chance.choice(list(ConsentChannel)), chance.choice(list(ConsentAction)), when,
            chance.choice(["till", "newsletter"]),
        )  # fmt: skip

    while len(model.events) < random_events:
        together = [anything() for _ in range(chance.choice([1, 1, 1, 5, 20]))]
        now = Clock(clock.store_timezone, clock.now() + timedelta(minutes=len(model.events)))
        times.append(now.now())
        expected = [model.take(each, now.now()) for each in together]
        assert await record(connection, now, *together) == expected
        assert await flags_of(connection, *people) == [model.allows(person) for person in people]
    assert await rows(connection, "SELECT count(*) FROM consent_events") == [(len(model.events),)]
    gaps = (
        "SELECT count(*) FROM (SELECT max(seq) <> count(*) AS gap FROM consent_events GROUP BY customer_id) WHERE gap"
    )
    assert await rows(connection, gaps) == [(0,)]


async def test_nothing_is_allowed_that_nobody_granted(connection: Connection, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    assert await flags_of(connection, customer.id) == [(False, False, False)]
    await record(connection, clock, statement(customer.id, sms))
    assert await flags_of(connection, customer.id) == [(False, True, False)]


async def test_a_flag_that_changes_is_a_new_version_and_one_that_stays_is_not(
    connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    versions = []
    for action in (withdrawn, granted, granted, withdrawn):
        await record(connection, clock, statement(customer.id, email, action))
        versions += await rows(connection, "SELECT version FROM customers WHERE id = %s", customer.id)
    assert versions == [(1,), (2,), (2,), (3,)]


async def test_only_what_holds_now_is_told(connection: Connection, clock: Clock) -> None:
    customer, yesterday = await make_customer(connection, clock), clock.now() - timedelta(days=1)
    await record(connection, clock, statement(customer.id))
    await record(connection, clock, statement(customer.id, email, withdrawn, yesterday), statement(customer.id))
    await record(connection, clock, statement(customer.id, push, withdrawn))
    assert await rows(
        connection, "SELECT customer_id, facts FROM events WHERE kind = 'consent.changed' ORDER BY position"
    ) == [
        (customer.id, {"purpose": "marketing", "channel": "email", "action": "granted"}),
        (customer.id, {"purpose": "marketing", "channel": "push", "action": "withdrawn"}),
    ]


async def test_events_follow_the_flags_of_a_form(connection: Connection, clock: Clock) -> None:
    journal = ConsentJournal(connection, clock)
    ann = await make_customer(connection, clock, email_marketing_consent=True, push_notification_consent=True)
    bob = await make_customer(connection, clock)
    await journal.follow_flags([ann.id, bob.id], source="registration", by=None)
    await journal.follow_flags([ann.id, bob.id], source="registration", by=None)
    await set_columns(connection, ann, email_marketing_consent=False, sms_marketing_consent=True)
    await journal.follow_flags([ann.id, bob.id], source="staff", by=None)
    assert await rows(
        connection, "SELECT customer_id, seq, channel, action, source FROM consent_events ORDER BY customer_id, seq"
    ) == [
        (ann.id, 1, "email", "granted", "registration"),
        (ann.id, 2, "push", "granted", "registration"),
        (ann.id, 3, "email", "withdrawn", "staff"),
        (ann.id, 4, "sms", "granted", "staff"),
    ]
    assert await flags_of(connection, ann.id) == [(False, True, True)]


@pytest.mark.parametrize("change", ["UPDATE consent_events SET action = 'granted'", "DELETE FROM consent_events"])
async def test_the_program_can_neither_change_nor_delete_what_was_said(
    connection: Connection, clock: Clock, change: str
) -> None:
    customer = await make_customer(connection, clock)
    await connection.execute("SET LOCAL ROLE regulars_app")
    assert await record(connection, clock, statement(customer.id)) == [Outcome.RECORDED]
    with pytest.raises(InsufficientPrivilege):
        await connection.execute(change)  # type: ignore[arg-type]


async def test_an_erasure_withdraws_what_was_granted_once_however_often_it_is_gone_through(
    connection: Connection, erasures: Erasures, database: RolledBackDatabase, settings: Settings, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await record(
        connection, clock, statement(customer.id), statement(customer.id, sms), statement(customer.id, sms, withdrawn)
    )
    await erasures.erase(customer.id, Request("request", operator))
    expected = [
        ("email", "granted", "till"),
        ("sms", "granted", "till"),
        ("sms", "withdrawn", "till"),
        ("email", "withdrawn", "erasure"),
    ]
    assert await rows(connection, everything_said) == expected
    assert await flags_of(connection, customer.id) == [(False, False, False)]
    two_hours_later = Clock(clock.store_timezone, clock.now() + timedelta(hours=2))
    assert await Erasures(database, settings, two_hours_later).finish_open() == 1
    assert await rows(connection, everything_said) == expected


async def test_what_a_restored_backup_allows_again_is_withdrawn_again_once(
    connection: Connection, erasures: Erasures, clock: Clock
) -> None:
    """Also where the grant is later than the erasure that is done again."""
    customer = await make_customer(connection, clock)
    await record(connection, clock, statement(customer.id))
    entry = Erasure(customer.id, clock.now() - timedelta(days=3), "request", None, b"proof", None, None)
    assert [await erasures.replay([entry]) for _ in range(2)] == [1, 0]
    assert await rows(connection, everything_said) == [("email", "granted", "till"), ("email", "withdrawn", "erasure")]
    assert await ConsentRepository(connection).find_flags_without_events([customer.id]) == []


async def test_history_is_read_newest_first_and_part_by_part(connection: Connection, clock: Clock) -> None:
    customer, other = [await make_customer(connection, clock) for _ in range(2)]
    told: Sequence[When] = [clock.now() - timedelta(days=days) for days in (1, 3, 2)]
    await record(connection, clock, *(statement(customer.id, email, granted, when) for when in told))
    await record(connection, clock, statement(customer.id, sms), statement(customer.id, push), statement(other.id))
    consents = ConsentRepository(connection)
    everything = await consents.get_history(customer.id, before=None, limit=10)
    assert [event.seq for event in everything] == [5, 4, 1, 3, 2]
    position, parts = None, []
    while part := await consents.get_history(customer.id, before=position, limit=2):
        parts += part
        position = (part[-1].occurred_at, part[-1].seq)
    assert parts == everything
