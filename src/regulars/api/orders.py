"""Orders: take in what customers bought, one by one or in bulk, find it, and take it back."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer, OnceDep
from regulars.api.long_work import PrefersJobDep
from regulars.api.routing import Router
from regulars.api.uploads import Imports
from regulars.customers.errors import CustomerErased
from regulars.flows import refund_order as taking_back
from regulars.flows.import_uploads import csv_type, ndjson_type
from regulars.flows.record_purchase import record_purchase
from regulars.kit.schemas import Accepted, Page, Source
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.orders.errors import OrderCancelled, OrderConflict, RefundConflict, RefundExceedsOrder, SourceForbidden
from regulars.orders.keys import OrderKeyText, parse_order_key
from regulars.orders.schemas import ImportResult, OrderCreate, OrderResponse
from regulars.orders.schemas_refunds import OrderCancel, RefundCreate, RefundResponse
from regulars.orders.schemas_search import OrderSearchFilters
from regulars.orders.service import OrderService, own_source

prefix = "/api/v1/orders"
router = Router(prefix=prefix, tags=["Orders"])

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
MayRead = Annotated[Principal, requires("orders:read", own=True)]
MayRefund = Annotated[Principal, requires("orders:refund")]
MayImport = Annotated[Principal, requires("orders:import")]


async def order_imports(
    request: Request, settings: SettingsDep, clock: ClockDep, is_job_preferred: PrefersJobDep
) -> Imports:
    """Imports into the database of the application, in sessions of their own."""
    return Imports(request, request.app.state.database, settings, clock, is_job_preferred)


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
    refusals=[CustomerErased, SourceForbidden, OrderConflict, OrderCancelled],
)
async def record_order(
    order: OrderCreate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayWrite,
    once: OnceDep,
) -> Response:
    """Recognised by source and external_id: the same order again gives the stored one.

    Other content is refused, unless `is_revision` says that the source changed the order: then it replaces what is
    stored, and the points follow.

    Sent again with a later status, the order goes forward: pending, paid, fulfilled, cancelled. It earns points once,
    when it is paid. A status that the order has passed already changes nothing. A cancelled order cannot be paid: who
    sends what was sent before gets the stored one, any other status is refused.
    """

    async def work() -> Answer:
        purchase = await record_purchase(connection, order, by=caller, settings=settings, clock=clock)
        location = {"Location": f"{prefix}/{purchase.order.id}"} if purchase.is_new else {}
        return Answer(purchase.order, 201 if purchase.is_new else 200, location, purchase.order.customer_id)

    return await once.run(work, concerns=order.customer_id)


@router.get("", operation_id="list_orders", summary="Find orders")
async def list_orders(
    filters: Annotated[OrderSearchFilters, Query()], connection: TransactionDep, caller: MayRead
) -> Page[OrderResponse]:
    """All filters must hold. Customers see their own orders, API clients those of their source or of one customer."""
    return await OrderService(connection).list_orders(filters, by=caller)


@router.get("/{order_id}", operation_id="get_order", summary="Read an order", refusals=[CustomerErased])
async def get_order(order_id: OrderKeyText, connection: TransactionDep, caller: MayRead) -> OrderResponse:
    """With its lines and refunds, by its id or by `source:external_id`. API clients read those of their source.

    Those of other sources they find by naming the customer in the list, or read with the scope `orders:any-source`.
    """
    return await OrderService(connection).get_order(parse_order_key(order_id), by=caller)


@router.post(
    "/{order_id}/refunds",
    operation_id="refund_order",
    summary="Refund an order",
    status_code=201,
    response_model=RefundResponse,
    responses={
        200: {"model": RefundResponse, "description": "The same refund was stored before."},
        202: {"model": Accepted, "description": "The order is not known yet; the refund is held for it."},
    },
    refusals=[OrderCancelled, RefundConflict, RefundExceedsOrder],
)
async def refund_order(
    order_id: OrderKeyText,
    refund: RefundCreate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayRefund,
    once: OnceDep,
) -> Response:
    """An amount, or lines that are brought back, or shipping; as often as there is something left.

    The order's points go back by what of it earned them: lines take their part, shipping takes nothing where it earned
    nothing, an amount takes its share of what is left. Goods come back also when nothing is left to be paid. Orders of
    people who were deleted or erased can be refunded too.

    Recognised by refund_id: the same refund again gives the stored one, other content is refused. By the setting
    `early_refunds`, one that names an order by `source:external_id` before it came is refused or held for it. API
    clients refund and cancel orders of their source; with the scope `orders:any-source` also those of others, as a
    shop does that takes back what was bought online.
    """
    key = parse_order_key(order_id)

    async def work() -> Answer:
        done = await taking_back.refund_order(connection, key, refund, by=caller, settings=settings, clock=clock)
        if done is None:
            return Answer(Accepted(), 202)
        return Answer(done.refund, 201 if done.is_new else 200, concerns=done.refund.customer_id)

    return await once.run(work)


@router.post(
    "/{order_id}/cancel",
    operation_id="cancel_order",
    summary="Cancel an order",
    response_model=OrderResponse,
    responses={202: {"model": Accepted, "description": "The order is not known yet; the cancellation is held for it."}},
    refusals=[CustomerErased],
)
async def cancel_order(
    order_id: OrderKeyText,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayRefund,
    once: OnceDep,
    cancel: OrderCancel | None = None,
) -> Response:
    """The order counts no more, and all of its points are taken back. A cancelled order stays as it is."""
    key, wanted = parse_order_key(order_id), cancel or OrderCancel()

    async def work() -> Answer:
        order = await taking_back.cancel_order(connection, key, wanted, by=caller, settings=settings, clock=clock)
        return Answer(order, 200, concerns=order.customer_id) if order else Answer(Accepted(), 202)

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
) -> Response:
    """One order a line, with the fields of `docs/reference/order-files.md`; bad lines are told, the others imported."""
    return await imports.run(own_source(source, caller, place="query"), by=caller)
