"""`regulars nightly`: do the night's work now, or tell how the last one went."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from regulars.cli.context import ready_database
from regulars.flows.nightly import NightlyReport, StepReport, kind
from regulars.jobs.kinds import kinds
from regulars.jobs.nightly import start_nightly
from regulars.jobs.runs import fail_forsaken, perform
from regulars.jobs.toolbox import Toolbox
from regulars.kit.database import Database
from regulars.kit.delivery import messenger_from
from regulars.kit.errors import OperatorError
from regulars.kit.jobs import Jobs
from regulars.kit.models_jobs import Job
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings


def nightly(
    last: Annotated[bool, typer.Option("--last", help="Do nothing; tell how the last one went.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Expire points, score customers, review tiers, audit the ledger; exit code 1 if anything is not as it must be.

    A worker does this by itself at REGULARS_NIGHTLY_AT.
    """
    settings = load_settings()
    with ready_database(settings) as url:
        job, report = asyncio.run(_told(url, settings) if last else _done(url, settings))
    if as_json:
        typer.echo(json.dumps({"job_id": str(job.id), **report.model_dump(mode="json")}))
    else:
        _print(job, report)
    if not report.is_sound:
        raise typer.Exit(1)


async def _done(url: str, settings: Settings) -> tuple[Job, NightlyReport]:
    async with Database(url, size=3) as database:
        toolbox = Toolbox(database, settings, settings.clock, messenger_from(settings))
        await fail_forsaken(toolbox)
        async with database.transaction() as connection:
            job = await start_nightly(connection, settings.clock, day=settings.clock.today(), is_scheduled=False)
        if job.attempts or job.arguments["by"] == "schedule":
            raise OperatorError("The night's work is under way already.", "Wait for it: regulars nightly --last.")
        await perform(toolbox, job.id, kinds, is_queued=False)
        return await _report_of(database, settings, job)


async def _told(url: str, settings: Settings) -> tuple[Job, NightlyReport]:
    async with Database(url, size=1) as database:
        async with database.transaction() as connection:
            job = await Jobs(connection, settings.clock).find_latest(kind)
        if job is None:
            raise OperatorError("No night's work was done within the last week.", "Do it now: regulars nightly.")
        return await _report_of(database, settings, job)


async def _report_of(database: Database, settings: Settings, job: Job) -> tuple[Job, NightlyReport]:
    async with database.transaction() as connection:
        jobs = Jobs(connection, settings.clock)
        job = await jobs.get(job.id, by=operator)
        content = await jobs.read(job)
    if job.finished_at is None:
        raise OperatorError(f"The night's work is under way: {job.progress} %.", "Ask again when it is done.")
    if not content:
        slug = (job.error or {}).get("type", "/problems/result-gone").rpartition("/")[2]
        raise OperatorError(f"The night's work broke off ({slug}).", "Look into the log, then run `regulars nightly`.")
    return job, NightlyReport.model_validate_json(content)


def _print(job: Job, report: NightlyReport) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Night of {report.day}, job {job.id}")
    for step in report.steps:
        console.print(f"{step.step:<16} {step.outcome:<11} {step.seconds:8.2f} s  {_counts(step)}", markup=False)


def _counts(step: StepReport) -> str:
    told = [f"{number:,} {name.replace('_', ' ')}" for name, number in step.counts.items()]
    return ", ".join([step.problem] if step.problem else told)
