"""Who made an order: a customer, or a guest who becomes one by proving an address."""

from regulars.customers.access import require_buyer
from regulars.customers.errors import EmailTaken, PhoneTaken
from regulars.customers.events import CustomerCreated
from regulars.customers.identifiers import is_placeholder
from regulars.customers.models import CustomerProfile, NewCustomer, RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.events import record_events
from regulars.kit.security import Principal
from regulars.orders.schemas import OrderCreate


class Buyers:
    """Finds the customers whom orders name, and welcomes guests, in the caller's transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    async def find(self, order: OrderCreate, *, by: Principal) -> RetailCustomer | None:
        """The customer whom the order names; None if it names none who is known.

        Raises:
            NotFound: there is no customer with this id or number, or not any more.
            CustomerErased: the same, for callers who may see identifiers.
        """
        customer = await self._find(order)
        if customer is not None:
            require_buyer(customer, by, "orders:write")
        return customer

    async def names_nobody(self, order: OrderCreate) -> bool:
        """Whether an order for which nobody was found cannot tell its guest from others.

        It says nothing of the buyer, or a contact that anybody gives.
        """
        if order.phone:
            return is_placeholder(order.phone) or await self._customers.is_shared("phone", order.phone)
        return order.names_nobody or (order.email is not None and await self._customers.is_shared("email", order.email))

    async def welcome(self, order: OrderCreate, *, is_nobody: bool) -> RetailCustomer:
        """Write down a guest; of two orders at once that bring the same address, one finds the other's guest.

        A guest of nobody has no address: whoever has it could never claim what others bought.
        """
        now = self._clock.now()
        profile = CustomerProfile() if is_nobody else CustomerProfile(email=order.email, phone=order.phone)
        try:
            guest = await self._customers.create_customer(
                NewCustomer(profile, now, self._clock.day_of(now), is_guest=True)
            )
        except (EmailTaken, PhoneTaken):
            known = await self._find(order)
            if known is None:
                raise
            return known
        await record_events(self._connection, now, CustomerCreated(customer_id=guest.id, by_registration=False))
        return guest

    async def _find(self, order: OrderCreate) -> RetailCustomer | None:
        if order.customer_id:
            named = await self._customers.get(order.customer_id)
            while named.merged_into:  # what a record became part of can have become part of another itself
                named = await self._customers.get(named.merged_into)
            return named
        if order.customer_number:
            customer = await self._customers.get_by_customer_number(order.customer_number)
            if customer is None:
                raise NotFound
            return customer
        if order.email:
            return await self._customers.get_by_email(order.email)
        if order.phone and not is_placeholder(order.phone):
            return await self._customers.get_by_phone(order.phone)
        return None
