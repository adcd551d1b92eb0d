"""What one connection may do before the application sees a request, and after it has answered.

uvicorn limits neither the head of a request nor the time in which an answer is read. How long a body may take is for
the application, which knows what it reads; here it counts only among the connections that wait for their client.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Literal
from uuid import uuid4

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from regulars.api import client_address as addresses
from regulars.api.errors import HeadersTooLarge, MalformedRequest
from regulars.api.open_connections import OpenConnections
from regulars.api.problems import respond
from regulars.kit.errors import Refusal

head_seconds = 15.0
head_bytes = 64 * 1024
answer_seconds = 15.0
least_bytes_per_second = 16 * 1024
last_request_seconds = 0.5
"""How long a server that stops waits for a request on a connection that it has accepted."""


class LimitedConnection(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with a client that must go on: send what it began to send, read what it asked for."""

    _part: Literal["nothing", "head", "body"] = "head"
    """What is being received; a new connection owes a head."""
    _since = 0.0
    _head_bytes = 0
    _unread: tuple[float, int] | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open: OpenConnections = config.loaded_app.state.connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._open.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._open.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; refuse a head that does not end."""
        if self._part == "nothing" and not self._is_answering():
            self._begin("head")
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._part == "head":
            self._head_bytes += len(data)
            if self._head_bytes > head_bytes:
                self._refuse(HeadersTooLarge())
                return
        self._say_whose_turn_it_is()

    def on_message_begin(self) -> None:
        """Begin to count."""
        if self._part != "head":
            self._begin("head")
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is here; the application says how long it waits for the rest."""
        self._begin("body")
        super().on_headers_complete()
        if self._open.is_draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The request is here."""
        self._part = "nothing"
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Ready for the next request, unless it has arrived already. What is left of this one has to come in time."""
        self._since = self.loop.time()
        self._say_whose_turn_it_is()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._say_whose_turn_it_is()

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._unread = None
        self._say_whose_turn_it_is()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says nothing that the caller does not know
        """Answer what is not HTTP as everything else is answered."""
        self._refuse(MalformedRequest())

    def shutdown(self) -> None:
        """End with the answer that is being made, or with that to a request which may be on its way already."""
        if self._is_answering():
            super().shutdown()
        else:
            self.loop.call_later(last_request_seconds, super().shutdown)

    def client_address(self, trusted: Sequence[addresses.Network]) -> str | None:
        """By the head of the request, once there is one: until then a proxy speaks for nobody."""
        if self._part == "body" or self._is_answering():
            return addresses.client_address(dict(self.scope), trusted)
        peer: dict[str, Any] = {"client": self.client, "headers": []}
        return None if addresses.is_proxy(peer, trusted) else addresses.client_address(peer, trusted)

    def end_if_overdue(self, now: float) -> None:
        """Close it when the head of a request, or the rest of one that was answered, or a reader took too long."""
        if self._is_unread_too_long(now):
            self.transport.abort()
        elif self._part != "nothing" and not self._is_answering() and now - self._since > head_seconds:
            self.transport.close()

    def give_up(self) -> None:
        """Close it at once, whatever is left to be read or sent."""
        self.transport.abort()

    def _begin(self, part: Literal["head", "body"]) -> None:
        self._part, self._since = part, self.loop.time()

    def _say_whose_turn_it_is(self) -> None:
        if self._part != "nothing" or self.flow.write_paused:
            self._open.wait(self, self.loop.time())
        elif self._is_answering():
            self._open.work(self)
        else:
            self._open.rest(self)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _is_unread_too_long(self, now: float) -> bool:
        """Whether what we have written stays where it is. What is being read is given the time that it takes."""
        size = self.transport.get_write_buffer_size()
        if not size:
            self._unread = None
            return False
        if self._unread is None or size > self._unread[1]:
            self._unread = (now, size)
        since, at_first = self._unread
        return now - since > answer_seconds + (at_first - size) / least_bytes_per_second

    def _refuse(self, refusal: Refusal) -> None:
        if self.transport.is_closing():
            return
        trace_id = uuid4().hex
        answer = respond(refusal, trace_id)
        answer.headers.update(
            {
                "Connection": "close",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Request-Id": trace_id,
            }
        )
        status = HTTPStatus(refusal.status)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        head += [name + b": " + value for name, value in [*self.server_state.default_headers, *answer.raw_headers]]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()
