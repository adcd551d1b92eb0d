"""Proofs by mail and by text message: that an address is somebody's, or that somebody may do without a password.

A proof begins without a secret. The job that sends it makes the secret at the last moment and keeps only its hash, so
that no secret ever lies in the queue or in the database:

    verification_id = await verifications.begin("email", customer.id, customer.email)   # in the request
    await enqueue(connection, "send_email_verification", verification_id=str(verification_id))

    armed = await verifications.arm(verification_id)                                    # in the job
    if armed is not None:                                                               # None: a newer one replaced it
        await messenger.send_mail(mail_to(armed.verification.address, armed.secret))

    proved = await verifications.spend_token("email", token, subject_id=customer.id)    # in the request with the token
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from regulars.customers.errors import CodeBurned, InvalidCode, InvalidOrExpiredToken
from regulars.customers.repository_verifications import (
    OldContactKind,
    Verification,
    VerificationKind,
    VerificationRepository,
)
from regulars.customers.sending_caps import SendingCaps, SendingLimits
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.settings import Settings

lives: Final[Mapping[VerificationKind, timedelta]] = {
    "email": timedelta(hours=24),
    "phone": timedelta(minutes=10),
    "password_reset": timedelta(hours=1),
    "registration": timedelta(hours=24),
    "old_email": timedelta(days=7),
    "old_phone": timedelta(days=7),
}
"""How long a secret is worth something, from the moment it is sent; and how long a job may try to send it."""

most_attempts: Final = 5
code_digits: Final = 6


@dataclass(frozen=True)
class ArmedVerification:
    """A proof together with the secret to send: known here and to the one who gets it, and nowhere else."""

    verification: Verification
    secret: str = field(repr=False)


class Verifications:
    """Begins, sends and checks proofs in the caller's transaction."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        hashes = KeyedHashes.from_settings(settings)
        self._proofs = VerificationRepository(connection)
        self._limits = SendingLimits(connection, hashes, clock, SendingCaps.of(settings))
        self._hashes = hashes
        self._clock = clock

    async def begin(self, kind: VerificationKind, subject_id: UUID, address: str) -> UUID:
        """Ask for a proof; the one that was asked for before is void, sent or not.

        Args:
            kind: What for.
            subject_id: Whose it will be.
            address: Where the secret goes: e-mail address or phone number in its one spelling.

        Returns:
            Its id, for the job that sends it.

        Raises:
            RateLimited: this address was sent to 3 times in 15 minutes or 10 times in a day, or the customer or the
                shop has sent as much in a day as the settings allow.
        """
        now = self._clock.now()
        await self._limits.take(kind, subject_id, address)
        return await self._proofs.replace(kind, subject_id, address, now=now, expires_at=now + lives[kind])

    async def arm(self, verification_id: UUID) -> ArmedVerification | None:
        """Make the secret of a proof, just before it is sent; a job that is repeated makes a new one.

        None if the proof was replaced, used or has waited for too long: then nothing is to be sent. Commit before
        sending, or the secret arrives before it is valid.
        """
        now = self._clock.now()
        proof = await self._proofs.get(verification_id, lock=True)
        if proof is None or not proof.is_open(now):
            return None
        secret = _new_code() if proof.kind == "phone" else secrets.token_urlsafe(32)
        await self._proofs.arm(proof.id, self._hash(proof, secret), expires_at=now + lives[proof.kind])
        return ArmedVerification(proof, secret)

    async def find_by_token(self, kind: VerificationKind, token: str) -> Verification:
        """The open proof that a mailed token belongs to; it stays open. For checks that come before using it.

        Raises:
            InvalidOrExpiredToken: whatever the reason.
        """
        proof = await self._proofs.get_by_secret(kind, _token_hash(token))
        if proof is None or not proof.is_open(self._clock.now()):
            raise InvalidOrExpiredToken
        return proof

    async def spend_token(self, kind: VerificationKind, token: str, *, subject_id: UUID | None = None) -> Verification:
        """Use a mailed token: it works once, unless the transaction is rolled back.

        The caller still compares `address` with what the subject has now.

        Args:
            kind: What for; a token of another kind does not pass.
            token: As it was mailed.
            subject_id: Whose it must be, where the request names somebody.

        Raises:
            InvalidOrExpiredToken: wrong, used, expired, replaced, or somebody else's: one answer.
        """
        proof = await self._proofs.spend(kind, _token_hash(token), subject_id=subject_id, now=self._clock.now())
        if proof is None:
            raise InvalidOrExpiredToken
        return proof

    async def count_code(self, subject_id: UUID) -> Verification:
        """Count one try at the code that was texted to a customer. Commit before `check_code()`.

        A refusal rolls back; were counting and checking one transaction, a wrong code would not count, and a million
        of them could be tried.

        Raises:
            CodeBurned: five codes were tried; this one is not even looked at.
            InvalidCode: no code is open.
        """
        now = self._clock.now()
        proof = await self._proofs.count_attempt("phone", subject_id, at_most=most_attempts, now=now)
        if proof is not None:
            return proof
        if await self._proofs.get_open("phone", subject_id, now=now):
            raise CodeBurned(retry_after=1)
        raise InvalidCode(attempts_left=0)

    async def check_code(self, counted: Verification, code: str) -> None:
        """Use the code of a counted try: it works once.

        Raises:
            InvalidCode: wrong, or used or replaced meanwhile; says how many tries are left.
        """
        code_hash, now = self._hash(counted, code), self._clock.now()
        matches = hmac.compare_digest(counted.secret_hash or b"", code_hash)
        if not (matches and await self._proofs.spend("phone", code_hash, subject_id=counted.subject_id, now=now)):
            raise InvalidCode(attempts_left=most_attempts - counted.attempts)

    async def keep_old(self, kind: OldContactKind, subject_id: UUID, address: str) -> UUID | None:
        """Keep a proved address that a customer has no more, until its owner has been told.

        Returns:
            Its id, for the job that tells; None where one that was taken earlier still waits. Whoever takes an account
            over and changes the address twice does not get the word that was meant for its owner.
        """
        now = self._clock.now()
        return await self._proofs.add_unless_open(kind, subject_id, address, now=now, expires_at=now + lives[kind])

    async def void(self, subject_id: UUID, kind: VerificationKind | None = None) -> None:
        """Forget what a subject was asked to prove, because the address has changed or the subject is gone."""
        await self._proofs.void(subject_id, kind)

    def _hash(self, proof: Verification, secret: str) -> bytes:
        """Of a code with the key of the installation: a plain hash of six digits is found in a moment."""
        return self._hashes.of("phone-code", f"{proof.id}:{secret}") if proof.kind == "phone" else _token_hash(secret)


def _new_code() -> str:
    return f"{secrets.randbelow(10**code_digits):0{code_digits}d}"


def _token_hash(token: str) -> bytes:
    """SHA-256 of 256 random bits; being random, they need no salt."""
    return sha256(token.encode()).digest()
