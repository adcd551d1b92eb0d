"""Orders: take in what customers bought, one by one or in bulk."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer, OnceDep
from regulars.api.routing import Router
from regulars.api.uploads import Imports
from regulars.customers.errors import CustomerErased
from regulars.flows.import_uploads import csv_type, ndjson_type
from regulars.flows.record_purchase import record_purchase
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Source
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.orders.errors import OrderConflict, SourceForbidden
from regulars.orders.schemas import ImportResult, OrderCreate, OrderResponse
from regulars.orders.service import own_source

router = Router(prefix="/api/v1/orders", tags=["Orders"])

_file_examples = {
    csv_type: {
        "schema": {"type": "string"},
        "example": "order_id,ordered_at,total,email\nW-1,2026-01-31T12:00:00Z,19.99,john@example.com\n",
    },
    ndjson_type: {
        "schema": {"type": "string"},
        "example": '{"order_id":"W-1","ordered_at":"2026-01-31","total":"19.99","email":"john@example.com"}\n',
    },
}

MayWrite = Annotated[Principal, requires("orders:write")]
MayImport = Annotated[Principal, requires("orders:import")]


async def order_imports(request: Request, settings: SettingsDep, clock: ClockDep) -> Imports:
    """Imports into the database of the application, in sessions of their own."""
    return Imports(request, request.app.state.database, settings, clock)


def import_limit(settings: Settings) -> int:
    """How large an order file may be."""
    return settings.import_max_bytes


@router.post(
    "",
    operation_id="record_order",
    summary="Take in an order",
    status_code=201,
    response_model=OrderResponse,
    responses={200: {"model": OrderResponse, "description": "The same order was stored before."}},
    refusals=[NotFound, CustomerErased, SourceForbidden, OrderConflict],
)
async def record_order(
    order: OrderCreate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayWrite,
    once: OnceDep,
) -> Response:
    """Recognised by source and external_id: the same order again gives the stored one, other content is refused."""

    async def work() -> Answer:
        purchase = await record_purchase(connection, order, by=caller, settings=settings, clock=clock)
        return Answer(purchase.order, status=201 if purchase.is_new else 200, concerns=purchase.order.customer_id)

    return await once.run(work)


@router.post(
    "/import",
    operation_id="import_orders",
    summary="Take in many orders",
    response_model=ImportResult,
    consumes=[csv_type, ndjson_type],
    body_limit=import_limit,
    streams=True,
    refusals=[SourceForbidden],
    openapi_extra={"requestBody": {"required": True, "content": _file_examples}},
)
async def import_orders(
    imports: Annotated[Imports, Depends(order_imports)],
    caller: MayImport,
    source: Annotated[Source | None, Query(description="An API client may leave it out: its own is filled in.")] = None,
    idempotency_key: Annotated[str | None, Header(description="Makes a repeat harmless.")] = None,  # noqa: ARG001
    prefer: Annotated[str | None, Header(description="`respond-async` imports by a job: 202.")] = None,  # noqa: ARG001
) -> Response:
    """One order a line, with the fields of `docs/reference/order-files.md`; bad lines are told, the others imported."""
    return await imports.run(own_source(source, caller, place="query"), by=caller)
