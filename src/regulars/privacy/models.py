"""Erasures as rows of the log, and the person whose rows are looked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

ErasureReason = Literal["request", "deletion", "inactivity", "other"]


@dataclass(frozen=True)
class Erasure:
    """One person who was erased, without anything that tells who it was.

    Attributes:
        customer_id: The record that is left: orders and points without a person.
        erased_at: Since when nobody finds the person.
        reason: `request` of the person, `deletion` that nobody took back, `inactivity`, or `other`.
        requested_by: The user who asked; None for the operator, the person and the program itself.
        proof: Keyed hash of the customer number: whoever holds an old card can be told that it was done.
        email_hash: Keyed hash of the address, for twelve months: no second welcome bonus, and a restored backup tells
            whom it is about.
        phone_hash: The same of the number.
        points_closed: Points that were taken off the account; below zero where debt was forgiven.
        rows: How many rows of each table were deleted or changed.
        completed_at: When everything had been removed; None while it is under way.
        confirmed_at: When everything was looked through once more, for what was written at that very moment.
    """

    customer_id: UUID
    erased_at: datetime
    reason: ErasureReason
    requested_by: UUID | None
    proof: bytes
    email_hash: bytes | None
    phone_hash: bytes | None
    points_closed: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    completed_at: datetime | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class Person:
    """By what the rows of a person are found.

    Attributes:
        customer_id: The record.
        logins: Ids of the person's logins.
        addresses: E-mail address and phone number.
    """

    customer_id: UUID
    logins: Sequence[UUID] = ()
    addresses: Sequence[str] = ()

    @property
    def subjects(self) -> list[UUID]:
        """Every id that stands for the person."""
        return [self.customer_id, *self.logins]


@dataclass(frozen=True)
class Access:
    """Somebody looked at a person, or changed something.

    Attributes:
        occurred_at: When.
        action: What was done, by the name of the operation.
        actor_kind: `user`, `client`, `operator`, or `system` for the program itself.
        actor: Address of the user or name of the program; None for others, and for logins that are gone.
        fields: What was asked for or written, by the names of the fields.
        is_certain: False for a file of many customers, who are not written down one by one.
    """

    occurred_at: datetime
    action: str
    actor_kind: str
    actor: str | None
    fields: list[str]
    is_certain: bool
