"""What is told to others about customers."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from regulars.kit.events import Event


@dataclass(frozen=True, kw_only=True)
class CustomerCreated(Event, kind="customer.created"):
    """A customer was added, or registered."""

    by_registration: bool


@dataclass(frozen=True, kw_only=True)
class CustomerUpdated(Event, kind="customer.updated"):
    """Fields of a profile changed."""

    fields: list[str]


@dataclass(frozen=True, kw_only=True)
class CustomerVerified(Event, kind="customer.verified"):
    """An e-mail address or a phone number was proved to be the customer's."""

    channel: Literal["email", "phone"]


@dataclass(frozen=True, kw_only=True)
class CustomerDeactivated(Event, kind="customer.deactivated"):
    """A customer was deactivated, and is signed out."""


@dataclass(frozen=True, kw_only=True)
class CustomerReactivated(Event, kind="customer.reactivated"):
    """A customer was activated again, or a deletion was taken back."""


@dataclass(frozen=True, kw_only=True)
class CustomerDeleted(Event, kind="customer.deleted"):
    """A customer was deleted, which can be undone for 30 days."""


@dataclass(frozen=True, kw_only=True)
class ContactBounced(Event, kind="contact.bounced"):
    """Mail to the present e-mail address of a customer came back for good; no more is to be sent there."""


@dataclass(frozen=True, kw_only=True)
class CustomerMerged(Event, kind="customer.merged"):
    """A record without a history became part of another of the same person; its id stands for that one from now on."""

    merged_id: UUID


@dataclass(frozen=True, kw_only=True)
class CustomerErased(Event, kind="customer.erased"):
    """The person behind a customer was erased; orders and points stay, without a name."""

    reason: Literal["request", "deletion", "inactivity", "other"]
