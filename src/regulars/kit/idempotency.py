"""Answers kept under the caller's Idempotency-Key, in the same transaction as the effect they report.

A key is claimed before the work: a second request with it waits at the claim until the first has committed, and then
finds the answer. Whatever rolls the effect back takes the claim with it, so a crash leaves nothing behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.errors import LockNotAvailable
from psycopg.types.json import Jsonb

from regulars.kit.database import Connection, Repository
from regulars.kit.errors import Conflict, Unprocessable


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was sent with another request."""


class IdempotencyInProgress(Conflict):
    """The first request with this Idempotency-Key is still running."""


@dataclass(frozen=True)
class KeyedRequest:
    """A request that carries a key.

    Attributes:
        key: As sent; 1 to 255 visible ASCII characters.
        principal_id: Whose key it is: the same key of another caller is another key.
        request_hash: Over everything that makes two requests the same.
    """

    key: str
    principal_id: UUID
    request_hash: bytes


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Row:
    request_hash: bytes
    status: int | None
    headers: dict[str, str] | None
    body: bytes | None


class IdempotencyKeys(Repository):
    """The kept answers.

    Args:
        connection: That of the transaction in which the work is done.
        keep_for: How long an answer is kept; after that a key is new again.
    """

    def __init__(self, connection: Connection, keep_for: timedelta) -> None:
        super().__init__(connection)
        self._keep_for = keep_for

    async def find(self, request: KeyedRequest, *, now: datetime) -> StoredAnswer | None:
        """The answer that is kept for this request, without a claim: for work that commits piece by piece.

        Raises:
            IdempotencyKeyReused: the key was sent with another request.
        """
        row = await self._one(
            _Row,
            "SELECT request_hash, status, headers, body FROM idempotency_keys"
            " WHERE key = %s AND principal_id = %s AND created_at > %s",
            [request.key, request.principal_id, now - self._keep_for],
        )
        if row is None:
            return None
        if row.request_hash != request.request_hash:
            raise IdempotencyKeyReused
        return StoredAnswer(row.status, row.headers or {}, row.body) if row.status and row.body else None

    async def claim(self, request: KeyedRequest, *, now: datetime) -> StoredAnswer | None:
        """The answer that is kept for this request, or None: then the key is ours until the transaction ends.

        Raises:
            IdempotencyKeyReused: the key was sent with another request.
            IdempotencyInProgress: another request holds the key for longer than the connection's lock timeout.
        """
        if await self._is_new(request, now):
            return None
        row = await self._one(
            _Row,
            "SELECT request_hash, status, headers, body FROM idempotency_keys WHERE key = %s AND principal_id = %s",
            [request.key, request.principal_id],
        )
        if row is None or row.request_hash != request.request_hash:
            raise IdempotencyKeyReused
        if row.status is None or row.body is None:
            raise IdempotencyInProgress(retry_after=1)
        return StoredAnswer(row.status, row.headers or {}, row.body)

    async def keep(self, request: KeyedRequest, answer: StoredAnswer, *, concerns: UUID | None = None) -> None:
        """Keep the answer of a claimed key.

        Args:
            request: As it was claimed.
            answer: What the caller is about to get.
            concerns: The customer in the answer: erasing the person deletes it.
        """
        await self._execute(
            "UPDATE idempotency_keys SET status = %s, headers = %s, body = %s, customer_id = %s"
            " WHERE key = %s AND principal_id = %s",
            [answer.status, Jsonb(dict(answer.headers)), answer.body, concerns, request.key, request.principal_id],
        )

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete answers that are kept no longer; how many."""
        return await self._execute(
            "DELETE FROM idempotency_keys WHERE (key, principal_id) IN (SELECT key, principal_id FROM idempotency_keys"
            " WHERE created_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now - self._keep_for, at_most],
        )

    async def _is_new(self, request: KeyedRequest, now: datetime) -> bool:
        try:
            claimed = await self._value(
                """
                INSERT INTO idempotency_keys (key, principal_id, request_hash, created_at)
                VALUES (%(key)s, %(principal_id)s, %(request_hash)s, %(now)s)
                ON CONFLICT (key, principal_id) DO UPDATE
                SET request_hash = excluded.request_hash, created_at = excluded.created_at,
                    status = NULL, headers = NULL, body = NULL, customer_id = NULL
                WHERE idempotency_keys.created_at <= %(expired)s
                RETURNING true
                """,
                {**vars(request), "now": now, "expired": now - self._keep_for},
            )
        except LockNotAvailable as error:
            raise IdempotencyInProgress(retry_after=1) from error
        return claimed is not None
