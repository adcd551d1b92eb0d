"""Registrations that wait for the proof of the mailbox."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.accounts.passwords import PasswordHash
from regulars.kit.database import Repository


@dataclass(frozen=True)
class WaitingRegistration:
    """A person who would become a customer.

    Attributes:
        password_hash: Of the password that was chosen.
        profile: The fields of `RegistrationProfile`, as JSON values.
    """

    id: UUID
    password_hash: PasswordHash
    profile: dict[str, Any]


class RegistrationRepository(Repository):
    """Waiting registrations on one connection. Each has a link of its own, also where several name one address."""

    async def add(
        self, password_hash: PasswordHash, profile: dict[str, Any], *, now: datetime, expires_at: datetime
    ) -> UUID:
        """Keep a registration until it is confirmed; its id."""
        registration_id: UUID = await self._value(
            "INSERT INTO registrations (password_hash, profile, created_at, expires_at) VALUES (%s, %s, %s, %s)"
            " RETURNING id",
            [password_hash, Jsonb(profile), now, expires_at],
        )
        return registration_id

    async def take(self, registration_id: UUID) -> WaitingRegistration | None:
        """Remove a registration and return it; None if there is none."""
        return await self._one(
            WaitingRegistration,
            "DELETE FROM registrations WHERE id = %s RETURNING id, password_hash, profile",
            [registration_id],
        )

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete registrations that nobody confirmed in time; how many."""
        return await self._execute(
            "DELETE FROM registrations WHERE id IN"
            " (SELECT id FROM registrations WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, at_most],
        )
