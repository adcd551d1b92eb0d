"""What one connection may do before the application sees a request: uvicorn sets no limit to the head of a request."""

import asyncio
from http import HTTPStatus
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from regulars.api.errors import HeadersTooLarge, MalformedRequest
from regulars.api.problems import respond
from regulars.kit.errors import Refusal

head_seconds = 15
head_bytes = 64 * 1024


class LimitedConnection(HttpToolsProtocol):
    """HTTP as uvicorn speaks it. The head of a request must arrive in time and be small, or nobody waits for it."""

    _patience: asyncio.TimerHandle | None = None
    _idle = True
    _reading_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._end_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; refuse a head that does not end."""
        if self._idle and self._patience is None:
            self._begin_waiting()
        super().data_received(data)
        if self._reading_head:
            self._head_bytes += len(data)
            if self._head_bytes > head_bytes:
                self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._reading_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is here; the application looks after the rest."""
        self._idle = self._reading_head = False
        self._end_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Ready for the next request, unless it has arrived already."""
        self._idle = not self.pipeline
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says nothing that the caller does not know
        """Answer what is not HTTP as everything else is answered."""
        self._refuse(MalformedRequest())

    def _begin_waiting(self) -> None:
        self._patience = self.loop.call_later(head_seconds, self.transport.close)

    def _end_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

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
