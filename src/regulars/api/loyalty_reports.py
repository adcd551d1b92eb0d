"""Loyalty Program and Analytics: the ledger explained, audited and summed up."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Response

from regulars.api.access import requires
from regulars.api.cursors import CursorsDep
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.errors import InvalidCursor
from regulars.api.routing import Router
from regulars.api.tables import ReportFormatDep, as_table
from regulars.customers.errors import CustomerErased
from regulars.kit.schemas import Id, Slice
from regulars.kit.security import Principal
from regulars.loyalty.audit import AuditService
from regulars.loyalty.reports import LoyaltyReportService
from regulars.loyalty.schemas_lists import PointsExpiringCustomer, PointsExpiringQuery
from regulars.loyalty.schemas_reports import (
    LoyaltyAuditResponse,
    LoyaltyExplanationResponse,
    LoyaltyProgramMetrics,
    LoyaltyTableRow,
)

router = Router(prefix="/api/v1/retail-customers")

MayRead = Annotated[Principal, requires("loyalty:read", own=True)]
MayAudit = Annotated[Principal, requires("audit:read")]
MayReport = Annotated[Principal, requires("analytics:read")]
AuditScope = Annotated[
    Literal["touched", "all"], Query(description="Customers whose account moved in the last 24 hours, or all.")
]
Newest = Annotated[int, Query(ge=1, le=1000, description="How many of the newest transactions to tell.")]


async def report_service(connection: TransactionDep, clock: ClockDep) -> LoyaltyReportService:
    """Reports in the request's transaction."""
    return LoyaltyReportService(connection, clock)


ReportsDep = Annotated[LoyaltyReportService, Depends(report_service)]


@router.get("/loyalty/audit", operation_id="get_loyalty_audit", summary="Audit the ledger", tags=["Loyalty Program"])
async def get_loyalty_audit(
    connection: TransactionDep,
    clock: ClockDep,
    caller: MayAudit,  # noqa: ARG001
    scope: AuditScope = "touched",
) -> LoyaltyAuditResponse:
    """Checks chain, balances and lots anew; all counts must be 0. `regulars ledger audit` has no limit of time."""
    since = clock.now() - timedelta(days=1) if scope == "touched" else None
    return LoyaltyAuditResponse.model_validate(await AuditService(connection).audit_ledger(since=since))


@router.get(
    "/loyalty/points-expiring",
    operation_id="list_points_expiring",
    summary="List customers whose points expire soon",
    tags=["Loyalty Program"],
    refusals=[InvalidCursor],
)
async def list_points_expiring(
    query: Annotated[PointsExpiringQuery, Query()],
    reports: ReportsDep,
    cursors: CursorsDep,
    caller: MayReport,  # noqa: ARG001
) -> Slice[PointsExpiringCustomer]:
    """For campaigns, by customer id; no names, no addresses."""
    after = UUID(cursors.read(query.cursor, bound_to=query.days)) if query.cursor is not None else None
    rows = await reports.get_customers_with_points_expiring(
        days=query.days, after_customer=after, limit=query.limit + 1
    )
    items = [
        PointsExpiringCustomer(customer_id=row[0], expires_at=row[1], points=row[2]) for row in rows[: query.limit]
    ]
    has_more = len(rows) > query.limit
    following = cursors.write(items[-1].customer_id, bound_to=query.days) if has_more else None
    return Slice[PointsExpiringCustomer](items=items, next_cursor=following)


@router.get(
    "/analytics/loyalty/metrics",
    operation_id="get_loyalty_metrics",
    summary="Sum up the loyalty programme",
    tags=["Analytics"],
    response_model=LoyaltyProgramMetrics,
    **as_table,
)
async def get_loyalty_metrics(
    reports: ReportsDep,
    settings: SettingsDep,
    answer: ReportFormatDep,
    caller: MayReport,  # noqa: ARG001
) -> LoyaltyProgramMetrics | Response:
    """Issued, redeemed and expired until now; outstanding points, what they are worth, tiers and months of expiry."""
    metrics = LoyaltyProgramMetrics.of(await reports.get_loyalty_metrics(), settings.currency)
    return answer("loyalty", metrics, metrics.table(), LoyaltyTableRow)


@router.get(
    "/{customer_id}/loyalty/explain",
    operation_id="explain_loyalty_balance",
    summary="Explain a balance",
    tags=["Loyalty Program"],
    refusals=[CustomerErased],
)
async def explain_loyalty_balance(
    customer_id: Id, reports: ReportsDep, caller: MayRead, limit: Newest = 100
) -> LoyaltyExplanationResponse:
    """How it came to be, transaction by transaction and lot by lot, with a sentence for the counter."""
    return LoyaltyExplanationResponse.of(await reports.explain(customer_id, limit=limit, by=caller), caller)
