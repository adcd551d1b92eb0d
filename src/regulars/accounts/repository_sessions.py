"""Sessions, refresh tokens and failed sign-ins in the database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL

from regulars.accounts.models import RefreshToken, SessionOwner
from regulars.accounts.repository import login_is_open
from regulars.kit.database import Repository

_owner_of_session = SQL("""
    SELECT s.id AS session_id, s.closed_at, s.expires_at, s.user_id, s.client_id,
           CASE WHEN s.user_id IS NULL THEN c.is_enabled ELSE {is_open} END AS is_enabled,
           c.expires_at AS client_expires_at,
           coalesce(u.auth_epoch, c.auth_epoch) - s.own_password_changes AS auth_epoch,
           coalesce(u.role, 'service') AS role, u.customer_id, c.scopes AS client_scopes, c.source,
           c.max_points_per_transaction, c.max_points_per_day
    FROM sessions s
    LEFT JOIN users u ON u.id = s.user_id
    LEFT JOIN api_clients c ON c.id = s.client_id
    WHERE s.id = %s
""").format(is_open=login_is_open)


class SessionRepository(Repository):
    """Sessions and their refresh tokens."""

    async def open_for_user(
        self, user_id: UUID, *, auth_epoch: int, now: datetime, expires_at: datetime
    ) -> UUID | None:
        """The id of a new session of a person; None if the login is not open, or not of that epoch any more.

        Whoever changes them waits until the session is there to be closed.
        """
        session_id: UUID | None = await self._value(
            SQL(
                "INSERT INTO sessions (user_id, created_at, expires_at) SELECT u.id, %s, %s FROM users u"
                " WHERE u.id = %s AND u.auth_epoch = %s AND {} FOR SHARE OF u RETURNING id"
            ).format(login_is_open),
            [now, expires_at, user_id, auth_epoch],
        )
        return session_id

    async def open_for_client(
        self, client_id: UUID, *, auth_epoch: int, now: datetime, expires_at: datetime
    ) -> UUID | None:
        """The id of a new session of an API client; None if it was changed or disabled since that epoch."""
        session_id: UUID | None = await self._value(
            "INSERT INTO sessions (client_id, created_at, expires_at)"
            " SELECT id, %s, %s FROM api_clients WHERE id = %s AND auth_epoch = %s AND is_enabled FOR SHARE"
            " RETURNING id",
            [now, expires_at, client_id, auth_epoch],
        )
        return session_id

    async def get_owner(self, session_id: UUID) -> SessionOwner | None:
        """A session and whose it is, in one query: callers are checked with it, each every few seconds."""
        return await self._one(SessionOwner, _owner_of_session, [session_id])

    async def close(self, session_id: UUID, *, now: datetime) -> None:
        """End a session; its access and refresh tokens die with it."""
        await self._execute("UPDATE sessions SET closed_at = %s WHERE id = %s AND closed_at IS NULL", [now, session_id])

    async def close_all_of(self, principal_id: UUID, *, now: datetime) -> None:
        """End every session of a user or API client."""
        await self._execute(
            "UPDATE sessions SET closed_at = %(now)s"
            " WHERE (user_id = %(id)s OR client_id = %(id)s) AND closed_at IS NULL",
            {"now": now, "id": principal_id},
        )

    async def close_others(self, user_id: UUID, *, but: UUID, now: datetime) -> None:
        """End every session of a user except the one in which the password was changed; its tokens stay good."""
        await self._execute(
            "UPDATE sessions SET closed_at = %s WHERE user_id = %s AND id <> %s AND closed_at IS NULL",
            [now, user_id, but],
        )
        await self._execute("UPDATE sessions SET own_password_changes = own_password_changes + 1 WHERE id = %s", [but])

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete sessions that are over, with their refresh tokens; how many."""
        return await self._execute(
            "DELETE FROM sessions WHERE id IN"
            " (SELECT id FROM sessions WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, at_most],
        )

    async def purge_refresh_tokens(self, now: datetime, *, at_most: int) -> int:
        """Delete refresh tokens that have expired; how many. A used one stays until then: its return is a theft."""
        return await self._execute(
            "DELETE FROM refresh_tokens WHERE token_hash IN"
            " (SELECT token_hash FROM refresh_tokens WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, at_most],
        )

    async def close_all_of_users(self, user_ids: Sequence[UUID], *, now: datetime) -> None:
        """End every session of these people."""
        await self._execute(
            "UPDATE sessions SET closed_at = %s WHERE user_id = ANY(%s) AND closed_at IS NULL", [now, list(user_ids)]
        )

    async def delete_all_of(self, user_id: UUID) -> None:
        """Delete every session of a user, with its tokens."""
        await self._execute("DELETE FROM sessions WHERE user_id = %s", [user_id])

    async def prolong(self, session_id: UUID, *, expires_at: datetime) -> None:
        """Let a session live as long as its newest refresh token."""
        await self._execute("UPDATE sessions SET expires_at = %s WHERE id = %s", [expires_at, session_id])

    async def add_refresh_token(
        self, token_hash: bytes, session_id: UUID, *, now: datetime, expires_at: datetime
    ) -> None:
        """Keep the hash of a refresh token."""
        await self._execute(
            "INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at) VALUES (%s, %s, %s, %s)",
            [token_hash, session_id, now, expires_at],
        )

    async def lock_refresh_token(self, token_hash: bytes) -> RefreshToken | None:
        """The token with this hash; whoever uses it too waits until we are done."""
        return await self._one(
            RefreshToken,
            "SELECT token_hash, session_id, expires_at, used_at, used_by FROM refresh_tokens"
            " WHERE token_hash = %s FOR UPDATE",
            [token_hash],
        )

    async def spend_refresh_token(self, token_hash: bytes, *, by: bytes, now: datetime) -> None:
        """Mark a refresh token as used, and by which client."""
        await self._execute(
            "UPDATE refresh_tokens SET used_at = %s, used_by = %s WHERE token_hash = %s", [now, by, token_hash]
        )

    async def has_unused_token(self, token_hash: bytes) -> bool:
        """Whether there is a refresh token with this hash that nobody has used."""
        return (
            await self._value("SELECT true FROM refresh_tokens WHERE token_hash = %s AND used_at IS NULL", [token_hash])
            is not None
        )


