"""Every night: people whose time has come are erased, and erasures that were broken off are finished."""

from procrastinate import JobContext

from regulars.flows.erase_customer import Erasures
from regulars.jobs.toolbox import Toolbox


async def erase_who_is_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Erase who was deleted 30 days ago and, if the setting says so, who was not heard of; look again at the others."""
    toolbox = Toolbox.of(context)
    erasures = Erasures(toolbox.database, toolbox.settings, toolbox.clock)
    await erasures.finish_open()
    await erasures.erase_due()
    await erasures.forget_hashes()
