"""Jobs that change many customers at once, or write them to a file."""

import tempfile

from regulars.customers.schemas_bulk import BulkCustomerStatusUpdate, BulkTagUpdate
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.flows import deactivate_customers
from regulars.jobs.runs import JobResult, JobRun, in_memory_bytes, in_one_transaction
from regulars.kit.csv_files import media_type as csv_type
from regulars.kit.database import Connection
from regulars.loyalty.schemas import BulkLoyaltyTierUpdate
from regulars.loyalty.tiers import LoyaltyTierService


@in_one_transaction
async def bulk_update_status(run: JobRun, connection: Connection) -> JobResult:
    """Activate or deactivate customers."""
    update, tools = await run.request(BulkCustomerStatusUpdate), run.toolbox
    return JobResult.of(
        await deactivate_customers.bulk_update_status(
            connection, update, by=run.by, settings=tools.settings, clock=tools.clock
        )
    )


@in_one_transaction
async def bulk_update_tier(run: JobRun, connection: Connection) -> JobResult:
    """Set the tier of customers."""
    update = await run.request(BulkLoyaltyTierUpdate)
    return JobResult.of(await LoyaltyTierService(connection, run.toolbox.clock).bulk_update_tier(update, by=run.by))


@in_one_transaction
async def bulk_update_tags(run: JobRun, connection: Connection) -> JobResult:
    """Add and remove tags of customers."""
    update = await run.request(BulkTagUpdate)
    return JobResult.of(await _customers(run, connection).bulk_update_tags(update, by=run.by))


@in_one_transaction
async def export_customers(run: JobRun, connection: Connection) -> JobResult:
    """Write customers to a CSV file."""
    filters = await run.request(RetailCustomerSearchFilters)
    file = tempfile.SpooledTemporaryFile(max_size=in_memory_bytes)  # noqa: SIM115 - closed by whoever takes the result
    await _customers(run, connection).export_customers(filters, file, by=run.by)
    return JobResult(file, csv_type, f"customers-{run.toolbox.clock.today()}.csv", names_people=True)


def _customers(run: JobRun, connection: Connection) -> RetailCustomerService:
    return RetailCustomerService(connection, run.toolbox.settings, run.toolbox.clock)
