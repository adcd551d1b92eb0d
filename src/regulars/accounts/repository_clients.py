"""Programs that can sign in, in the database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL

from regulars.accounts.models import ApiClient
from regulars.kit.database import Repository

_columns = SQL(
    "id, name, secret_hash, previous_secret_hash, previous_secret_until, scopes, source, max_points_per_transaction,"
    " max_points_per_day, is_enabled, auth_epoch, expires_at, created_at, updated_at"
)


class ApiClientRepository(Repository):
    """Programs that can sign in."""

    async def get_by_id(self, client_id: UUID, *, lock: bool = False) -> ApiClient | None:
        """The client with this id; others who lock it wait until the transaction ends."""
        query = SQL("SELECT {} FROM api_clients WHERE id = %s {}").format(
            _columns, SQL("FOR NO KEY UPDATE" if lock else "")
        )
        return await self._one(ApiClient, query, [client_id])

    async def search(self, *, limit: int, offset: int = 0) -> tuple[list[ApiClient], int]:
        """A page of all clients, newest first, and how many there are."""
        page = SQL("SELECT {} FROM api_clients ORDER BY id DESC LIMIT %s OFFSET %s").format(_columns)
        found = await self._all(ApiClient, page, [limit, offset])
        return found, await self._value("SELECT count(*) FROM api_clients")

    async def add(
        self,
        *,
        name: str,
        source: str,
        scopes: Sequence[str],
        secret_hash: bytes,
        now: datetime,
        max_points_per_transaction: int | None = None,
        max_points_per_day: int | None = None,
        expires_at: datetime | None = None,
    ) -> ApiClient:
        """The new client."""
        client = await self._one(
            ApiClient,
            SQL(
                "INSERT INTO api_clients (name, source, scopes, secret_hash, max_points_per_transaction,"
                " max_points_per_day, expires_at, created_at, updated_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {}"
            ).format(_columns),
            [
                name, source, list(scopes), secret_hash, max_points_per_transaction, max_points_per_day, expires_at,
                now, now,
            ],
        )  # fmt: skip
        assert client is not None, "INSERT without ON CONFLICT returns its row"  # noqa: S101
        return client

    async def change(self, client: ApiClient, *, ends_tokens: bool, now: datetime) -> None:
        """Write what can be edited.

        Args:
            client: As it shall be.
            ends_tokens: Whether tokens that were given before are worth nothing.
            now: The present instant.
        """
        await self._execute(
            """
            UPDATE api_clients
            SET name = %(name)s, scopes = %(scopes)s, source = %(source)s, is_enabled = %(is_enabled)s,
                max_points_per_transaction = %(max_points_per_transaction)s,
                max_points_per_day = %(max_points_per_day)s,
                expires_at = %(expires_at)s, auth_epoch = auth_epoch + %(ends_tokens)s::int, updated_at = %(now)s
            WHERE id = %(id)s
            """,
            {**vars(client), "ends_tokens": ends_tokens, "now": now},
        )

    async def rotate_secret(
        self, client_id: UUID, secret_hash: bytes, *, previous_until: datetime, now: datetime
    ) -> ApiClient | None:
        """Put a new secret before the present one, which lives on until an instant; the one before that dies."""
        return await self._one(
            ApiClient,
            SQL(
                "UPDATE api_clients SET previous_secret_hash = secret_hash, previous_secret_until = %s,"
                " secret_hash = %s, updated_at = %s WHERE id = %s RETURNING {}"
            ).format(_columns),
            [previous_until, secret_hash, now, client_id],
        )
