"""Privacy in the background: exports and erasures that somebody asked for, and those whose time has come."""

import tempfile
from typing import cast
from uuid import UUID

from procrastinate import JobContext

from regulars.customers.errors import CustomerErased
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.export_customer import CustomerDataExports
from regulars.jobs.runs import JobResult, JobRun, in_memory_bytes
from regulars.jobs.toolbox import Toolbox
from regulars.privacy.models import ErasureReason
from regulars.privacy.schemas import ErasureResponse


async def export_customer_data(run: JobRun) -> JobResult:
    """Make the zip of a person's data; the row of the job names the sections."""
    toolbox = run.toolbox
    file = tempfile.SpooledTemporaryFile(max_size=in_memory_bytes)  # noqa: SIM115 - closed when it is stored
    try:
        async with toolbox.database.transaction() as connection:
            await CustomerDataExports(connection, toolbox.settings, toolbox.clock).write_zip(
                _customer_of(run),
                file,
                by=run.by,
                wanted=run.job.arguments["sections"].split(","),
                report_progress=lambda done, of: run.report(100 * done // of),
            )
    except BaseException:
        file.close()
        raise
    return JobResult(file, "application/zip", f"customer-data-{toolbox.clock.today()}.zip")


async def erase_customer(run: JobRun) -> JobResult:
    """Erase a person; what another run has finished before it died is told again."""
    toolbox, customer_id = run.toolbox, _customer_of(run)
    erasures = Erasures(toolbox.database, toolbox.settings, toolbox.clock)
    try:
        erasure = await erasures.erase(customer_id, Request(cast("ErasureReason", run.job.arguments["reason"]), run.by))
    except CustomerErased:
        done = await erasures.find(customer_id)
        if done is None:
            raise
        erasure = done
    return JobResult.of(ErasureResponse.of(erasure))


async def erase_who_is_due(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - every periodic task is told
    """Erase who was deleted 30 days ago and, if the setting says so, who was not heard of; look again at the others."""
    toolbox = Toolbox.of(context)
    erasures = Erasures(toolbox.database, toolbox.settings, toolbox.clock)
    await erasures.finish_open()
    await erasures.erase_due()
    await erasures.forget_hashes()


def _customer_of(run: JobRun) -> UUID:
    assert run.job.customer_id is not None, "the door names the customer"  # noqa: S101
    return run.job.customer_id