class SignInFailureRepository(Repository):
    """Failed sign-ins by a keyed hash of the login name."""

    async def lock_account(self, account_hash: bytes) -> None:
        """Let one sign-in of an account at a time count and add, until the transaction ends."""
        await self._execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(account_hash[:8], "big", signed=True)])

    async def count_since(self, account_hash: bytes, since: datetime) -> tuple[int, datetime | None]:
        """How many failed since an instant, and the first of them."""
        rows = await self._rows(
            "SELECT count(*), min(failed_at) FROM sign_in_failures WHERE account_hash = %s AND failed_at > %s",
            [account_hash, since],
        )
        count, first = rows[0]
        return count, first

    async def add(self, account_hash: bytes, *, now: datetime) -> UUID:
        """Count a sign-in as failed until it has succeeded; the id takes it back."""
        failure_id: UUID = await self._value(
            "INSERT INTO sign_in_failures (account_hash, failed_at) VALUES (%s, %s) RETURNING id", [account_hash, now]
        )
        return failure_id

    async def remove(self, failure_id: UUID) -> None:
        """Take a failure back: the sign-in succeeded."""
        await self._execute("DELETE FROM sign_in_failures WHERE id = %s", [failure_id])

    async def purge(self, before: datetime, *, at_most: int) -> int:
        """Delete failures that no longer count; how many."""
        return await self._execute(
            "DELETE FROM sign_in_failures WHERE id IN"
            " (SELECT id FROM sign_in_failures WHERE failed_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [before, at_most],
        )
