"""A login for a customer who was written down at a till, given to whoever reads the customer's mailbox."""

from uuid import UUID

from regulars.accounts.enrolment import Enrolment
from regulars.accounts.passwords import PasswordHash
from regulars.accounts.repository import UserRepository
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound


class CustomerClaims:
    """Customers without a login, in the caller's transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)
        self._users = UserRepository(connection)

    async def find(self, customer_id: UUID, email: str, *, lock: bool = False) -> RetailCustomer | None:
        """The customer with this id, if the address is still theirs and they could get a login.

        Args:
            customer_id: Whose login it would be.
            email: The address whose mailbox is proved.
            lock: Whether it stays so until the transaction ends. Lock before the proof is touched, as others do.
        """
        try:
            customer = await (self._customers.lock(customer_id) if lock else self._customers.get(customer_id))
        except NotFound:
            return None
        is_there = customer.is_active and customer.deleted_at is None and customer.erased_at is None
        is_theirs = customer.email == email and await self._customers.find_claim("email", email) == customer.id
        is_claimable = is_there and is_theirs and not await self._users.has_login(customer.id)
        return customer if is_claimable else None

    async def open_login(self, customer: RetailCustomer, hashed: PasswordHash) -> None:
        """Give a customer who has proved the mailbox a login; the record stays what it is.

        Raises:
            EmailTaken: somebody else signs in under the address.
        """
        assert customer.email is not None, "found by it"  # noqa: S101
        user = await Enrolment(self._connection, self._clock).create_user(
            customer.email, hashed, role="customer", customer_id=customer.id
        )
        await self._customers.link_login(customer.id, user.id)
        await self._customers.mark_email_verified(customer.id, now=self._clock.now())
        await record_audit(
            self._connection,
            "claim_customer",
            by=None,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer.id,
            fields=["user_id", "is_email_verified"],
        )
