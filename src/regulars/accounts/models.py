"""Accounts as rows of the database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from regulars.kit.security import Role


@dataclass(frozen=True)
class User:
    """A person who can sign in."""

    id: UUID
    email: str
    password_hash: str
    role: Role
    customer_id: UUID | None
    is_enabled: bool
    auth_epoch: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ApiClient:
    """A till, shop or importer. Its secrets are kept as SHA-256; two may live at once.

    Attributes:
        source: The one under which it writes orders.
        max_points_per_transaction: The most that it may award, redeem or give back at once; None for no cap.
        max_points_per_day: The same in a store day.
    """

    id: UUID
    name: str
    secret_hash: bytes
    previous_secret_hash: bytes | None
    previous_secret_until: datetime | None
    scopes: list[str]
    source: str
    max_points_per_transaction: int | None
    max_points_per_day: int | None
    is_enabled: bool
    auth_epoch: int
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def has_secret(self, secret_hash: bytes, now: datetime) -> bool:
        """Whether this is the hash of a secret that is valid now."""
        previous = self.previous_secret_until is not None and now < self.previous_secret_until
        return secret_hash == self.secret_hash or (previous and secret_hash == self.previous_secret_hash)

    def is_open(self, now: datetime) -> bool:
        """Whether the client may sign in now."""
        return self.is_enabled and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class SessionOwner:
    """An open or closed session together with what its user or client may do at this moment.

    Attributes:
        auth_epoch: What tokens of this session must say: the epoch of its owner, less the changes of the password that
            were made in this session. So a change of the password ends the tokens of every other session, and those of
            the session it was made in go on.
    """

    session_id: UUID
    closed_at: datetime | None
    expires_at: datetime
    user_id: UUID | None
    client_id: UUID | None
    is_enabled: bool
    client_expires_at: datetime | None
    auth_epoch: int
    role: Role
    customer_id: UUID | None
    client_scopes: list[str] | None
    source: str | None
    max_points_per_transaction: int | None
    max_points_per_day: int | None

    def is_open(self, now: datetime) -> bool:
        """Whether the session still counts."""
        ends = self.expires_at if self.client_expires_at is None else min(self.expires_at, self.client_expires_at)
        return self.closed_at is None and self.is_enabled and now < ends


@dataclass(frozen=True)
class RefreshToken:
    """One link in the chain of refresh tokens of a session.

    Attributes:
        used_by: A keyed hash of the client that used it.
    """

    token_hash: bytes
    session_id: UUID
    expires_at: datetime
    used_at: datetime | None
    used_by: bytes | None
