"""Customers are added and edited, and what the profile says about consent is written down as consent too."""

from uuid import UUID

from regulars.customers.access import require_own_or
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas import RetailCustomerCreate, RetailCustomerResponse, RetailCustomerUpdate
from regulars.customers.service import RetailCustomerService
from regulars.flows.profile_preferences import preferences_followed
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.preconditions import Precondition, any_version
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentJournal, source_of
from regulars.privacy.models_consents import ConsentChannel, contact_fields, flags


async def create_customer(
    connection: Connection, data: RetailCustomerCreate, *, by: Principal, settings: Settings, clock: Clock
) -> RetailCustomerResponse:
    """Add a customer; refuses as `RetailCustomerService.create_customer()` does."""
    created = await RetailCustomerService(connection, settings, clock).create_customer(data, by=by)
    await _state_flags(connection, created.id, data, by=by, clock=clock)
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
    """Change a profile; refuses as `RetailCustomerService.update_customer()` does.

    A changed address or number takes no consent along: what is said about it in the same breath is said anew.
    """
    require_own_or("customers:write", customer_id, by)
    service = RetailCustomerService(connection, settings, clock)
    before = await RetailCustomerRepository(connection).lock(customer_id)
    async with preferences_followed(connection, customer_id, update.model_fields_set, clock):
        updated = await service.update_customer(customer_id, update, by=by, precondition=precondition)
    lost = _lost_contacts(before, update)
    if lost:
        await ConsentJournal(connection, clock).give_up_contact(before, lost)
    if await _state_flags(connection, customer_id, update, by=by, clock=clock) or lost:
        return await service.show(customer_id, by=by)
    return updated


def _lost_contacts(before: RetailCustomer, update: RetailCustomerUpdate) -> list[ConsentChannel]:
    """The channels whose messages go to another address or number, or nowhere, after a change."""
    changes = update.changes()
    return [
        channel
        for channel, field in contact_fields.items()
        if field in changes and getattr(before, field) not in {None, changes[field]}
    ]


async def _state_flags(
    connection: Connection,
    customer_id: UUID,
    sent: RetailCustomerCreate | RetailCustomerUpdate,
    *,
    by: Principal,
    clock: Clock,
) -> bool:
    """Write down what was said about consent; whether anything was."""
    said = {channel: bool(getattr(sent, name)) for channel, name in flags.items() if name in sent.model_fields_set}
    if said:
        await ConsentJournal(connection, clock).state(customer_id, said, source=source_of(by), by=by)
    return bool(said)
