"""The job that imports an order file which came over HTTP."""

from regulars.flows.import_uploads import import_upload
from regulars.jobs.runs import JobResult, JobRun


async def import_orders(run: JobRun) -> JobResult:
    """Import the file that was given; begun again, it finds its orders written and counts them as unchanged."""
    arguments, tools = run.job.arguments, run.toolbox
    async with run.given() as file:
        result = await import_upload(
            tools.database.url,
            file,
            arguments["media_type"],
            source=arguments["source"],
            settings=tools.settings,
            clock=tools.clock,
            report=run.report,
            lines=int(arguments["lines"]),
        )
    return JobResult.of(result)
