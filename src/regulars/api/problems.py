"""Every refusal and every fault as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Scope

from regulars.api.errors import MalformedRequest, MethodNotAllowed
from regulars.kit.errors import NotFound, Refusal, problem_of

problem_type = "application/problem+json"


class ProblemResponse(JSONResponse):
    """An answer that says why there is no other."""

    media_type = problem_type

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - any problem
        """Encode; facts may be ids, instants and amounts."""
        return to_json(content)


def respond(refusal: Refusal, trace_id: str) -> ProblemResponse:
    """The refusal as an answer, with its headers."""
    return ProblemResponse(problem_of(refusal, trace_id), status_code=refusal.status, headers=refusal.answer_headers())


async def answer_refusal(request: Request, refusal: Exception) -> ProblemResponse:
    """Exception handler for refusals."""
    assert isinstance(refusal, Refusal)  # noqa: S101 - registered for this class
    return respond(refusal, request.state.trace_id)


async def answer_http_exception(request: Request, error: Exception) -> ProblemResponse:
    """Exception handler for what the framework itself refuses: routes it does not find."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == HTTPStatus.NOT_FOUND:
        return respond(NotFound(), request.state.trace_id)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response = respond(MethodNotAllowed(), request.state.trace_id)
        response.headers["Allow"] = ", ".join(sorted(_methods_of_path(request.app, request.scope)))
        return response
    return respond(MalformedRequest(), request.state.trace_id)


def install(app: FastAPI) -> None:
    """Answer refusals and the framework's own exceptions with problems."""
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(HTTPException, answer_http_exception)


def _methods_of_path(app: FastAPI, scope: Scope) -> set[str]:
    return {
        method
        for route in iter_route_contexts(app.routes)
        if route.path_regex.match(scope["path"])
        for method in route.methods or ()
    }
