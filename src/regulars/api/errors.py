"""What the edge refuses before any domain is asked."""

from typing import ClassVar

from regulars.kit.errors import BadRequest, Refusal, Unprocessable


class MalformedJson(BadRequest):
    """The body is not one valid JSON text in UTF-8."""


class MalformedRequest(BadRequest):
    """The address or a header contains what HTTP does not allow."""


class BadHost(BadRequest):
    """This host name is not served here."""


class MethodNotAllowed(Refusal):
    """The path exists, but not with this method."""

    status = 405


class NotAcceptable(Refusal):
    """None of the types named in Accept can be sent."""

    status = 406


class RequestTimeout(Refusal):
    """The body did not arrive in time."""

    status = 408
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


class BodyTooLarge(Refusal):
    """The body is larger than this operation takes."""

    status = 413
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


class UriTooLong(Refusal):
    """The address is longer than 8 KiB."""

    status = 414


class UnsupportedMediaType(Refusal):
    """The Content-Type is missing or not one that this operation takes."""

    status = 415


class UnsupportedEncoding(Refusal):
    """Bodies are taken without Content-Encoding only."""

    status = 415


class IdempotencyKeyInvalid(BadRequest):
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""


class InvalidCursor(Unprocessable):
    """This cursor is not one of ours, or belongs to another list."""


class HeadersTooLarge(Refusal):
    """One header is over 8 KiB, or all of them over 32 KiB."""

    status = 431
