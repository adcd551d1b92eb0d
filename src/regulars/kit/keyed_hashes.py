"""Hashes that only this installation can compute: of what could be guessed from a plain hash by trying."""

import hmac
from dataclasses import dataclass, field
from typing import Self

from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings


@dataclass(frozen=True)
class KeyedHashes:
    """HMAC-SHA-256 under a secret of the installation.

    What is stored by such a hash is found no more once the secret is replaced. That of `from_settings()` signs tokens
    and will be, so it is for short-lived things: counters of an hour or a day, codes of ten minutes.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The hashes under `jwt_secret`.

        Raises:
            OperatorError: there is no secret.
        """
        if settings.jwt_secret is None:
            raise OperatorError(
                "REGULARS_JWT_SECRET is not set.",
                "Set it to 32 random bytes or more, such as the output of `openssl rand -hex 32`.",
            )
        return cls(settings.jwt_secret.get_secret_value().encode())

    def of(self, purpose: str, text: str) -> bytes:
        """The hash of a text; equal texts of different purposes have nothing in common."""
        return hmac.digest(self.secret, f"{purpose}:{text}".encode(), "sha256")
