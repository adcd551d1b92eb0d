"""Customers leave, for a while or for good, and are signed out wherever they are signed in."""

from uuid import UUID

from regulars.accounts.customer_logins import CustomerLogins
from regulars.customers.schemas import RetailCustomerResponse
from regulars.customers.schemas_bulk import BulkCustomerStatusUpdate
from regulars.customers.service import RetailCustomerService
from regulars.kit.bulk import BulkResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.kit.settings import Settings


async def deactivate_customer(
    connection: Connection, customer_id: UUID, reason: str | None, *, by: Principal, settings: Settings, clock: Clock
) -> RetailCustomerResponse:
    """Deactivate a customer and sign the person out.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
    """
    customers = RetailCustomerService(connection, settings, clock)
    deactivated = await customers.deactivate_customer(customer_id, reason, by=by)
    await CustomerLogins(connection, clock).sign_out([customer_id])
    return deactivated


async def delete_customer(
    connection: Connection, customer_id: UUID, *, by: Principal, settings: Settings, clock: Clock
) -> None:
    """Delete a customer, which can be undone for 30 days, and sign the person out.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
    """
    await RetailCustomerService(connection, settings, clock).delete_customer(customer_id, by=by)
    await CustomerLogins(connection, clock).sign_out([customer_id])


async def bulk_update_status(
    connection: Connection, update: BulkCustomerStatusUpdate, *, by: Principal, settings: Settings, clock: Clock
) -> BulkResult:
    """Activate or deactivate many customers; who is deactivated is signed out.

    Raises:
        BulkRejected: all or nothing was asked for, and one cannot be changed.
    """
    result = await RetailCustomerService(connection, settings, clock).bulk_update_status(update, by=by)
    changed = [item.customer_id for item in result.items if item.outcome == "changed"]
    if changed and not update.is_active:
        await CustomerLogins(connection, clock).sign_out(changed)
    return result
