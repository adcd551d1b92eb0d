"""Work that comes round again: it asks whether it is due, never what time it is.

Every worker looks once a minute, and once when it starts. What was due while no worker was there is done by the first
one that comes, once, however long ago its time was; what failed as a whole is tried again a few minutes later. Work
for many leaves out whoever met a fault, such as a locked row, until the next time: so it is never far away.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from regulars.jobs.toolbox import Toolbox
from regulars.kit.queue import enqueue
from regulars.kit.repository_due_work import DueWorkRepository

begun_again_after: Final = timedelta(minutes=10)

intervals: Final[Mapping[str, timedelta]] = {
    "start_audit": timedelta(minutes=15),
    "forget_what_nobody_needs": timedelta(hours=1),
    "settle_refunds_that_came_early": timedelta(hours=1),
    "erase_who_is_due": timedelta(hours=1),
    "forget_finished_jobs": timedelta(days=1),
}
"""How long after one beginning the next is due, by the name of the task."""


async def queue_due_work(toolbox: Toolbox) -> None:
    """Queue what is due, each as a task of its own."""
    now = toolbox.clock.now()
    async with toolbox.database.transaction() as connection:
        for name, interval in intervals.items():
            is_begun = await DueWorkRepository(connection).begin(
                name, now=now, done_before=now - interval, begun_before=now - min(interval, begun_again_after)
            )
            if is_begun:
                await enqueue(connection, name, once=name, one_at_a_time=name, timestamp=int(now.timestamp()))


async def is_due(toolbox: Toolbox, name: str) -> bool:
    """Whether the work is still to be done: another worker may have ended it while this one waited for its turn."""
    now = toolbox.clock.now()
    async with toolbox.database.transaction() as connection:
        return await DueWorkRepository(connection).is_due(name, now=now, done_before=now - intervals[name])
