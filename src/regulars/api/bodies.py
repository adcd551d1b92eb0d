"""How a body comes in: of a type and encoding the operation takes, within its size and its time."""

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from regulars.api.errors import BodyTooLarge, NotAcceptable, RequestTimeout, UnsupportedEncoding, UnsupportedMediaType
from regulars.api.limits import Limits


def check_accept(headers: Headers, produced: Sequence[str]) -> None:
    """Refuse a caller that takes none of the types an operation can send.

    Raises:
        NotAcceptable: every produced type is excluded.
    """
    accept = ",".join(headers.getlist("accept"))
    if accept.strip() and produced and not any(_quality(accept, media_type) > 0 for media_type in produced):
        raise NotAcceptable


def preferred(headers: Headers, produced: Sequence[str]) -> str:
    """Which of the types an operation can send the caller likes best; the first of them where it does not say."""
    accept = ",".join(headers.getlist("accept"))
    return max(produced, key=lambda media_type: _quality(accept, media_type)) if accept.strip() else produced[0]


def has_body(headers: Headers) -> bool:
    """Whether the request announces a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def check_body_headers(headers: Headers, consumed: Sequence[str], max_bytes: int) -> None:
    """Refuse a body by what its headers say.

    Raises:
        UnsupportedMediaType: another type, or a charset that is not UTF-8.
        UnsupportedEncoding: the body is compressed.
        BodyTooLarge: the announced length is over the limit.
    """
    content_types = headers.getlist("content-type")
    if len(content_types) != 1 or not _is_one_of(content_types[0], consumed):
        raise UnsupportedMediaType
    if any(coding.strip().lower() != "identity" for coding in headers.getlist("content-encoding")):
        raise UnsupportedEncoding
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise BodyTooLarge(limit_bytes=max_bytes)


def within_limits(receive: Receive, limits: Limits, *, max_bytes: int) -> Receive:
    """A channel that delivers the body and refuses what is too much or too late.

    The time that a body is given grows with what has come, so that a large one may take long and no one may stop.

    The returned channel raises:
        BodyTooLarge: more than `max_bytes` have come.
        RequestTimeout: the client was too slow, or sends nothing any more.
    """
    received, is_complete = 0, False
    started = asyncio.get_running_loop().time()

    async def limited() -> Message:
        nonlocal received, is_complete
        deadline = started + limits.body_seconds + received / limits.least_bytes_per_second
        try:
            async with asyncio.timeout_at(None if is_complete else deadline):
                message = await receive()
        except TimeoutError as error:
            raise RequestTimeout from error
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise BodyTooLarge(limit_bytes=max_bytes)
            is_complete = not message.get("more_body", False)
        return message

    return limited


def replay(body: bytes, receive: Receive) -> Receive:
    """A channel that delivers a body which has been read already, then whatever follows."""
    delivered = False

    async def replayed() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _is_one_of(content_type: str, consumed: Sequence[str]) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        parameter.removeprefix("charset=").strip('"') for parameter in parameters if parameter.startswith("charset=")
    ]
    return media_type in consumed and all(charset in {"utf-8", "utf8", "us-ascii"} for charset in charsets)


def _quality(accept: str, media_type: str) -> float:
    """How much an Accept header wants a type: the most specific range that covers it decides (RFC 9110, 12.5.1)."""
    ranges = {media_type: 2, media_type.split("/", maxsplit=1)[0] + "/*": 1, "*/*": 0}
    best = (-1, 0.0)
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in ranges:
            best = max(best, (ranges[name], _weight(parameters)))
    return best[1]


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
