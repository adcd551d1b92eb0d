"""Bulk Operations: one change for up to a thousand customers."""

from typing import Annotated

from fastapi import Response

from regulars.api.access import requires
from regulars.api.customers import CustomersDep
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer, OnceDep
from regulars.api.long_work import LongWorkDep
from regulars.api.routing import Router
from regulars.customers.schemas_bulk import BulkCustomerStatusUpdate, BulkTagUpdate
from regulars.flows import deactivate_customers
from regulars.kit.bulk import BulkRejected, BulkResult
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/retail-customers/bulk", tags=["Bulk Operations"])

MayWrite = Annotated[Principal, requires("bulk:write")]


@router.post(
    "/status",
    operation_id="bulk_update_status",
    summary="Activate or deactivate customers",
    response_model=BulkResult,
    long_work=True,
    refusals=[BulkRejected],
)
async def bulk_update_status(
    update: BulkCustomerStatusUpdate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayWrite,
    once: OnceDep,
    long_work: LongWorkDep,
) -> Response:
    """Each customer is told apart: changed, so already, or failed and why. Who is deactivated is signed out."""

    async def work() -> Answer:
        result = await deactivate_customers.bulk_update_status(
            connection, update, by=caller, settings=settings, clock=clock
        )
        return Answer(result, status=200)

    return await once.run(lambda: long_work.run("bulk_update_status", update, work, rows=len(update.customer_ids)))


@router.post(
    "/tags",
    operation_id="bulk_update_tags",
    summary="Add and remove tags of customers",
    response_model=BulkResult,
    long_work=True,
    refusals=[BulkRejected],
)
async def bulk_update_tags(
    update: BulkTagUpdate, customers: CustomersDep, caller: MayWrite, once: OnceDep, long_work: LongWorkDep
) -> Response:
    """A customer who would have more than 50 tags fails and keeps those of before."""

    async def work() -> Answer:
        return Answer(await customers.bulk_update_tags(update, by=caller), status=200)

    return await once.run(lambda: long_work.run("bulk_update_tags", update, work, rows=len(update.customer_ids)))
