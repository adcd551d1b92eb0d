"""People who bought without being customers, until they prove that they are the ones."""

from regulars.accounts.claims import CustomerClaims
from regulars.customers.events import CustomerUpdated
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.schemas_registration import RegistrationProfile
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import record_events


class Guests:
    """Guests whose record can become a registered customer's, in the caller's transaction.

    Whoever reads the mailbox of a guest gets the record with its number, orders and points; nobody gets it before.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    async def find(self, email: str, *, lock: bool = False) -> RetailCustomer | None:
        """The guest who has this address, if a login could be opened for the record."""
        customer_id = await self._customers.find_claim("email", email)
        if customer_id is None:
            return None
        customer = await CustomerClaims(self._connection, self._clock).find(customer_id, email, lock=lock)
        return customer if customer and customer.is_guest else None

    async def complete(self, guest: RetailCustomer, data: RegistrationProfile) -> RetailCustomer:
        """Write down what a guest, who is locked, says when registering."""
        told = data.profile()
        changes = {
            name: getattr(told, name)
            for name in data.model_fields_set & RegistrationProfile.model_fields.keys() - {"email"}
            if getattr(told, name) != getattr(guest, name)
        }
        if not changes:
            return guest
        now = self._clock.now()
        await record_events(self._connection, now, CustomerUpdated(customer_id=guest.id, fields=sorted(changes)))
        return await self._customers.update_customer(guest.id, changes, at=now)


def can_be_reached(customer: RetailCustomer) -> bool:
    """Whether what the record earns can ever be somebody's: not if it is deleted, or of a guest without any address."""
    return customer.deleted_at is None and (
        not customer.is_guest or customer.email is not None or customer.phone is not None
    )
