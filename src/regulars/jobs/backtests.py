"""Jobs that look back."""

from regulars.analytics.backtest import BacktestService
from regulars.analytics.schemas_backtest import CLVBacktestQuery
from regulars.jobs.runs import JobResult, JobRun, in_one_transaction
from regulars.kit.database import Connection


@in_one_transaction
async def get_clv_backtest(run: JobRun, connection: Connection) -> JobResult:
    """Compare predicted with actual spend."""
    query, tools = await run.request(CLVBacktestQuery), run.toolbox
    return JobResult.of(await BacktestService(connection, tools.settings, tools.clock).get_clv_backtest(query))
