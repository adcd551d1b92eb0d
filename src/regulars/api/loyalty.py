"""Loyalty Program: a customer's points and tier."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from regulars.api.access import requires
from regulars.api.awards import AwardsDep, booked
from regulars.api.cursors import CursorsDep
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.errors import InvalidCursor
from regulars.api.idempotency import Answer, KeyedDep, OnceDep
from regulars.api.routing import Router
from regulars.customers.errors import CustomerErased
from regulars.kit.schemas import Id, Slice
from regulars.kit.security import Principal
from regulars.loyalty.errors import (
    AccountUnderReview,
    AlreadyCredited,
    CustomerInactive,
    InsufficientPoints,
    LimitExceeded,
    NotRestorable,
    SelfAdjustment,
)
from regulars.loyalty.schemas import (
    LoyaltyBalanceResponse,
    LoyaltyExpiringResponse,
    LoyaltyPointsAdjust,
    LoyaltyPointsEarn,
    LoyaltyPointsRedeem,
    LoyaltyRedemptionRestore,
    LoyaltyTierUpdate,
    LoyaltyTransactionResponse,
    PointsDeadline,
)
from regulars.loyalty.schemas_lists import LoyaltyTransactionQuery
from regulars.loyalty.service import LoyaltyService
from regulars.loyalty.tiers import LoyaltyTierService

router = Router(prefix="/api/v1/retail-customers", tags=["Loyalty Program"])

MayRead = Annotated[Principal, requires("loyalty:read", own=True)]
MayEarn = Annotated[Principal, requires("loyalty:earn")]
MayRedeem = Annotated[Principal, requires("loyalty:redeem", own=True, own_setting="customer_self_redeem")]
MayAdjust = Annotated[Principal, requires("loyalty:adjust")]
MayRestore = Annotated[Principal, requires("loyalty:refund")]
MaySetTier = Annotated[Principal, requires("loyalty:tier")]
MayReviewTier = Annotated[Principal, requires("loyalty:auto-tier")]
DaysAhead = Annotated[int, Query(ge=0, le=365, description="Today and so many store days after it.")]


async def loyalty_service(request: Request, connection: TransactionDep) -> LoyaltyService:
    """Points in the request's transaction."""
    return LoyaltyService(connection, request.app.state.settings, request.app.state.clock)


async def tier_service(connection: TransactionDep, clock: ClockDep) -> LoyaltyTierService:
    """Tiers in the request's transaction."""
    return LoyaltyTierService(connection, clock)


LoyaltyDep = Annotated[LoyaltyService, Depends(loyalty_service)]
TiersDep = Annotated[LoyaltyTierService, Depends(tier_service)]


@router.post(
    "/loyalty/earn",
    operation_id="earn_loyalty_points",
    summary="Award points",
    status_code=201,
    response_model=LoyaltyTransactionResponse,
    refusals=[CustomerErased, CustomerInactive, AlreadyCredited, LimitExceeded],
)
async def earn_loyalty_points(
    award: LoyaltyPointsEarn, awards: AwardsDep, caller: MayEarn, keyed: KeyedDep
) -> Response:
    """An order earns once: by this, or by being taken in. Without an order, send an Idempotency-Key to retry safely."""
    return await awards.book(award, by=caller, request=keyed)


@router.post(
    "/loyalty/redeem",
    operation_id="redeem_loyalty_points",
    summary="Redeem points",
    status_code=201,
    response_model=LoyaltyTransactionResponse,
    refusals=[CustomerErased, CustomerInactive, AccountUnderReview, InsufficientPoints, LimitExceeded],
)
async def redeem_loyalty_points(
    redemption: LoyaltyPointsRedeem, loyalty: LoyaltyDep, caller: MayRedeem, once: OnceDep
) -> Response:
    """Those that expire soonest go first. Customers redeem their own, unless `customer_self_redeem` is off."""

    async def work() -> Answer:
        return booked(await loyalty.redeem_loyalty_points(redemption, by=caller), caller)

    return await once.run(work, concerns=redemption.customer_id)


@router.post(
    "/loyalty/adjust",
    operation_id="adjust_loyalty_points",
    summary="Add or subtract points by hand",
    status_code=201,
    response_model=LoyaltyTransactionResponse,
    refusals=[CustomerErased, CustomerInactive, InsufficientPoints, LimitExceeded, SelfAdjustment],
)
async def adjust_loyalty_points(
    adjustment: LoyaltyPointsAdjust, loyalty: LoyaltyDep, caller: MayAdjust, once: OnceDep
) -> Response:
    """With a reason; it does not count for the tier. Staff up to `adjust_limit_staff`, nobody their own account."""

    async def work() -> Answer:
        return booked(await loyalty.adjust_loyalty_points(adjustment, by=caller), caller)

    return await once.run(work, concerns=adjustment.customer_id)


