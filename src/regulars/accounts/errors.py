"""What sign-in and tokens are refused with."""

from typing import ClassVar

from regulars.kit.errors import BadRequest, Conflict, TooManyRequests, Unauthorized, Unprocessable


class Unauthenticated(Unauthorized):
    """This needs a bearer token."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class InvalidToken(Unauthorized):
    """The token does not pass."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class SessionRevoked(Unauthorized):
    """The session of this token has ended; sign in again."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class InvalidCredentials(Unauthorized):
    """The sign-in failed."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Basic"}
    example: ClassVar[dict[str, object]] = {"error": "invalid_grant"}


class UnsupportedGrantType(BadRequest):
    """Tokens are given for a password or for client credentials."""

    example: ClassVar[dict[str, object]] = {"error": "unsupported_grant_type"}


class TooManyAttempts(TooManyRequests):
    """Too many failed sign-ins; wait before the next."""


class WeakPassword(Unprocessable):
    """The password is too easy to guess."""

    example: ClassVar[dict[str, object]] = {"rule": "breached"}


class LastAdmin(Conflict):
    """The change would leave no enabled admin."""
