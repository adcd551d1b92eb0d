"""Answers kept under the caller's Idempotency-Key, in the same transaction as the effect they report.

A key is claimed before the work: a second request with it waits at the claim until the first has committed, and then
finds the answer. Whatever rolls the effect back takes the claim with it, so a crash leaves nothing behind.

The claim is a lock that ends with the transaction, not a row: a row would be written twice, and vacuumed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL
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

    @property
    def lock(self) -> int:
        """The number of the lock that is the claim. Two keys that shared one would only wait for each other."""
        digest = hashlib.sha256(self.principal_id.bytes + self.key.encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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
        (row,) = await self._rows(_find, self._of(request, now))
        return _kept(row, request)

    async def claim(self, request: KeyedRequest, *, now: datetime) -> StoredAnswer | None:
        """The answer that is kept for this request, or None: then the key is ours until the transaction ends.

        Raises:
            IdempotencyKeyReused: the key was sent with another request.
            IdempotencyInProgress: another request holds the key for longer than the connection's lock timeout.
        """
        (row,) = await self._rows(_claim, self._of(request, now))
        is_ours, *_ = row
        if kept := _kept(row, request):
            return kept
        if is_ours:
            return None
        try:
            await self._execute("SELECT pg_advisory_xact_lock(%s::bigint)", [request.lock])
        except LockNotAvailable as error:
            raise IdempotencyInProgress(retry_after=1) from error
        return await self.find(request, now=now)  # a statement of its own sees what was committed while we waited

    async def keep(
        self, request: KeyedRequest, answer: StoredAnswer, *, now: datetime, concerns: UUID | None = None
    ) -> None:
        """Keep the answer of a claimed key.

        Args:
            request: As it was claimed.
            answer: What the caller is about to get.
            now: The time from which it is kept.
            concerns: The customer in the answer: erasing the person deletes it.

        Raises:
            IdempotencyInProgress: the first request committed in the moment between our look for its answer and our
                claim. What was done here is to be rolled back; the next try finds the answer.
        """
        kept = await self._execute(
            """
            INSERT INTO idempotency_keys
                (key, principal_id, request_hash, status, headers, body, customer_id, created_at)
            VALUES (%(key)s, %(principal_id)s, %(request_hash)s, %(status)s, %(headers)s, %(body)s, %(customer_id)s,
                %(now)s)
            ON CONFLICT (key, principal_id) DO UPDATE
            SET request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
                body = excluded.body, customer_id = excluded.customer_id, created_at = excluded.created_at
            WHERE idempotency_keys.created_at <= %(expired)s
            """,
            {
                **self._of(request, now),
                "request_hash": request.request_hash,
                "status": answer.status,
                "headers": Jsonb(dict(answer.headers)),
                "body": answer.body,
                "customer_id": concerns,
                "now": now,
            },
        )
        if not kept:
            raise IdempotencyInProgress(retry_after=1)

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete answers that are kept no longer; how many."""
        return await self._execute(
            "DELETE FROM idempotency_keys WHERE (key, principal_id) IN (SELECT key, principal_id FROM idempotency_keys"
            " WHERE created_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now - self._keep_for, at_most],
        )

    def _of(self, request: KeyedRequest, now: datetime) -> dict[str, Any]:
        return {
            "key": request.key,
            "principal_id": request.principal_id,
            "lock": request.lock,
            "expired": now - self._keep_for,
        }


_answer_of_key = SQL("""
    SELECT claimed.is_ours, kept.request_hash, kept.status, kept.headers, kept.body
    FROM (SELECT {claimed} AS is_ours) AS claimed
    LEFT JOIN idempotency_keys AS kept
        ON kept.key = %(key)s AND kept.principal_id = %(principal_id)s AND kept.created_at > %(expired)s
""")
# As whole texts: one that is put together from parts would be put together for every request.
_find = SQL(_answer_of_key.format(claimed=SQL("true")).as_string())
_claim = SQL(_answer_of_key.format(claimed=SQL("pg_try_advisory_xact_lock(%(lock)s::bigint)")).as_string())


def _kept(row: tuple[Any, ...], request: KeyedRequest) -> StoredAnswer | None:
    _, request_hash, status, headers, body = row
    if request_hash is None:
        return None
    if request_hash != request.request_hash:
        raise IdempotencyKeyReused
    return StoredAnswer(status, headers, body)
