"""Access tokens (JWT, HS256) and refresh tokens (opaque).

An access token proves who signed in, nothing more: every check of what the caller may do at this moment is made
against the session in the database.
"""

import hashlib
import logging
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
from pydantic import SecretStr

from regulars.accounts.errors import InvalidToken
from regulars.kit.errors import OperatorError, free_space, out_of_space
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.private_files import create_private, make_private
from regulars.kit.settings import Settings

log = logging.getLogger(__name__)

leeway_seconds = 5
longest_life_seconds = 15 * 60
shortest_secret_bytes = 32
_claims = frozenset({"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid", "auth_epoch", "role", "scope"})
_header = frozenset({"alg", "typ", "kid"})
_sample_words = ("changeme", "change-me", "change_me", "secret", "example", "sample", "password", "your-")


@dataclass(frozen=True)
class Identity:
    """Who a token says is calling, and since when.

    Attributes:
        subject: The user or API client.
        session_id: The session that it was given in.
        auth_epoch: That of the owner when it was given.
        ends_at: When the token is worth nothing, in seconds since 1970; nothing that tells who it is.
    """

    subject: UUID
    session_id: UUID
    auth_epoch: int
    ends_at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class TokenSigner:
    """Signs access tokens with the present secret and reads those signed with the present or the previous one.

    Attributes:
        keys: Secrets by their key id; the first one signs.
        issuer: Claim `iss`.
        audience: Claim `aud`.
        life: How long an access token is valid, 15 minutes at most.
    """

    keys: Mapping[str, bytes]
    issuer: str
    audience: str
    life: timedelta

    @classmethod
    def from_settings(cls, settings: Settings) -> "TokenSigner":
        """The signer of an installation.

        Raises:
            OperatorError: there is no secret, or one that could be guessed.
        """
        if settings.jwt_secret is None:
            raise OperatorError(
                "REGULARS_JWT_SECRET is not set.",
                "Set it to 32 random bytes or more, such as the output of `openssl rand -hex 32`.",
            )
        given = {"jwt_secret": settings.jwt_secret, "jwt_secret_previous": settings.jwt_secret_previous}
        secrets_in_use = [_checked(secret, name) for name, secret in given.items() if secret is not None]
        return cls(
            keys={_key_id(secret): secret for secret in secrets_in_use},
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            life=timedelta(minutes=settings.access_token_minutes),
        )

    def sign(self, identity: Identity, *, role: str, scopes: frozenset[str], now: datetime) -> str:
        """An access token for a session."""
        key_id, secret = next(iter(self.keys.items()))
        issued = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": str(identity.subject),
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(self.life.total_seconds()),
            "jti": uuid4().hex,
            "sid": str(identity.session_id),
            "auth_epoch": identity.auth_epoch,
            "role": role,
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode(claims, secret, algorithm="HS256", headers={"typ": "at+jwt", "kid": key_id})

    def read(self, token: str, *, now: datetime) -> Identity:
        """Who the token names.

        Raises:
            InvalidToken: a header or claim is missing, foreign or wrong, the signature does not match, or it is not
                valid at this time.
        """
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                algorithms=["HS256"],
                issuer=self.issuer,
                audience=self.audience,
                options={
                    "require": sorted(_claims),
                    "strict_aud": True,
                    "verify_exp": False,  # times are checked below, by our own clock
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            _check_times(claims, int(now.timestamp()))
            return _identity(claims)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            raise InvalidToken from error

    def _key_of(self, token: str) -> bytes:
        header = jwt.get_unverified_header(token)
        if set(header) != _header or header["alg"] != "HS256" or header["typ"] != "at+jwt":
            raise InvalidToken
        return self.keys[header["kid"]]


def new_refresh_token() -> tuple[str, bytes]:
    """A refresh token of 256 random bits, and the hash under which it is kept."""
    token = secrets.token_urlsafe(32)
    return token, hash_token(token)


def next_refresh_token(token: str, hashes: KeyedHashes) -> tuple[str, bytes]:
    """The refresh token that takes the place of one, and its hash: always the same one, which nobody else can tell.

    So whoever sends a token twice within a moment gets one successor, and the chain never forks.
    """
    successor = urlsafe_b64encode(hashes.of("next-refresh-token", token)).rstrip(b"=").decode()
    return successor, hash_token(successor)


def hash_token(token: str) -> bytes:
    """SHA-256 of a random token; being random, it needs no salt."""
    return hashlib.sha256(token.encode()).digest()


def secret_of_installation(data_dir: Path) -> SecretStr:
    """The signing secret kept beside the embedded database; made on first use, readable by its owner only.

    Raises:
        OperatorError: it cannot be read or written, or what is there is no secret.
    """
    path = data_dir / "jwt_secret"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        if path.is_file() and make_private(path):
            log.warning("%s could be read by others; it is private now. Replace it if somebody may have read it.", path)
        secret = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise OperatorError(
            f"The secret in {path} cannot be used ({reason}).",
            free_space
            if getattr(error, "errno", None) in out_of_space
            else "Let this user alone read and write it, or set REGULARS_JWT_SECRET.",
        ) from None
    if not _is_strong(secret):
        raise OperatorError(
            f"The secret in {path} is empty, too short or a sample value.",
            "Put back the one that was there; if there is none, delete the file, and a new one is made.",
        )
    return SecretStr(secret)


def _make_secret(path: Path) -> None:
    """Make the file whole or not at all: it is on disk before it has its name."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with create_private(fresh) as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its secret counts
            path.hardlink_to(fresh)
    finally:
        fresh.unlink(missing_ok=True)


def _is_strong(secret: str) -> bool:
    return (
        len(secret.encode()) >= shortest_secret_bytes
        and len(set(secret)) >= 8
        and not secret.lower().startswith(_sample_words)
    )


def _checked(secret: SecretStr, name: str) -> bytes:
    value = secret.get_secret_value()
    if not _is_strong(value):
        raise OperatorError(
            f"REGULARS_{name.upper()} is too short or a sample value.",
            "Set it to 32 random bytes or more, such as the output of `openssl rand -hex 32`.",
        )
    return value.encode()


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"kid:" + secret).hexdigest()[:16]


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    issued, not_before, expires = (_whole(claims[name]) for name in ("iat", "nbf", "exp"))
    if max(issued, not_before) > now + leeway_seconds or expires <= now - leeway_seconds:
        raise InvalidToken
    if expires - issued > longest_life_seconds:
        raise InvalidToken


def _identity(claims: Mapping[str, Any]) -> Identity:
    return Identity(
        UUID(claims["sub"]), UUID(claims["sid"]), _whole(claims["auth_epoch"]), _whole(claims["exp"]) + leeway_seconds
    )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise InvalidToken
    return value
