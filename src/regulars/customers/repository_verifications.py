"""Proofs that are under way: one row for each purpose and subject, so that a new one takes the place of the old.

Beside them, of the kinds `old_email` and `old_phone`, what a change took from a customer, until its owner is told.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.sql import SQL

from regulars.kit.database import Repository

OldContactKind = Literal["old_email", "old_phone"]
VerificationKind = Literal["email", "phone", "password_reset", "registration", OldContactKind]

_columns = SQL("id, kind, subject_id, address, secret_hash, attempts, expires_at, used_at")


@dataclass(frozen=True)
class Verification:
    """A proof that was asked for.

    Attributes:
        id: Names this request for a proof; queued jobs carry it. A newer request has another.
        kind: What for.
        subject_id: Whose: a customer, a user, or a registration that waits to be confirmed.
        address: The exact address or number that the secret goes to.
        secret_hash: Of what was sent; None until it is about to be sent.
        attempts: How many codes were tried.
        expires_at: When it is worth nothing any more.
        used_at: When it was proved, which works once; of an old address, when its owner was told.
    """

    id: UUID
    kind: VerificationKind
    subject_id: UUID
    address: str
    secret_hash: bytes | None
    attempts: int
    expires_at: datetime
    used_at: datetime | None

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be proved."""
        return self.used_at is None and now < self.expires_at


class VerificationRepository(Repository):
    """Proofs on one connection."""

    async def replace(
        self, kind: VerificationKind, subject_id: UUID, address: str, *, now: datetime, expires_at: datetime
    ) -> UUID:
        """Begin a proof without a secret; an earlier one for the same purpose and subject is void."""
        verification_id: UUID = await self._value(
            """
            INSERT INTO verifications (kind, subject_id, address, created_at, expires_at)
            VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT (kind, subject_id) DO UPDATE
            SET id = excluded.id, address = excluded.address, secret_hash = NULL, attempts = 0,
                created_at = excluded.created_at, expires_at = excluded.expires_at, used_at = NULL
            RETURNING id
            """,
            [kind, subject_id, address, now, expires_at],
        )
        return verification_id

    async def add_unless_open(
        self, kind: OldContactKind, subject_id: UUID, address: str, *, now: datetime, expires_at: datetime
    ) -> UUID | None:
        """Keep an old address as `replace` would, unless an earlier one still waits; None then."""
        verification_id: UUID | None = await self._value(
            """
            INSERT INTO verifications AS v (kind, subject_id, address, created_at, expires_at)
            VALUES (%(kind)s, %(subject_id)s, %(address)s, %(now)s, %(expires_at)s)
            ON CONFLICT (kind, subject_id) DO UPDATE
            SET id = excluded.id, address = excluded.address, created_at = excluded.created_at,
                expires_at = excluded.expires_at, used_at = NULL
            WHERE v.used_at IS NOT NULL OR v.expires_at <= %(now)s
            RETURNING id
            """,
            {"kind": kind, "subject_id": subject_id, "address": address, "now": now, "expires_at": expires_at},
        )
        return verification_id

    async def close(self, verification_id: UUID, *, now: datetime) -> None:
        """Note that the owner of an old address was told."""
        await self._execute("UPDATE verifications SET used_at = %s WHERE id = %s", [now, verification_id])

    async def get(self, verification_id: UUID, *, lock: bool = False) -> Verification | None:
        """The proof with this id, unless a newer one took its place; locked until the transaction ends, if asked."""
        query = SQL("SELECT {} FROM verifications WHERE id = %s {}").format(_columns, SQL("FOR UPDATE" if lock else ""))
        return await self._one(Verification, query, [verification_id])

    async def get_by_secret(self, kind: VerificationKind, secret_hash: bytes) -> Verification | None:
        """The proof that a mailed token belongs to."""
        query = SQL("SELECT {} FROM verifications WHERE kind = %s AND secret_hash = %s").format(_columns)
        return await self._one(Verification, query, [kind, secret_hash])

    async def arm(self, verification_id: UUID, secret_hash: bytes, *, expires_at: datetime) -> None:
        """Keep the hash of the secret that is about to be sent."""
        await self._execute(
            "UPDATE verifications SET secret_hash = %s, expires_at = %s WHERE id = %s",
            [secret_hash, expires_at, verification_id],
        )

    async def spend(
        self, kind: VerificationKind, secret_hash: bytes, *, subject_id: UUID | None, now: datetime
    ) -> Verification | None:
        """Mark the open proof with this secret as used, and return it; None if there is none. One of two gets it.

        Args:
            kind: What for.
            secret_hash: Of what was sent.
            subject_id: Whose it must be; None for anybody's.
            now: The present instant.
        """
        query = SQL(
            "UPDATE verifications SET used_at = %(now)s WHERE kind = %(kind)s AND secret_hash = %(secret_hash)s"
            " AND subject_id = coalesce(%(subject_id)s, subject_id) AND used_at IS NULL AND expires_at > %(now)s"
            " RETURNING {}"
        ).format(_columns)
        parameters = {"now": now, "kind": kind, "secret_hash": secret_hash, "subject_id": subject_id}
        return await self._one(Verification, query, parameters)

    async def count_attempt(
        self, kind: VerificationKind, subject_id: UUID, *, at_most: int, now: datetime
    ) -> Verification | None:
        """Count one more try at the open proof of a subject; None if there is none that was sent, or no try is left."""
        query = SQL(
            "UPDATE verifications SET attempts = attempts + 1 WHERE kind = %s AND subject_id = %s AND attempts < %s"
            " AND secret_hash IS NOT NULL AND used_at IS NULL AND expires_at > %s RETURNING {}"
        ).format(_columns)
        return await self._one(Verification, query, [kind, subject_id, at_most, now])

    async def get_open(self, kind: VerificationKind, subject_id: UUID, *, now: datetime) -> Verification | None:
        """The proof of a subject that was sent and is neither used nor expired."""
        query = SQL(
            "SELECT {} FROM verifications WHERE kind = %s AND subject_id = %s AND secret_hash IS NOT NULL"
            " AND used_at IS NULL AND expires_at > %s"
        ).format(_columns)
        return await self._one(Verification, query, [kind, subject_id, now])

    async def void(self, subject_id: UUID, kind: VerificationKind | None = None) -> None:
        """Forget what a subject was asked to prove: of one kind, or of every kind."""
        await self._execute(
            "DELETE FROM verifications WHERE subject_id = %s AND kind = coalesce(%s, kind)", [subject_id, kind]
        )

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete proofs that have expired; how many."""
        return await self._execute(
            "DELETE FROM verifications WHERE id IN"
            " (SELECT id FROM verifications WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, at_most],
        )
