"""RFM Analysis: score customers, count their segments, explain the scores of one."""

from typing import Annotated

from fastapi import Depends, Response

from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas import (
    RFMAnalysisRequest,
    RFMAnalysisResponse,
    RFMScoresResponse,
    RFMSegmentDistribution,
)
from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer
from regulars.api.long_work import LongWorkDep
from regulars.api.routing import Router
from regulars.api.tables import ReportFormatDep, as_table
from regulars.customers.errors import CustomerErased
from regulars.kit.schemas import Id
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/retail-customers", tags=["RFM Analysis"])

MayRun = Annotated[Principal, requires("analytics:run")]
MayRead = Annotated[Principal, requires("analytics:read")]


async def rfm_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> RFMService:
    """RFM in the request's transaction."""
    return RFMService(connection, settings, clock)


RFMDep = Annotated[RFMService, Depends(rfm_service)]


@router.post(
    "/analytics/rfm/calculate",
    operation_id="calculate_rfm_scores",
    summary="Score customers by recency, frequency and money",
    response_model=RFMAnalysisResponse,
    long_work=True,
)
async def calculate_rfm_scores(
    request: RFMAnalysisRequest, rfm: RFMDep, caller: MayRun, long_work: LongWorkDep
) -> Response:
    """As of the store's today. Without `recalculate` only stale scores are made anew, with the latest edges."""

    async def work() -> Answer:
        return Answer(await rfm.calculate_rfm_scores(request, by=caller), status=200)

    rows = rfm.rows_of(request.customer_ids)
    return (await long_work.run("calculate_rfm_scores", request, work, rows=rows, is_shared=True)).response()


@router.get(
    "/analytics/rfm/distribution",
    operation_id="get_rfm_segment_distribution",
    summary="Count the customers of every segment",
    response_model=list[RFMSegmentDistribution],
    **as_table,
)
async def get_rfm_segment_distribution(
    rfm: RFMDep,
    answer: ReportFormatDep,
    caller: MayRead,  # noqa: ARG001
) -> list[RFMSegmentDistribution] | Response:
    """All eleven segments and the prospects, with what they have spent. `Accept: text/csv` gives a file."""
    segments = await rfm.get_rfm_segment_distribution()
    return answer("rfm-segments", segments, segments, RFMSegmentDistribution)


@router.get(
    "/{customer_id}/analytics/rfm",
    operation_id="get_customer_rfm",
    summary="Explain the scores of a customer",
    refusals=[CustomerErased],
)
async def get_customer_rfm(customer_id: Id, rfm: RFMDep, caller: MayRead) -> RFMScoresResponse:
    """The scores with the facts, the edges and the run behind them."""
    return await rfm.get_customer_rfm(customer_id, by=caller)
