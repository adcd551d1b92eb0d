"""What reports about mails come to: the same in whatever order they come, and never more opened than delivered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.customers.engagement import EngagementEvent, EngagementKind, EngagementTally, added, stage_of
from regulars.customers.identifiers import Email
from regulars.customers.service_engagement import EngagementService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.validation import Validation
from tests.factories.customers import make_customer

noon = datetime(2026, 6, 15, 12, tzinfo=UTC)
present, former = Email("now@example.com"), Email("then@example.com")
ann = UUID(int=1)


def event(
    kind: str, message: str = "m", minute: int = 0, email: Email | None = None, bounce: str = "hard"
) -> EngagementEvent:
    return EngagementEvent(
        customer_id=ann,
        event_id="e",
        message_id=message,
        kind=EngagementKind(kind),
        occurred_at=noon + timedelta(minutes=minute),
        email=email,
        bounce=bounce if kind == "bounced" else None,  # type: ignore[arg-type]
    )


def tally_of(*events: EngagementEvent) -> EngagementTally:
    tally, stages = EngagementTally(ann), dict[str, int]()
    for each in events:
        before = stages.get(each.message_id, 0)
        tally = added(tally, each, stage_before=before, address=present)
        stages[each.message_id] = max(before, stage_of(each.kind))
    return tally


def counts(tally: EngagementTally) -> tuple[int, int, int, int]:
    return tally.sent, tally.delivered, tally.opened, tally.clicked


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("sent", (1, 0, 0, 0)),
        ("bounced", (1, 0, 0, 0)),
        ("delivered", (1, 1, 0, 0)),
        ("unsubscribed", (1, 1, 0, 0)),
        ("complained", (1, 1, 0, 0)),
        ("opened", (1, 1, 1, 0)),
        ("clicked", (1, 1, 1, 1)),
    ],
)
def test_a_stage_implies_those_before_it(kind: str, expected: tuple[int, ...]) -> None:
    assert counts(tally_of(event(kind))) == expected


def test_the_order_of_reports_does_not_matter() -> None:
    kinds = ["sent", "delivered", "opened", "clicked", "opened"]
    tallies = {
        tally_of(*(event(kind, minute=minute) for minute, kind in ordered))
        for ordered in permutations(enumerate(kinds))
    }
    [tally] = tallies
    assert counts(tally) == (1, 1, 1, 1)
    assert (tally.opened_at, tally.clicked_at) == (noon + timedelta(minutes=4), noon + timedelta(minutes=3))
    assert tally.active_at == noon + timedelta(minutes=4)


reports = st.lists(
    st.builds(
        event,
        kind=st.sampled_from([kind.value for kind in EngagementKind]),
        message=st.sampled_from(["a", "b", "c"]),
        minute=st.integers(0, 9),
        email=st.sampled_from([None, present, former]),
        bounce=st.sampled_from(["hard", "soft"]),
    )
)


@given(reports, st.randoms())
def test_counts_never_contradict_each_other(events: list[EngagementEvent], chance: object) -> None:
    tally = tally_of(*events)
    assert tally.sent == len({each.message_id for each in events})
    assert tally.sent >= tally.delivered >= tally.opened >= tally.clicked
    shuffled = list(events)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tally_of(*shuffled) == tally


@pytest.mark.parametrize(
    ("bounce", "email", "expected"),
    [("hard", None, present), ("hard", present, present), ("hard", former, None), ("soft", None, None)],
)
def test_only_a_hard_bounce_of_the_present_address_stops_mail(
    bounce: str, email: Email | None, expected: Email | None
) -> None:
    assert tally_of(event("bounced", email=email, bounce=bounce)).bounced_email == expected


def test_what_gets_through_to_another_address_says_nothing_of_this_one() -> None:
    assert tally_of(event("delivered", email=former)).delivered_at is None
    assert tally_of(event("opened", email=present)).delivered_at == noon


async def test_a_report_that_cannot_be_taken_leaves_another_with_its_id_alone(
    connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    good = replace(event("opened"), customer_id=customer.id, occurred_at=clock.now())
    of_tomorrow = replace(good, occurred_at=clock.now() + timedelta(days=1))
    outcomes = await EngagementService(connection, clock).record([good, of_tomorrow, good], by=operator)
    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == ("recorded", Validation, "unchanged")
