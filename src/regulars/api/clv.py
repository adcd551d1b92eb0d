"""CLV Calculation: calculate lifetime values, sum them up, explain the value of one customer."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Response

from regulars.analytics.backtest import BacktestService
from regulars.analytics.clv import CLVService
from regulars.analytics.errors import InsufficientData
from regulars.analytics.schemas import (
    CLVAnalysisResponse,
    CLVCalculationRequest,
    CLVDecile,
    CLVResponse,
    CLVTopCustomer,
)
from regulars.analytics.schemas_backtest import CLVBacktestDecile, CLVBacktestQuery, CLVBacktestResponse
from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.idempotency import Answer
from regulars.api.long_work import LongWorkDep
from regulars.api.routing import Router
from regulars.api.tables import ReportFormatDep, as_table
from regulars.customers.errors import CustomerErased
from regulars.kit.schemas import Id
from regulars.kit.security import Principal

router = Router(prefix="/api/v1/retail-customers", tags=["CLV Calculation"])

MayRun = Annotated[Principal, requires("analytics:run")]
MayRead = Annotated[Principal, requires("analytics:read")]
TopCustomers = Annotated[int, Query(ge=1, le=100, description="How many of the best customers to return.")]

TableName = Annotated[
    Literal["top_customers", "deciles"], Query(description="Which part of the answer a CSV file has.")
]


async def clv_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> CLVService:
    """Lifetime values in the request's transaction."""
    return CLVService(connection, settings, clock)


CLVDep = Annotated[CLVService, Depends(clv_service)]


@router.post(
    "/analytics/clv/calculate",
    operation_id="calculate_clv",
    summary="Calculate lifetime values",
    response_model=CLVAnalysisResponse,
    long_work=True,
)
async def calculate_clv(
    request: CLVCalculationRequest, clv: CLVDep, caller: MayRun, long_work: LongWorkDep
) -> Response:
    """As of the store's today. Without `recalculate` only stale values are made anew."""

    async def work() -> Answer:
        return Answer(await clv.calculate_clv(request, by=caller), status=200)

    rows = clv.rows_of(request.customer_ids)
    return (await long_work.run("calculate_clv", request, work, rows=rows, is_shared=True)).response()


@router.get(
    "/analytics/clv/analysis",
    operation_id="get_clv_analysis",
    summary="Sum up the lifetime values of all",
    response_model=CLVAnalysisResponse,
    **as_table,
)
async def get_clv_analysis(
    clv: CLVDep, caller: MayRead, answer: ReportFormatDep, limit: TopCustomers = 10, table: TableName = "top_customers"
) -> CLVAnalysisResponse | Response:
    """Totals, ranges, what the best customers hold, and who they are. `Accept: text/csv` gives one of the tables."""
    analysis = await clv.get_clv_analysis(by=caller, limit=limit)
    if table == "deciles":
        return answer("clv-deciles", analysis, analysis.deciles, CLVDecile)
    return answer("clv-top-customers", analysis, analysis.top_customers, CLVTopCustomer)


async def backtest_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> BacktestService:
    """Back-tests in the request's transaction."""
    return BacktestService(connection, settings, clock)


@router.get(
    "/analytics/clv/backtest",
    operation_id="get_clv_backtest",
    summary="Compare predicted with actual spend",
    response_model=CLVBacktestResponse,
    long_work=True,
    refusals=[InsufficientData],
    **as_table,
)
async def get_clv_backtest(
    query: Annotated[CLVBacktestQuery, Query()],
    backtests: Annotated[BacktestService, Depends(backtest_service)],
    long_work: LongWorkDep,
    answer: ReportFormatDep,
    caller: MayRead,  # noqa: ARG001
) -> CLVBacktestResponse | Response:
    """What every method would have said before the last days, against what came; its tenths alone by `text/csv`.

    For many customers it is a job, whose result is JSON.
    """
    rows = backtests.count_customers
    if promised := await long_work.promise("get_clv_backtest", query, rows=rows, is_shared=True):
        return promised.response()
    found = await backtests.get_clv_backtest(query)
    return answer("clv-backtest", found, found.deciles, CLVBacktestDecile)


@router.get(
    "/{customer_id}/analytics/clv",
    operation_id="get_customer_clv",
    summary="Explain the lifetime value of a customer",
    refusals=[CustomerErased],
)
async def get_customer_clv(customer_id: Id, clv: CLVDep, caller: MayRead) -> CLVResponse:
    """The value with its factors and the run behind it."""
    return await clv.get_customer_clv(customer_id, by=caller)
