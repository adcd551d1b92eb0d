"""Customers are added and edited, and what the profile says about consent is written down as consent too."""

from collections.abc import Iterable
from uuid import UUID

from regulars.customers.schemas import RetailCustomerCreate, RetailCustomerResponse, RetailCustomerUpdate
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.preconditions import Precondition, any_version
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal, source_of
from regulars.privacy.models_consents import flags

_flag_names = frozenset(flags.values())


async def create_customer(
    connection: Connection, data: RetailCustomerCreate, *, by: Principal, settings: Settings, clock: Clock
) -> RetailCustomerResponse:
    """Add a customer; refuses as `RetailCustomerService.create_customer()` does."""
    created = await RetailCustomerService(connection, settings, clock).create_customer(data, by=by)
    await _follow_flags(connection, created.id, data.model_fields_set, by=by, clock=clock)
    return created


async def update_customer(
    connection: Connection,
    customer_id: UUID,
    update: RetailCustomerUpdate,
    *,
    by: Principal,
    settings: Settings,
    clock: Clock,
    precondition: Precondition = any_version,
) -> RetailCustomerResponse:
    """Change a profile; refuses as `RetailCustomerService.update_customer()` does."""
    customers = RetailCustomerService(connection, settings, clock)
    updated = await customers.update_customer(customer_id, update, by=by, precondition=precondition)
    await _follow_flags(connection, customer_id, update.model_fields_set, by=by, clock=clock)
    return updated


async def _follow_flags(
    connection: Connection, customer_id: UUID, sent: Iterable[str], *, by: Principal, clock: Clock
) -> None:
    if not _flag_names.isdisjoint(sent):
        await ConsentJournal(connection, clock).follow_flags([customer_id], source=source_of(by), by=by)
