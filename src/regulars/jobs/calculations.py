"""Jobs that calculate for many customers: scores, lifetime values, expired points."""

from regulars.analytics.clv import CLVService
from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas import CLVCalculationRequest, RFMAnalysisRequest
from regulars.jobs.runs import JobResult, JobRun, in_one_transaction
from regulars.kit.database import Connection
from regulars.loyalty.expiry import expire_all
from regulars.loyalty.schemas import LoyaltyExpireRequest, LoyaltyExpireResult


@in_one_transaction
async def calculate_rfm_scores(run: JobRun, connection: Connection) -> JobResult:
    """Score customers."""
    request, tools = await run.request(RFMAnalysisRequest), run.toolbox
    return JobResult.of(
        await RFMService(connection, tools.settings, tools.clock).calculate_rfm_scores(request, by=run.by)
    )


@in_one_transaction
async def calculate_clv(run: JobRun, connection: Connection) -> JobResult:
    """Calculate lifetime values; the analysis names the best customers."""
    request, tools = await run.request(CLVCalculationRequest), run.toolbox
    analysis = await CLVService(connection, tools.settings, tools.clock).calculate_clv(request, by=run.by)
    return JobResult.of(analysis, names_people=True)


async def expire_loyalty_points(run: JobRun) -> JobResult:
    """Write off expired points, batch by batch; begun again, it tells what was left to do."""
    request, tools = await run.request(LoyaltyExpireRequest), run.toolbox
    expired = await expire_all(tools.database, tools.clock, as_of=request.as_of, by=run.by)
    return JobResult.of(LoyaltyExpireResult.model_validate(expired))
