"""Background work, queued by the transaction that needs it: effect and job commit together, or neither does."""

from datetime import datetime
from functools import cache

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.types import JSONValue

from regulars.kit.database import Connection


async def enqueue(
    connection: Connection,
    task: str,
    *,
    once: str | None = None,
    one_at_a_time: str | None = None,
    not_before: datetime | None = None,
    **arguments: JSONValue,
) -> bool:
    """Queue a task on the caller's own transaction; a worker sees it when that commits.

    Args:
        connection: A connection in a transaction.
        task: Name of the task, as `regulars.jobs.tasks` declares it.
        once: A job with the same text that still waits makes this one unnecessary.
        one_at_a_time: Jobs with the same text run one after the other, in the order of the queue. One that waits to
            be tried again lets the others pass.
        not_before: The instant before which it does not run.
        arguments: What the task is called with: ids, never secrets or personal data, since jobs are kept.

    Returns:
        Whether it was queued; False where an equal one waits.
    """
    job = _deferring().configure_task(
        task, connection=connection, queueing_lock=once, lock=one_at_a_time, schedule_at=not_before
    )
    try:
        async with connection.transaction():
            await job.defer_async(**arguments)
    except AlreadyEnqueued:
        return False
    return True


@cache
def _deferring() -> App:
    """Puts jobs into the queue; it has no connections of its own, and opens none."""
    return App(connector=PsycopgConnector())