@router.post(
    "/loyalty/redemptions/{transaction_id}/restore",
    operation_id="restore_redemption",
    summary="Give redeemed points back",
    status_code=201,
    response_model=LoyaltyTransactionResponse,
    refusals=[CustomerErased, NotRestorable, LimitExceeded],
)
async def restore_redemption(
    transaction_id: Id, restore: LoyaltyRedemptionRestore, loyalty: LoyaltyDep, caller: MayRestore, once: OnceDep
) -> Response:
    """All or some of them, to their own lots and expiry dates; what has expired since lives on for a time of grace."""

    async def work() -> Answer:
        return booked(await loyalty.restore_redemption(transaction_id, restore, by=caller), caller)

    return await once.run(work)


@router.put(
    "/loyalty/tier", operation_id="update_loyalty_tier", summary="Set a tier by hand", refusals=[CustomerErased]
)
async def update_loyalty_tier(
    update: LoyaltyTierUpdate, tiers: TiersDep, loyalty: LoyaltyDep, caller: MaySetTier
) -> LoyaltyBalanceResponse:
    """It holds until a day or until it is changed; earning more can still raise it."""
    await tiers.update_loyalty_tier(
        update.customer_id, update.tier, reason=update.reason, until=update.until, by=caller
    )
    return LoyaltyBalanceResponse.model_validate(await loyalty.get_loyalty_balance(update.customer_id, by=caller))


@router.post(
    "/{customer_id}/loyalty/auto-tier",
    operation_id="auto_update_loyalty_tier",
    summary="Set the tier by lifetime points",
    refusals=[CustomerErased],
)
async def auto_update_loyalty_tier(
    customer_id: Id, tiers: TiersDep, loyalty: LoyaltyDep, caller: MayReviewTier
) -> LoyaltyBalanceResponse:
    """A tier that was set by hand and has not ended stays."""
    await tiers.update_loyalty_tier(customer_id, by=caller)
    return LoyaltyBalanceResponse.model_validate(await loyalty.get_loyalty_balance(customer_id, by=caller))


@router.get(
    "/{customer_id}/loyalty/balance",
    operation_id="get_loyalty_balance",
    summary="Read a balance",
    refusals=[CustomerErased],
)
async def get_loyalty_balance(customer_id: Id, loyalty: LoyaltyDep, caller: MayRead) -> LoyaltyBalanceResponse:
    """By the clock: points that have expired are gone, whether or not they are written off yet."""
    return LoyaltyBalanceResponse.model_validate(await loyalty.get_loyalty_balance(customer_id, by=caller))


@router.get(
    "/{customer_id}/loyalty/expiring",
    operation_id="get_points_expiring_soon",
    summary="Read which points expire soon",
    refusals=[CustomerErased],
)
async def get_points_expiring_soon(
    customer_id: Id, loyalty: LoyaltyDep, caller: MayRead, days: DaysAhead = 30
) -> LoyaltyExpiringResponse:
    """Earliest first."""
    deadlines = await loyalty.get_points_expiring_soon(customer_id, days=days, by=caller)
    return LoyaltyExpiringResponse(
        customer_id=customer_id,
        days=days,
        points=sum(deadline.points for deadline in deadlines),
        deadlines=[PointsDeadline.model_validate(deadline) for deadline in deadlines],
    )


@router.get(
    "/{customer_id}/loyalty/transactions",
    operation_id="list_loyalty_transactions",
    summary="Read a customer's ledger",
    refusals=[CustomerErased, InvalidCursor],
)
async def list_loyalty_transactions(
    customer_id: Id,
    query: Annotated[LoyaltyTransactionQuery, Query()],
    loyalty: LoyaltyDep,
    cursors: CursorsDep,
    caller: MayRead,
) -> Slice[LoyaltyTransactionResponse]:
    """Newest first. Free text is for staff, whoever wrote it, and the customer."""
    bound_to = (str(customer_id), query.transaction_type, query.from_, query.to)
    before = int(cursors.read(query.cursor, bound_to=bound_to)) if query.cursor is not None else None
    rows = await loyalty.list_loyalty_transactions(customer_id, query, before_seq=before, by=caller)
    items = [LoyaltyTransactionResponse.of(row, caller) for row in rows[: query.limit]]
    has_more = len(rows) > query.limit
    following = cursors.write(items[-1].seq, bound_to=bound_to) if has_more else None
    return Slice[LoyaltyTransactionResponse](items=items, next_cursor=following)
