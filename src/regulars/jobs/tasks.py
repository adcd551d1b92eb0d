"""Every task, by the name under which it is queued.

A worker that dies leaves its jobs to the next one, so a task may run more than once; each is harmless when it does.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Concatenate, TypeAlias
from uuid import UUID

from procrastinate import App, JobContext
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.types import JSONValue

from regulars.flows.follow_orders import follow_changed_orders
from regulars.flows.housekeeping import forget_what_is_over
from regulars.flows.refund_order import settle_early_reversals
from regulars.jobs.audits import start_audit_of_touched
from regulars.jobs.due_work import is_due, queue_due_work
from regulars.jobs.faults import most_attempts, patient
from regulars.jobs.kinds import kinds
from regulars.jobs.nightly import start_when_due
from regulars.jobs.privacy import erase_who_is_due
from regulars.jobs.proofs import (
    send_email_verification,
    send_password_reset,
    send_phone_verification,
    send_registration_proof,
    tell_old_owner,
)
from regulars.jobs.runs import Work, fail_forsaken, perform
from regulars.jobs.toolbox import Toolbox
from regulars.kit.repository_due_work import DueWorkRepository

Task: TypeAlias = Callable[Concatenate[Toolbox, ...], Awaitable[None]]
"""`async def send_email_verification(toolbox: Toolbox, verification_id: str) -> None`: queued by its name, with ids."""
DueTask: TypeAlias = Callable[[JobContext, int], Awaitable[None]]
"""What the worker does by itself, from time to time."""


def runner_of(kinds: Mapping[str, Work]) -> Task:
    """The task that runs visible jobs of these kinds."""

    async def run_job(toolbox: Toolbox, job_id: str) -> None:
        await perform(toolbox, UUID(job_id), kinds)

    return run_job


tasks_on_demand: tuple[Task, ...] = (
    runner_of(kinds),
    send_password_reset,
    send_email_verification,
    send_phone_verification,
    send_registration_proof,
    tell_old_owner,
)
"""What others queue. A task gets ids and reads the rest from the database: jobs are kept, secrets must not be."""

stalled_seconds = 30.0
finished_jobs_kept_hours = 7 * 24


def register_tasks(app: App, tasks: Iterable[Task]) -> None:
    """Tell a worker what it can run, and what it looks for each minute.

    Nothing else is left to a clock time: Procrastinate passes over a time that no worker was there for.
    """
    for task in (look_for_due_work, retry_stalled_jobs):
        each_minute = app.periodic(cron="* * * * *")
        each_minute(app.task(name=task.__name__, queueing_lock=task.__name__, pass_context=True)(task))
    for due_task in due_tasks:
        app.task(name=due_task.__name__, pass_context=True)(_when_due(due_task))
    for task_on_demand in tasks:
        app.task(name=task_on_demand.__name__, retry=patient, pass_context=True)(_with_toolbox(task_on_demand))


def _when_due(task: DueTask) -> DueTask:
    @wraps(task)
    async def run(context: JobContext, timestamp: int) -> None:
        toolbox, name = Toolbox.of(context), task.__name__
        if not await is_due(toolbox, name):
            return
        begun_at = toolbox.clock.now()
        await task(context, timestamp)
        async with toolbox.database.transaction() as connection:
            await DueWorkRepository(connection).end(name, at=begun_at)

    return run


def _with_toolbox(task: Task) -> Callable[..., Awaitable[None]]:
    @wraps(task)
    async def run(context: JobContext, **arguments: JSONValue) -> None:
        await task(Toolbox.of(context), **arguments)

    return run


async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Give the jobs of workers that died to those that live; one that was tried too often may be what kills them."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
        with suppress(ConnectorException):  # another worker looked after it meanwhile
            if job.attempts < most_attempts:
                await manager.retry_job(job)
            else:
                await manager.finish_job(job, Status.FAILED, delete_job=False)
    await fail_forsaken(Toolbox.of(context))


async def look_for_due_work(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Begin the night's work and everything else whose time has come."""
    await begin_what_is_due(Toolbox.of(context))


async def begin_what_is_due(toolbox: Toolbox) -> None:
    """Queue the night's work and everything else whose time has come, each once."""
    await start_when_due(toolbox)
    await queue_due_work(toolbox)


async def start_audit(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Have the customers audited whose points moved lately."""
    await start_audit_of_touched(Toolbox.of(context))


async def forget_finished_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete jobs that succeeded a week ago; failed ones stay, to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=finished_jobs_kept_hours)


async def forget_what_nobody_needs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete sessions, proofs, counters, kept answers and results that are over."""
    toolbox = Toolbox.of(context)
    await forget_what_is_over(toolbox.database, toolbox.settings, toolbox.clock)


async def settle_refunds_that_came_early(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Do the refunds and cancellations that waited for orders which an import brought, and what a killed one left."""
    toolbox = Toolbox.of(context)
    await follow_changed_orders(toolbox.database, toolbox.clock)
    await settle_early_reversals(toolbox.database, toolbox.settings, toolbox.clock)


due_tasks: tuple[DueTask, ...] = (
    start_audit,
    forget_finished_jobs,
    erase_who_is_due,
    forget_what_nobody_needs,
    settle_refunds_that_came_early,
)
"""What comes round again, as `regulars.jobs.due_work` says when."""
