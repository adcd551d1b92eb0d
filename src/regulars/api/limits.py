"""What is checked of every request before a route is looked for: host, size of address and headers, load."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from regulars.api.errors import BadHost, HeadersTooLarge, MalformedRequest, UriTooLong
from regulars.kit.database import Overloaded

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        body_bytes: Largest body, unless the operation names another limit.
        body_seconds: In which time a body must have arrived.
        target_bytes: Longest path and query together.
        header_bytes: Longest header, name and value together.
        headers_bytes: All headers together.
        handler_seconds: In which time an operation must be done, once its body is there.
        in_flight: Requests at work at once; more are shed.
    """

    body_bytes: int = 1024 * 1024
    body_seconds: float = 15.0
    target_bytes: int = 8 * 1024
    header_bytes: int = 8 * 1024
    headers_bytes: int = 32 * 1024
    handler_seconds: float = 8.0
    in_flight: int = 64


class InFlight:
    """Counts the requests at work and sheds what is too much.

    Attributes:
        now: Requests at work.
        shed: How many were refused since the process began.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.now = self.shed = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            Overloaded: all places are taken.
        """
        if self.now >= self._most:
            self.shed += 1
            raise Overloaded(retry_after=1)
        self.now += 1
        try:
            yield
        finally:
            self.now -= 1


def check_envelope(scope: Scope, limits: Limits, allowed_hosts: Sequence[str]) -> None:
    """Refuse an address or headers that no operation takes.

    Raises:
        BadHost: the Host header is missing or names another host.
        MalformedRequest: bytes that HTTP does not allow, or a path that is not UTF-8.
        UriTooLong: the request target is over its limit.
        HeadersTooLarge: a header, or all of them, are over their limit.
    """
    headers: Headers = scope["headers"]
    _check_host(headers, allowed_hosts)
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    query: bytes = scope["query_string"]
    if len(raw_path) + len(query) + bool(query) > limits.target_bytes:
        raise UriTooLong
    _check_target(raw_path, query)
    _check_headers(headers, limits)


def _check_host(headers: Headers, allowed_hosts: Sequence[str]) -> None:
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if len(hosts) != 1 or re.sub(r":\d+\Z", "", hosts[0]).lower() not in allowed_hosts:
        raise BadHost


def _check_target(raw_path: bytes, query: bytes) -> None:
    try:
        unquote_to_bytes(raw_path).decode()
        # Half a surrogate pair is refused later, as a value; anything else that is not UTF-8 is no text at all.
        unquote_to_bytes(query).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise MalformedRequest from error
    if re.search(rb"[^\x21-\x7e]", raw_path + query):
        raise MalformedRequest


def _check_headers(headers: Headers, limits: Limits) -> None:
    sizes = [len(name) + len(value) for name, value in headers]
    if sum(sizes) > limits.headers_bytes or max(sizes) > limits.header_bytes:
        raise HeadersTooLarge
    if any(re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in headers):
        raise MalformedRequest
