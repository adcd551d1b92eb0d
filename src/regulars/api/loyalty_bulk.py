"""Loyalty Program and Bulk Operations: many customers at once."""

from typing import Annotated

from fastapi import Depends, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, DatabaseDep, TransactionDep
from regulars.api.idempotency import Answer, OnceDep
from regulars.api.long_work import LongWorkDep
from regulars.api.loyalty import TiersDep
from regulars.api.routing import Router
from regulars.kit.bulk import BulkRejected, BulkResult
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.loyalty.bulk import BulkAwardService
from regulars.loyalty.errors import LimitExceeded
from regulars.loyalty.expiry import ExpiryService, expire_all
from regulars.loyalty.schemas import BulkLoyaltyTierUpdate, LoyaltyExpireRequest, LoyaltyExpireResult
from regulars.loyalty.schemas_lists import LoyaltyBulkEarn, LoyaltyBulkEarnResult

router = Router(prefix="/api/v1/retail-customers")

MayEarn = Annotated[Principal, requires("loyalty:earn")]
MayRunJobs = Annotated[Principal, requires("loyalty:jobs")]
MayWrite = Annotated[Principal, requires("bulk:write")]

bulk_body_bytes = 8 * 1024 * 1024


async def expiry_service(connection: TransactionDep, clock: ClockDep) -> ExpiryService:
    """Expiry in the request's transaction."""
    return ExpiryService(connection, clock)


ExpiryDep = Annotated[ExpiryService, Depends(expiry_service)]


def bulk_limit(_: Settings) -> int:
    """5,000 awards with a description each; metadata of the largest size fit 2,000 times."""
    return bulk_body_bytes


@router.post(
    "/loyalty/earn/bulk",
    operation_id="bulk_earn_loyalty_points",
    summary="Award points to many customers",
    tags=["Loyalty Program"],
    response_model=LoyaltyBulkEarnResult,
    body_limit=bulk_limit,
    refusals=[LimitExceeded],
)
async def bulk_earn_loyalty_points(
    request: LoyaltyBulkEarn, connection: TransactionDep, clock: ClockDep, caller: MayEarn, once: OnceDep
) -> Response:
    """1 to 5,000 awards in one transaction. One that is refused is told and does not touch the others."""

    async def work() -> Answer:
        outcomes = await BulkAwardService(connection, clock).earn_all(request.lines(), by=caller)
        return Answer(LoyaltyBulkEarnResult.of(request, outcomes), status=200)

    return await once.run(work)


@router.post(
    "/loyalty/expire-points",
    operation_id="expire_loyalty_points",
    summary="Write off expired points",
    tags=["Loyalty Program"],
    response_model=LoyaltyExpireResult,
    long_work=True,
)
async def expire_loyalty_points(
    database: DatabaseDep,
    expiry: ExpiryDep,
    clock: ClockDep,
    caller: MayRunJobs,
    once: OnceDep,
    long_work: LongWorkDep,
    request: LoyaltyExpireRequest | None = None,
) -> Response:
    """In many transactions: what is written off stays so if the request breaks off, and again is harmless."""
    wanted = request or LoyaltyExpireRequest()
    due = expiry.due_at(wanted.as_of)

    async def work() -> Answer:
        expired = await expire_all(database, clock, as_of=wanted.as_of, by=caller)
        return Answer(LoyaltyExpireResult.model_validate(expired), status=200)

    return await once.run(lambda: long_work.run("expire_loyalty_points", wanted, work, rows=due, is_shared=True))


@router.post(
    "/bulk/tier",
    operation_id="bulk_update_tier",
    summary="Set the tier of many customers",
    tags=["Bulk Operations"],
    response_model=BulkResult,
    long_work=True,
    refusals=[BulkRejected],
)
async def bulk_update_tier(
    update: BulkLoyaltyTierUpdate, tiers: TiersDep, caller: MayWrite, once: OnceDep, long_work: LongWorkDep
) -> Response:
    """By hand, as a single change does. Each customer is told apart: changed, so already, or failed and why."""
    tiers.require_end_ahead(update.until)  # told at once, also when it would be a job

    async def work() -> Answer:
        return Answer(await tiers.bulk_update_tier(update, by=caller), status=200)

    return await once.run(lambda: long_work.run("bulk_update_tier", update, work, rows=len(update.customer_ids)))
