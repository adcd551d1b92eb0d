"""Logs: one JSON object per line, and only fields that are listed here. No path, no body, no address, no name."""

import json
import logging
import sys
from contextvars import ContextVar
from traceback import extract_tb, format_list
from typing import TextIO

from regulars.kit.clock import utc_now

request_log = logging.getLogger("regulars.request")
fault_log = logging.getLogger("regulars.fault")

current_trace_id: ContextVar[str | None] = ContextVar("current_trace_id", default=None)
"""The trace id of the request at work, for records that outlive it; None outside of requests."""

_fields = ("trace_id", "method", "route", "status", "milliseconds", "caller")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; whatever a text contains, it stays inside its quotes."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, with the listed fields that it has."""
        line: dict[str, object] = {
            "time": utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _fields if getattr(record, name, None) is not None})
        if record.exc_info:
            line["traceback"] = _traceback(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


def _traceback(error: BaseException | None) -> str:
    """Where it happened and of what kind, through all causes. Messages are left out: they may repeat what was sent."""
    parts: list[str] = []
    while error is not None:
        frames = "".join(format_list(extract_tb(error.__traceback__)))
        parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(parts)


def configure_logging(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send all logs as JSON lines to a stream, by default standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # It logs whole addresses, and that of a webhook may carry a key.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def log_request(
    *, trace_id: str, method: str, route: str | None, status: int, milliseconds: float, caller: str | None
) -> None:
    """Write the one line of a request.

    Args:
        trace_id: The id that the caller got in X-Request-Id.
        method: HTTP method.
        route: Template of the route, `/api/v1/orders/{order_id}`; None if no route was found.
        status: HTTP status of the answer; 499 if the caller went away before one.
        milliseconds: From the first byte of the request to the end of the answer.
        caller: Kind of principal, `user` or `client`; None if nobody was let in.
    """
    fields = dict(zip(_fields, (trace_id, method, route, status, milliseconds, caller), strict=True))
    request_log.info("request", extra=fields)


def log_fault(error: BaseException, *, trace_id: str, expected: bool) -> None:
    """Write a fault with its traceback; an expected one (the database is away) without."""
    if expected:
        fault_log.warning(type(error).__name__, extra={"trace_id": trace_id})
    else:
        fault_log.error("unhandled", exc_info=error, extra={"trace_id": trace_id})
