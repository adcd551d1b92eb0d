"""Customer Management and Analytics: what one customer bought, and everything about one."""

from typing import Annotated

from fastapi import Depends, Query

from regulars.analytics.customer import AnalyticsService
from regulars.analytics.schemas_customer import CustomerAnalytics, PurchaseHistoryQuery, PurchaseHistorySummary
from regulars.analytics.schemas_explanation import CustomerAnalyticsExplanation
from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.customers.errors import CustomerErased
from regulars.kit.schemas import Id
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/retail-customers")

MayRead = Annotated[Principal, requires("analytics:read")]
MayReadOrIsOwn = Annotated[Principal, requires("analytics:read", own=True)]


async def analytics_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> AnalyticsService:
    """Analytics of one customer in the request's transaction."""
    return AnalyticsService(connection, settings, clock)


AnalyticsDep = Annotated[AnalyticsService, Depends(analytics_service)]


@router.get(
    "/{customer_id}/purchase-history",
    operation_id="get_purchase_history",
    summary="Sum up what a customer bought",
    tags=["Customer Management"],
    refusals=[CustomerErased],
)
async def get_purchase_history(
    customer_id: Id,
    period: Annotated[PurchaseHistoryQuery, Query()],
    analytics: AnalyticsDep,
    caller: MayReadOrIsOwn,
) -> PurchaseHistorySummary:
    """Orders and money by month, and the categories on which most was spent. Customers read their own."""
    return await analytics.get_purchase_history(customer_id, period, by=caller)


@router.get(
    "/{customer_id}/analytics/summary",
    operation_id="get_customer_analytics",
    summary="Read everything about a customer",
    tags=["Analytics"],
    refusals=[CustomerErased],
)
async def get_customer_analytics(customer_id: Id, analytics: AnalyticsDep, caller: MayRead) -> CustomerAnalytics:
    """Profile, purchases, points, scores and lifetime value with what explains them, and the way through segments."""
    return await analytics.get_customer_analytics(customer_id, by=caller)


@router.get(
    "/{customer_id}/analytics/explain",
    operation_id="explain_customer_analytics",
    summary="Explain the segment and the value of a customer",
    tags=["Analytics"],
    refusals=[CustomerErased],
)
async def explain_customer_analytics(
    customer_id: Id, analytics: AnalyticsDep, caller: MayRead
) -> CustomerAnalyticsExplanation:
    """Each fact as a number and in a sentence: measures, edges and rule of the segment, factors of the value."""
    return await analytics.explain_customer_analytics(customer_id, by=caller)
