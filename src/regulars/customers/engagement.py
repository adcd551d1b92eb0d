"""What became of mails: arithmetic of what senders report, without I/O.

Senders report in any order, some things twice and some never. So a mail has a furthest stage, and each stage implies
those before it: whoever clicked has opened, what was opened was delivered. Counts of mails by stage then never
contradict each other, and rates lie between 0 and 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from regulars.customers.identifiers import Email


class EngagementKind(StrEnum):
    """What happened to a mail."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"


_stages = ("sent", "delivered", "opened", "clicked")
_reached: Mapping[EngagementKind, int] = {
    EngagementKind.SENT: 1,
    EngagementKind.BOUNCED: 1,
    EngagementKind.DELIVERED: 2,
    EngagementKind.UNSUBSCRIBED: 2,
    EngagementKind.COMPLAINED: 2,
    EngagementKind.OPENED: 3,
    EngagementKind.CLICKED: 4,
}
_done_by_the_person = frozenset(
    {EngagementKind.OPENED, EngagementKind.CLICKED, EngagementKind.UNSUBSCRIBED, EngagementKind.COMPLAINED}
)


@dataclass(frozen=True, kw_only=True)
class EngagementEvent:
    """Something that happened to a mail.

    Attributes:
        customer_id: To whom the mail was.
        event_id: The sender's id of this report; one of a customer counts once.
        message_id: The sender's id of the mail.
        email: The address that the mail was sent to; None for the present one.
        bounce: Whether the address will never take mail (`hard`), or did not this time; for `bounced` only.
    """

    customer_id: UUID
    event_id: str
    message_id: str
    kind: EngagementKind
    occurred_at: datetime
    email: Email | None = None
    bounce: Literal["hard", "soft"] | None = None


@dataclass(frozen=True)
class EngagementTally:
    """What events add to what is known of a customer: numbers of mails, and the latest times.

    Attributes:
        delivered_at: The last sign that mail reaches the present address.
        bounced_email: The present address, if mail to it came back for good.
    """

    customer_id: UUID
    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    active_at: datetime | None = None
    bounced_email: Email | None = None
    bounced_at: datetime | None = None


def stage_of(kind: EngagementKind) -> int:
    """How far a mail has come of which this is reported: 1 is sent, 4 is clicked."""
    return _reached[kind]


def added(
    tally: EngagementTally, event: EngagementEvent, *, stage_before: int, address: Email | None
) -> EngagementTally:
    """What is known with one event more.

    Args:
        tally: What the events before add.
        event: An event that was not reported before.
        stage_before: How far its mail had come by what was reported; 0 for a mail that nothing is known of.
        address: The present address of the customer. What happened at another says nothing about this one.
    """
    stage, at = _reached[event.kind], event.occurred_at
    counts = {name: getattr(tally, name) + (stage_before < n <= stage) for n, name in enumerate(_stages, start=1)}
    tally = replace(tally, **counts)
    if event.kind == EngagementKind.OPENED:
        tally = replace(tally, opened_at=_later(tally.opened_at, at))
    if event.kind == EngagementKind.CLICKED:
        tally = replace(tally, clicked_at=_later(tally.clicked_at, at))
    if event.kind in _done_by_the_person:
        tally = replace(tally, active_at=_later(tally.active_at, at))
    if address is None or event.email not in (None, address):
        return tally
    if stage > 1:
        return replace(tally, delivered_at=_later(tally.delivered_at, at))
    if event.bounce == "hard":
        return replace(tally, bounced_email=address, bounced_at=_later(tally.bounced_at, at))
    return tally


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
