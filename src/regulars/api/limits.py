"""What is checked of every request before a route is looked for: host, size of address and headers, load."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from regulars.api.errors import BadHost, HeadersTooLarge, MalformedRequest, UriTooLong
from regulars.kit.database import Overloaded

Headers = Sequence[tuple[bytes, bytes]]

probes = frozenset({"/livez", "/readyz"})
watched = probes | {"/metrics"}


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Attributes:
        body_bytes: Largest body, unless the operation names another limit.
        body_seconds: In which time a body must have arrived, besides what its bytes may take.
        least_bytes_per_second: How slowly the bytes of a body may come.
        target_bytes: Longest path and query together.
        header_bytes: Longest header, name and value together.
        headers_bytes: All headers together.
        handler_seconds: In which time an operation must be done, once its body is there.
        in_flight: Requests at work at once; more are shed.
    """

    body_bytes: int = 1024 * 1024
    body_seconds: float = 15.0
    least_bytes_per_second: int = 16 * 1024
    target_bytes: int = 8 * 1024
    header_bytes: int = 8 * 1024
    headers_bytes: int = 32 * 1024
    handler_seconds: float = 8.0
    in_flight: int = 64


class Place:
    """A place among the requests at work. It is given back while the client is waited for."""

    def __init__(self, in_flight: "InFlight") -> None:
        self._in_flight = in_flight
        self._is_held = False

    def take(self) -> None:
        """Go to work.

        Raises:
            Overloaded: all places are taken.
        """
        if not self._is_held:
            self._in_flight.admit()
            self._is_held = True

    def give_back(self) -> None:
        """Work no more, for now or for good."""
        if self._is_held:
            self._in_flight.now -= 1
            self._is_held = False

    def __enter__(self) -> Self:
        """Go to work."""
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        """Be done."""
        self.give_back()


class InFlight:
    """Counts the requests at work and sheds what is too much.

    A request is at work while it is admitted, and from the moment when all of it is here until its answer is made. A
    client that sends slowly, or does not read, holds no place.

    Attributes:
        now: Requests at work.
        shed: How many were refused since the process began.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.now = self.shed = 0

    def place(self) -> Place:
        """A place to take, with `with` or step by step."""
        return Place(self)

    def admit(self) -> None:
        """Count one more.

        Raises:
            Overloaded: all places are taken.
        """
        if self.now >= self._most:
            self.shed += 1
            raise Overloaded(retry_after=1)
        self.now += 1


def check_envelope(scope: Scope, limits: Limits, allowed_hosts: Sequence[str]) -> None:
    """Refuse an address or headers that no operation takes.

    Raises:
        BadHost: the Host header is missing or names another host.
        MalformedRequest: bytes that HTTP does not allow, or a path that is not UTF-8.
        UriTooLong: the request target is over its limit.
        HeadersTooLarge: a header, or all of them, are over their limit.
    """
    headers: Headers = scope["headers"]
    _check_host(headers, allowed_hosts, is_watched=scope["path"] in watched)
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass")
    query: bytes = scope["query_string"]
    if len(raw_path) + len(query) + bool(query) > limits.target_bytes:
        raise UriTooLong
    _check_target(raw_path, query)
    _check_headers(headers, limits)


def _check_host(headers: Headers, allowed_hosts: Sequence[str], *, is_watched: bool) -> None:
    """Refuse other names than ours. Whoever watches over the process calls it by its address, or by none at all."""
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if len(hosts) > 1 or not (hosts or is_watched):
        raise BadHost
    for host in hosts:
        name = re.sub(r":\d{1,5}\Z", "", host).lower()
        if name not in allowed_hosts and not (is_watched and _is_address(name)):
            raise BadHost


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


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
    if sum(sizes) > limits.headers_bytes or max(sizes, default=0) > limits.header_bytes:
        raise HeadersTooLarge
    if any(re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value) for _, value in headers):
        raise MalformedRequest
