"""A consent: what somebody allowed or forbade, when, and how we know."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias
from uuid import UUID


class ConsentPurpose(StrEnum):
    """What is allowed. One so far; each purpose has consents of its own."""

    MARKETING = "marketing"


class ConsentChannel(StrEnum):
    """By which way."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class ConsentAction(StrEnum):
    """What the person did."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


flags: Mapping[ConsentChannel, str] = {
    ConsentChannel.EMAIL: "email_marketing_consent",
    ConsentChannel.SMS: "sms_marketing_consent",
    ConsentChannel.PUSH: "push_notification_consent",
}
"""The fields of a customer that say whether marketing is allowed now: projections of the last event of a channel."""

contact_fields: Mapping[ConsentChannel, Literal["email", "phone"]] = {
    ConsentChannel.EMAIL: "email",
    ConsentChannel.SMS: "phone",
}
"""Where messages of a channel go. Push messages go to no address that we know."""

contact_changed: Final = "contact-changed"
"""Source of the events that end a consent because the address or number it was given for is the customer's no more."""

merged: Final = "merged-record"
"""Source of what another record of the same person said, which became part of this one."""

When: TypeAlias = datetime | Literal["now", "unknown"]
"""When somebody consented: told by whoever reports it, this very moment, or nobody knows any more."""


@dataclass(frozen=True, kw_only=True)
class ConsentStatement:
    """What a customer is said to have allowed or forbidden.

    Attributes:
        when: When the person did so.
        source: Where that was: an API client's source, or a word of ours such as `unsubscribe-link`.
        policy_version: The policy that was agreed to.
        text_hash: SHA-256 of the words that were shown.
    """

    customer_id: UUID
    channel: ConsentChannel
    action: ConsentAction
    when: When
    source: str
    purpose: ConsentPurpose = ConsentPurpose.MARKETING
    policy_version: str | None = None
    text_hash: bytes | None = None

    @property
    def key(self) -> "ConsentKey":
        """Which consent it is about."""
        return self.customer_id, self.purpose, self.channel


ConsentKey: TypeAlias = tuple[UUID, ConsentPurpose, ConsentChannel]


@dataclass(frozen=True)
class LastConsent:
    """What holds for a customer, purpose and channel: the last event, with what decides whether another says more."""

    customer_id: UUID
    purpose: str
    channel: str
    action: str
    occurred_at: datetime
    policy_version: str | None
    text_hash: bytes | None

    @property
    def key(self) -> ConsentKey:
        """Which consent it is."""
        return self.customer_id, ConsentPurpose(self.purpose), ConsentChannel(self.channel)


@dataclass(frozen=True)
class LastWord:
    """What a source said last about a consent, by the time at which the person consented."""

    customer_id: UUID
    purpose: str
    channel: str
    source: str
    action: str
    occurred_at: datetime

    @property
    def key(self) -> ConsentKey:
        """Which consent it is about."""
        return self.customer_id, ConsentPurpose(self.purpose), ConsentChannel(self.channel)


@dataclass(frozen=True)
class ConsentEvent:
    """A consent as it was written down.

    Attributes:
        seq: Counts the events of a customer in the order of writing.
        occurred_at: When the person consented.
        recorded_at: When it was written.
    """

    id: UUID
    seq: int
    purpose: str
    channel: str
    action: str
    policy_version: str | None
    text_hash: bytes | None
    source: str
    actor_id: UUID | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True)
class ConsentFlag:
    """What the profile of a customer says about a channel, where the events say otherwise."""

    customer_id: UUID
    channel: str
    is_granted: bool


@dataclass(frozen=True)
class Suppression:
    """Somebody who must not be written to by a channel.

    Attributes:
        address: E-mail address or phone number; None for push messages, which go to no address that we know.
        reason: `bounced`, `complained`, `withdrawn`, `not_granted`, or `inactive`: deactivated or deleted.
    """

    address: str | None
    customer_number: str
    reason: str
