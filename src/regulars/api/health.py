"""Is the process alive, can it work, and what does it offer?"""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from regulars.api.access import PublicBySetting, public
from regulars.api.openapi import openapi_document
from regulars.api.reference import content_policy, reference_page
from regulars.api.routing import Router, api_prefix
from regulars.kit.database import (
    DatabaseUnavailable,
    Transactions,
    is_durable,
    refusal_for,
    require_writable,
    schema_revision,
)
from regulars.kit.errors import Refusal
from regulars.kit.logs import current_trace_id, log_fault
from regulars.kit.schemas import ResponseSchema
from regulars.migrations import head_revision

router = Router(prefix="", tags=["Operations"])

FailedCheck = Literal["database", "schema", "durability", "writing", "draining"]


@dataclass
class Shutdown:
    """Whether somebody told the process to stop: it still answers, but is not ready for more."""

    has_begun: bool = False


class HealthResponse(ResponseSchema):
    """State of the service; of what is wrong, no more than the name of the check."""

    status: Literal["ok", "unavailable"]
    failed: FailedCheck | None = None


@router.get("/livez", operation_id="livez", summary="Is the process alive?", dependencies=[public])
async def livez() -> HealthResponse:
    """The process turns; no dependency is asked."""
    return HealthResponse(status="ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Can the process work?",
    dependencies=[public],
    responses={503: {"model": HealthResponse, "description": "Not ready; `failed` names the check."}},
)
async def readyz(request: Request, response: Response) -> HealthResponse:
    """The database is reachable, its schema is the expected one, it writes and flushes, nobody said stop."""
    failed = "draining" if request.app.state.shutdown.has_begun else await _failed_check(request.app.state.database)
    response.status_code = 503 if failed else 200
    return HealthResponse(status="unavailable" if failed else "ok", failed=failed)


@router.get(
    api_prefix + "/openapi.json",
    operation_id="openapi",
    summary="The contract itself",
    dependencies=[Depends(PublicBySetting("openapi_public"))],
    response_model=dict[str, Any],
)
async def openapi(request: Request) -> Response:
    """This document."""
    state = request.app.state
    if state.contract is None:  # to write it takes a tenth of a second, and anybody may ask for it
        state.contract = JSONResponse(openapi_document(request.app)).body
    return Response(state.contract, media_type="application/json")


@router.get(
    api_prefix + "/docs",
    operation_id="docs",
    summary="The contract for people",
    dependencies=[Depends(PublicBySetting("openapi_public"))],
    produces=["text/html"],
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>"}}}},
)
async def docs(request: Request) -> HTMLResponse:
    """Every operation and schema on one page, which loads nothing from elsewhere and runs no script."""
    state = request.app.state
    if state.reference_page is None:
        state.reference_page = reference_page(openapi_document(request.app))
    return HTMLResponse(state.reference_page, headers={"Content-Security-Policy": content_policy()})


async def _failed_check(database: Transactions) -> FailedCheck | None:
    try:
        async with database.transaction() as connection:
            if await schema_revision(connection) != head_revision():
                return "schema"
            if not await is_durable(connection):
                return "durability"
        return await _failed_write(database)
    except Refusal:
        return "database"
    except Exception as error:
        if refusal_for(error) is None:
            raise
        return "database"


async def _failed_write(database: Transactions) -> FailedCheck | None:
    """A server whose disk is full, or that may only be read, still answers questions."""
    try:
        async with database.transaction() as connection:
            await require_writable(connection)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it kept the server from writing
        log_fault(error, trace_id=current_trace_id.get() or "", expected=True)
        return "writing"
    return None
