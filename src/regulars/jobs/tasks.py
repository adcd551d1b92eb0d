"""Every task, by the name under which it is queued.

A worker that dies leaves its jobs to the next one, so a task may run more than once; each is harmless when it does.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Concatenate, TypeAlias

from procrastinate import App, JobContext, RetryStrategy
from procrastinate.types import JSONValue
from psycopg import OperationalError

from regulars.flows.housekeeping import forget_what_is_over
from regulars.jobs.password_mail import send_password_reset
from regulars.jobs.points import audit_all_points, audit_touched_points, expire_points
from regulars.jobs.proofs import send_email_verification, send_phone_verification, send_registration_proof
from regulars.jobs.toolbox import Toolbox
from regulars.kit.errors import Unavailable
from regulars.kit.messages import PassingDeliveryError

Task: TypeAlias = Callable[Concatenate[Toolbox, ...], Awaitable[None]]
"""`async def send_email_verification(toolbox: Toolbox, verification_id: str) -> None`: queued by its name, with ids."""

tasks_on_demand: tuple[Task, ...] = (
    send_password_reset,
    send_email_verification,
    send_phone_verification,
    send_registration_proof,
)
"""What others queue. A task gets ids and reads the rest from the database: jobs are kept, secrets must not be."""

stalled_seconds = 30.0
finished_jobs_kept_hours = 7 * 24

# A server that restarts, a mail server that is busy, a worker that has to stop before the task is done (Procrastinate
# cancels it then): eight more attempts within three hours. Everything else fails at once, to be looked at.
passing_faults = (PassingDeliveryError, Unavailable, OperationalError, CancelledError)
patient = RetryStrategy(
    max_attempts=8,
    wait=5,
    exponential_wait=3,
    retry_exceptions=passing_faults,  # type: ignore[arg-type]  # CancelledError is no Exception, and works all the same
)


def register_tasks(app: App, tasks: Iterable[Task]) -> None:
    """Tell a worker what it can run, and when it runs by itself."""
    every_minute, every_night = app.periodic(cron="* * * * *"), app.periodic(cron="17 3 * * *")
    every_quarter = app.periodic(cron="*/15 * * * *")
    periodic = (
        (every_quarter, audit_touched_points),
        (every_night, audit_all_points),
        (every_night, expire_points),
        (every_minute, retry_stalled_jobs),
        (every_night, forget_finished_jobs),
        (every_night, forget_what_nobody_needs),
    )
    for schedule, task in periodic:
        schedule(app.task(name=task.__name__, queueing_lock=task.__name__, pass_context=True)(task))
    for task_on_demand in tasks:
        app.task(name=task_on_demand.__name__, retry=patient, pass_context=True)(_with_toolbox(task_on_demand))


def _with_toolbox(task: Task) -> Callable[..., Awaitable[None]]:
    @wraps(task)
    async def run(context: JobContext, **arguments: JSONValue) -> None:
        await task(Toolbox.of(context), **arguments)

    return run


async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Give the jobs of workers that died to those that live."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
        await manager.retry_job(job)


async def forget_finished_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete jobs that succeeded a week ago; failed ones stay, to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=finished_jobs_kept_hours)


async def forget_what_nobody_needs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete sessions, proofs, counters and kept answers that are over."""
    toolbox = Toolbox.of(context)
    await forget_what_is_over(toolbox.database, toolbox.settings, toolbox.clock)
