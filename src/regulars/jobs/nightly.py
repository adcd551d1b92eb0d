"""The night's work as a job: begun by itself when its time has come, and gone on with by whoever takes it over."""

from datetime import date, datetime, timedelta

from regulars.flows.nightly import Night, NightlyReport, kind, steps, work_through
from regulars.jobs.runs import JobResult, JobRun
from regulars.jobs.toolbox import Toolbox
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.jobs import Jobs, kept_for
from regulars.kit.models_jobs import Job
from regulars.kit.security import operator
from regulars.kit.settings import Settings


async def nightly(run: JobRun) -> JobResult:
    """Do the steps that no earlier run has done, and tell of all."""
    tools = run.toolbox

    async def tell(report: NightlyReport) -> None:
        run.report(100 * len(report.steps) // len(steps))
        await run.remember(report.model_dump_json().encode())

    async with run.given() as file:
        told = file.read()
    done = NightlyReport.model_validate_json(told).steps if told else []
    night = Night(tools.database, tools.settings, tools.clock, date.fromisoformat(run.job.arguments["day"]))
    return JobResult.of(await work_through(night, done=done, tell=tell), kept_for=kept_for)


async def start_nightly(connection: Connection, clock: Clock, *, day: date, is_scheduled: bool) -> Job:
    """Start the night's work, or answer the one that is under way.

    Args:
        connection: In a transaction.
        clock: Of the shop.
        day: Whose night it is.
        is_scheduled: Whether it was its time; else the caller does it at once, and not a worker.
    """
    return await Jobs(connection, clock).start(
        kind,
        by=operator,
        arguments={"day": day.isoformat(), "by": "schedule" if is_scheduled else "hand"},
        same_as=kind,
        is_queued=is_scheduled,
    )


async def start_when_due(toolbox: Toolbox) -> None:
    """Start the night's work if its time has come and it was not begun yet."""
    day = due_day(toolbox.settings, toolbox.clock.now())
    if day is None:
        return
    async with toolbox.database.transaction() as connection:
        begun = {"day": day.isoformat(), "by": "schedule"}
        if await Jobs(connection, toolbox.clock).find_latest(kind, begun) is None:
            await start_nightly(connection, toolbox.clock, day=day, is_scheduled=True)


def due_day(settings: Settings, now: datetime) -> date | None:
    """The latest store day whose night's work is due by now, however long ago; None if it is never by itself."""
    if settings.nightly_at is None:
        return None
    local = now.astimezone(settings.clock.store_timezone)
    return local.date() if local.time() >= settings.nightly_at else local.date() - timedelta(days=1)
