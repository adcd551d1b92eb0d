"""The outermost layer: a trace id, a log line and the same headers for every answer, and an answer to every fault."""

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any
from uuid import uuid4

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regulars.api.limits import Limits, check_envelope
from regulars.api.problems import respond
from regulars.api.routing import Route
from regulars.kit.database import refusal_for
from regulars.kit.errors import Internal, Refusal
from regulars.kit.logs import current_trace_id, log_fault, log_request
from regulars.kit.measures import RequestMeasures

client_went_away = 499


class Edge:
    """ASGI middleware around everything. Nothing gets past it without a trace id, and no exception gets out."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        allowed_hosts: list[str],
        measures: RequestMeasures,
    ) -> None:
        self._app = app
        self._limits = limits
        self._allowed_hosts = [host.lower() for host in allowed_hosts]
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, trace_id=uuid4().hex)
        scope.setdefault("state", {})["trace_id"] = answer.trace_id
        current_trace_id.set(answer.trace_id)
        started = perf_counter()
        try:
            await self._answer(scope, receive, answer)
        finally:
            method, route, seconds = scope["method"], _route_template(scope), perf_counter() - started
            self._measures.count(method=method, route=route, status=answer.status, seconds=seconds)
            log_request(
                trace_id=answer.trace_id,
                method=method,
                route=route,
                status=answer.status,
                milliseconds=round(seconds * 1000, 1),
                caller=getattr(scope["state"].get("principal"), "kind", None),
            )

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            check_envelope(scope, self._limits, self._allowed_hosts)
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            return  # nobody is left to answer; the log line says 499
        except Refusal as refusal:
            await self._refuse(refusal, scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - the last one who can answer
            expected = refusal_for(error)
            log_fault(error, trace_id=answer.trace_id, expected=expected is not None)
            await self._refuse(_with_members(expected or Internal(), scope), scope, receive, answer)

    @staticmethod
    async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if not answer.started:
            await respond(refusal, answer.trace_id)(scope, receive, answer)


class _Answer:
    """The channel to the caller; adds the headers of every answer and remembers the status."""

    def __init__(self, send: Send, trace_id: str) -> None:
        self._send = send
        self.trace_id = trace_id
        self.status = client_went_away
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            headers["Cache-Control"] = "no-store"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Request-Id"] = self.trace_id
        await self._send(message)


def _with_members(refusal: Refusal, scope: Scope) -> Refusal:
    """The refusal with what every problem of its operation carries."""
    route = scope.get("route")
    return route.with_members(refusal) if isinstance(route, Route) else refusal


def _route_template(scope: MutableMapping[str, Any]) -> str | None:
    """The path of the route with its placeholders: it names no customer."""
    template = getattr(scope.get("route"), "path_format", None)
    return template if isinstance(template, str) else None
