"""Users, API clients, sessions and failed sign-ins in the database."""

from datetime import datetime
from uuid import UUID

from regulars.accounts.models import ApiClient, RefreshToken, SessionOwner, User
from regulars.kit.database import Repository
from regulars.kit.security import Role


class UserRepository(Repository):
    """People who can sign in."""

    async def get_by_email(self, email: str) -> User | None:
        """The user with this normalised address."""
        return await self._one(
            User,
            "SELECT id, email, password_hash, role, customer_id, is_enabled, auth_epoch, created_at, updated_at"
            " FROM users WHERE email = %s",
            [email],
        )

    async def add(
        self, *, email: str, password_hash: str, role: Role, customer_id: UUID | None, now: datetime
    ) -> User | None:
        """The new user; None if the address is taken."""
        return await self._one(
            User,
            "INSERT INTO users (email, password_hash, role, customer_id, created_at, updated_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (email) DO NOTHING"
            " RETURNING id, email, password_hash, role, customer_id, is_enabled, auth_epoch, created_at, updated_at",
            [email, password_hash, role, customer_id, now, now],
        )


class ApiClientRepository(Repository):
    """Programs that can sign in."""

    async def get_by_id(self, client_id: UUID) -> ApiClient | None:
        """The client with this id."""
        return await self._one(
            ApiClient,
            "SELECT id, name, secret_hash, previous_secret_hash, previous_secret_until, scopes, source, is_enabled,"
            " auth_epoch, expires_at, created_at, updated_at FROM api_clients WHERE id = %s",
            [client_id],
        )

    async def add(self, *, name: str, source: str, scopes: list[str], secret_hash: bytes, now: datetime) -> UUID:
        """The id of the new client."""
        client_id: UUID = await self._value(
            "INSERT INTO api_clients (name, source, scopes, secret_hash, created_at, updated_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            [name, source, scopes, secret_hash, now, now],
        )
        return client_id


class SessionRepository(Repository):
    """Sessions and their refresh tokens."""

    async def open_for_user(self, user_id: UUID, *, now: datetime, expires_at: datetime) -> UUID:
        """The id of a new session of a person."""
        session_id: UUID = await self._value(
            "INSERT INTO sessions (user_id, created_at, expires_at) VALUES (%s, %s, %s) RETURNING id",
            [user_id, now, expires_at],
        )
        return session_id

    async def open_for_client(self, client_id: UUID, *, now: datetime, expires_at: datetime) -> UUID:
        """The id of a new session of an API client."""
        session_id: UUID = await self._value(
            "INSERT INTO sessions (client_id, created_at, expires_at) VALUES (%s, %s, %s) RETURNING id",
            [client_id, now, expires_at],
        )
        return session_id

    async def get_owner(self, session_id: UUID) -> SessionOwner | None:
        """A session and whose it is, in one query: this runs for every request."""
        return await self._one(
            SessionOwner,
            """
            SELECT s.id AS session_id, s.closed_at, s.expires_at, s.user_id, s.client_id,
                   coalesce(u.is_enabled, c.is_enabled) AS is_enabled, c.expires_at AS client_expires_at,
                   coalesce(u.auth_epoch, c.auth_epoch) AS auth_epoch,
                   coalesce(u.role, 'service') AS role, u.customer_id, c.scopes AS client_scopes, c.source
            FROM sessions s
            LEFT JOIN users u ON u.id = s.user_id
            LEFT JOIN api_clients c ON c.id = s.client_id
            WHERE s.id = %s
            """,
            [session_id],
        )

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
            "SELECT token_hash, session_id, expires_at, used_at FROM refresh_tokens WHERE token_hash = %s FOR UPDATE",
            [token_hash],
        )

    async def spend_refresh_token(self, token_hash: bytes, *, now: datetime) -> None:
        """Mark a refresh token as used: it never works again."""
        await self._execute("UPDATE refresh_tokens SET used_at = %s WHERE token_hash = %s", [now, token_hash])


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
