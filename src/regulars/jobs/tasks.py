"""Every task, by the name under which it is queued.

A worker that dies leaves its jobs to the next one, so a task may run more than once; each is harmless when it does.
"""

from procrastinate import App, JobContext, RetryStrategy

stalled_seconds = 30.0
finished_jobs_kept_hours = 7 * 24

# Against faults that pass: a server that restarts, a mail relay that is busy. About two hours in all.
patient = RetryStrategy(max_attempts=8, wait=5, exponential_wait=3)


def register_tasks(app: App) -> None:
    """Tell a worker what it can run, and when it runs by itself."""
    every_minute, every_night = app.periodic(cron="* * * * *"), app.periodic(cron="17 3 * * *")
    for schedule, task in ((every_minute, retry_stalled_jobs), (every_night, forget_finished_jobs)):
        schedule(app.task(name=task.__name__, queueing_lock=task.__name__, pass_context=True)(task))


async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Give the jobs of workers that died to those that live."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
        await manager.retry_job(job)


async def forget_finished_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Delete jobs that succeeded a week ago; failed ones stay, to be looked at."""
    await context.app.job_manager.delete_old_jobs(nb_hours=finished_jobs_kept_hours)
