"""Answers kept under the caller's Idempotency-Key, in the same transaction as the effect they report.

A key is claimed before the work: a second request with it waits at the claim until the first has committed, and then
finds the answer. Whatever rolls the effect back takes the claim with it, so a crash leaves nothing behind.

The claim is a lock that ends with the transaction, not a row: a row would be written twice, and vacuumed.
"""

import hashlib
from collections.abc import Mapping, Sequence
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
            _keep_one,
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

    async def claim_free(self, requests: Sequence[KeyedRequest], *, now: datetime) -> list[bool]:
        """Claim what can be claimed of several requests without waiting; for each, whether its key is ours and new.

        The others, whether they are still running or were answered before, are for `claim`.
        """
        rows = await self._rows(
            # Looked up row by row: a join could be planned to read every answer that is kept.
            """
            SELECT n FROM unnest((SELECT %(locks)s::bigint[]), (SELECT %(keys)s::text[]),
                                 (SELECT %(principal_ids)s::uuid[]))
                WITH ORDINALITY AS asked (lock, key, principal_id, n)
            WHERE pg_try_advisory_xact_lock(lock) AND (
                SELECT true FROM idempotency_keys AS kept
                WHERE kept.key = asked.key AND kept.principal_id = asked.principal_id
                    AND kept.created_at > %(expired)s
                LIMIT 1
            ) IS NULL
            """,
            {
                "locks": [request.lock for request in requests],
                "keys": [request.key for request in requests],
                "principal_ids": [request.principal_id for request in requests],
                "expired": now - self._keep_for,
            },
        )
        ours = {n for (n,) in rows}
        return [n in ours for n in range(1, len(requests) + 1)]

    async def keep_all(
        self, answers: Sequence[tuple[KeyedRequest, StoredAnswer, UUID | None]], *, now: datetime
    ) -> None:
        """Keep the answers of several claimed keys, each with the customer it concerns.

        Raises:
            IdempotencyInProgress: as for `keep`, about any of them.
        """
        requests = [request for request, _, _ in answers]
        kept = await self._execute(
            _keep_many,
            {
                "keys": [request.key for request in requests],
                "principal_ids": [request.principal_id for request in requests],
                "hashes": [request.request_hash for request in requests],
                "statuses": [answer.status for _, answer, _ in answers],
                "headers": [Jsonb(dict(answer.headers)) for _, answer, _ in answers],
                "bodies": [answer.body for _, answer, _ in answers],
                "customer_ids": [concerns for _, _, concerns in answers],
                "now": now,
                "expired": now - self._keep_for,
            },
        )
        if kept < len(answers):
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

_keep = SQL("""
    INSERT INTO idempotency_keys (key, principal_id, request_hash, status, headers, body, customer_id, created_at)
    {rows}
    ON CONFLICT (key, principal_id) DO UPDATE
    SET request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
        body = excluded.body, customer_id = excluded.customer_id, created_at = excluded.created_at
    WHERE idempotency_keys.created_at <= %(expired)s
""")
_one_row = SQL("""
    VALUES (%(key)s, %(principal_id)s, %(request_hash)s, %(status)s, %(headers)s, %(body)s, %(customer_id)s, %(now)s)
""")
_many_rows = SQL("""
    SELECT answered.*, %(now)s::timestamptz
    FROM unnest((SELECT %(keys)s::text[]), (SELECT %(principal_ids)s::uuid[]), (SELECT %(hashes)s::bytea[]),
                (SELECT %(statuses)s::smallint[]), (SELECT %(headers)s::jsonb[]), (SELECT %(bodies)s::bytea[]),
                (SELECT %(customer_ids)s::uuid[])) AS answered
""")
_keep_one = SQL(_keep.format(rows=_one_row).as_string())
_keep_many = SQL(_keep.format(rows=_many_rows).as_string())


def _kept(row: tuple[Any, ...], request: KeyedRequest) -> StoredAnswer | None:
    _, request_hash, status, headers, body = row
    if request_hash is None:
        return None
    if request_hash != request.request_hash:
        raise IdempotencyKeyReused
    return StoredAnswer(status, headers, body)
