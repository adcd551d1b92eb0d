"""Analytics: how customers move between segments, where they come from, whether they come back."""

from typing import Annotated

from fastapi import Depends, Query, Response

from regulars.analytics.errors import InsufficientData
from regulars.analytics.reports import ReportService
from regulars.analytics.schemas_reports import (
    AcquisitionQuery,
    CohortTableRow,
    CustomerAcquisitionMetrics,
    CustomerRetentionMetrics,
    RetentionQuery,
    RFMMovementQuery,
    RFMMovementRow,
    RFMSegmentMovement,
)
from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.api.tables import ReportFormatDep, as_table
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/retail-customers")

MayRead = Annotated[Principal, requires("analytics:read")]


async def report_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> ReportService:
    """Reports in the request's transaction."""
    return ReportService(connection, settings, clock)


ReportsDep = Annotated[ReportService, Depends(report_service)]


@router.get(
    "/analytics/rfm/movement",
    operation_id="get_rfm_movement",
    summary="Count who moved between segments",
    tags=["RFM Analysis"],
    response_model=RFMSegmentMovement,
    refusals=[InsufficientData, NotFound],
    long_work=True,
    **as_table,
)
async def get_rfm_movement(
    query: Annotated[RFMMovementQuery, Query()],
    reports: ReportsDep,
    answer: ReportFormatDep,
    caller: MayRead,  # noqa: ARG001
) -> RFMSegmentMovement | Response:
    """Between two runs, by default the last two that scored everyone. `Accept: text/csv` gives the rows as a file."""
    movement = await reports.get_rfm_movement(query)
    return answer("rfm-movement", movement, movement.movements, RFMMovementRow)


@router.get(
    "/analytics/acquisition",
    operation_id="get_acquisition_metrics",
    summary="Count new customers by where they come from",
    tags=["Analytics"],
    response_model=list[CustomerAcquisitionMetrics],
    long_work=True,
    **as_table,
)
async def get_acquisition_metrics(
    query: Annotated[AcquisitionQuery, Query()],
    reports: ReportsDep,
    answer: ReportFormatDep,
    caller: MayRead,  # noqa: ARG001
) -> list[CustomerAcquisitionMetrics] | Response:
    """By the store's month in which they were added, and what they have bought until now; 60 months at most."""
    rows = await reports.get_acquisition_metrics(query)
    return answer("acquisition", rows, rows, CustomerAcquisitionMetrics)


@router.get(
    "/analytics/retention",
    operation_id="get_retention_metrics",
    summary="Follow cohorts by month of the first order",
    tags=["Analytics"],
    response_model=CustomerRetentionMetrics,
    long_work=True,
    **as_table,
)
async def get_retention_metrics(
    query: Annotated[RetentionQuery, Query()],
    reports: ReportsDep,
    answer: ReportFormatDep,
    caller: MayRead,  # noqa: ARG001
) -> CustomerRetentionMetrics | Response:
    """Who came back, by month; and for each month who is new, returned or stayed away. The CSV form has the cohorts."""
    metrics = await reports.get_retention_metrics(query)
    return answer("retention", metrics, metrics.table(), CohortTableRow)
