"""What senders of mail report, for one customer and for many."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from regulars.customers.access import refusal_of_state
from regulars.customers.engagement import EngagementEvent, EngagementKind, EngagementTally, added, stage_of
from regulars.customers.events import ContactBounced
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import Refusal
from regulars.kit.events import record_events
from regulars.kit.security import Principal
from regulars.kit.validation import Validation

clocks_differ_by = timedelta(minutes=5)

Outcome: TypeAlias = Literal["recorded", "unchanged"] | Refusal


class EngagementService:
    """Engagement in one transaction, in a fixed number of statements however many events there are."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    async def record(self, events: Sequence[EngagementEvent], *, by: Principal) -> list[Outcome]:
        """Lock the customers and add what was not reported before.

        Returns:
            What became of each event: `unchanged` for one that was reported before, or why it cannot be taken.
        """
        now = self._clock.now()
        refusals = await self._refusals(events, by, now)
        taken = [
            replace(event, occurred_at=min(event.occurred_at, now))
            for event, refusal in zip(events, refusals, strict=True)
            if refusal is None
        ]
        new = await self._not_reported(taken)
        if new:
            tallies = await self._tallies(list(new.values()))
            come_back = await self._customers.record_engagement(list(new.values()), tallies, at=now)
            bounced = sorted(tally.customer_id for tally in tallies if tally.bounced_at)
            told = [ContactBounced(customer_id=id_) for id_ in bounced if id_ in come_back]
            await record_events(self._connection, now, *told)
        return [refusal or _outcome(event, new) for event, refusal in zip(events, refusals, strict=True)]

    async def _refusals(self, events: Sequence[EngagementEvent], by: Principal, now: datetime) -> list[Refusal | None]:
        """Why each event cannot be taken, with its customer locked; None for those that can."""
        ids = sorted({event.customer_id for event in events})
        states = {state.id: state for state in await self._customers.lock_states(ids)}
        of_the_future = Validation.at("/occurred_at", "range", "must not be in the future")
        return [
            refusal_of_state(states.get(event.customer_id), by)
            or (of_the_future if event.occurred_at > now + clocks_differ_by else None)
            for event in events
        ]

    async def _not_reported(self, events: Sequence[EngagementEvent]) -> dict[tuple[UUID, str], EngagementEvent]:
        reported = await self._customers.find_reported(events)
        new: dict[tuple[UUID, str], EngagementEvent] = {}
        for event in events:
            key = (event.customer_id, event.event_id)
            if key not in reported:
                new.setdefault(key, event)
        return new

    async def _tallies(self, events: Sequence[EngagementEvent]) -> list[EngagementTally]:
        emails = await self._customers.get_emails(sorted({event.customer_id for event in events}))
        stages: dict[tuple[UUID, str], int] = defaultdict(int)
        for customer_id, message_id, kind in await self._customers.get_kinds_of_messages(events):
            message = (customer_id, message_id)
            stages[message] = max(stages[message], stage_of(EngagementKind(kind)))
        tallies: dict[UUID, EngagementTally] = {}
        for event in events:
            message, id_ = (event.customer_id, event.message_id), event.customer_id
            tally = tallies.get(id_, EngagementTally(id_))
            tallies[id_] = added(tally, event, stage_before=stages[message], address=emails[id_])
            stages[message] = max(stages[message], stage_of(event.kind))
        return [tallies[id_] for id_ in sorted(tallies)]


def _outcome(event: EngagementEvent, new: dict[tuple[UUID, str], EngagementEvent]) -> Outcome:
    """What became of an event that can be taken; of several with one id, the first counts."""
    return "recorded" if new.pop((event.customer_id, event.event_id), None) else "unchanged"
