"""A customer bought something."""

from dataclasses import dataclass
from uuid import UUID

from regulars.customers.access import require_visible
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.loyalty.service import LoyaltyService
from regulars.orders.errors import OrderConflict
from regulars.orders.models import NewOrder, Order
from regulars.orders.repository import OrderRepository
from regulars.orders.schemas import OrderCreate, OrderResponse
from regulars.orders.service import check_order, own_source

paid = frozenset({"paid", "fulfilled"})


@dataclass(frozen=True)
class Purchase:
    """An order that was sent.

    Attributes:
        order: As it is stored.
        is_new: Whether it was stored just now, not before.
    """

    order: OrderResponse
    is_new: bool


async def record_purchase(
    connection: Connection, order: OrderCreate, *, by: Principal, settings: Settings, clock: Clock
) -> Purchase:
    """Take in an order: find the customer, write the order, bring the metrics up to date, award points; all or nothing.

    Paid orders of active customers earn what the programme gives; the order of a deactivated customer is just stored.

    Sending the same order again changes nothing and gives the stored one.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
        Validation: the order does not make sense.
        SourceForbidden: an API client names a source that is not its own.
        OrderConflict: the source has an order of this id with other content.
    """
    customers, orders = RetailCustomerRepository(connection), OrderRepository(connection)
    lines = check_order(order, settings, clock)
    customer = await _find_customer(customers, order, by)
    new = order.as_new(own_source(order.source, by), settings.currency, lines)
    # Two orders of one customer at once: the second must count the first one's.
    customer = await customers.lock(customer.id)
    recorded = await orders.create_order(new, customer.id, ordered_on=clock.day_of(new.ordered_at), now=clock.now())
    if recorded is None:
        return await _purchase(orders, await _the_same(orders, new, customer.id), is_new=False)
    await orders.recompute_metrics(customer.id, now=clock.now())
    if customer.is_active and recorded.status in paid:
        await LoyaltyService(connection, settings, clock).award_order(
            customer.id,
            recorded.id,
            total=recorded.total,
            tax=recorded.tax_total,
            shipping=recorded.shipping_total,
            by=by,
        )
    return await _purchase(orders, recorded, is_new=True)


async def _find_customer(customers: RetailCustomerRepository, order: OrderCreate, by: Principal) -> RetailCustomer:
    """The one customer whom the order names, if the caller may know of it."""
    if order.customer_id:
        customer: RetailCustomer | None = await customers.get(order.customer_id)
    elif order.customer_number:
        customer = await customers.get_by_customer_number(order.customer_number)
    elif order.email:
        customer = await customers.get_by_email(order.email)
    else:
        customer = await customers.get_by_phone(order.phone) if order.phone else None
    if customer is None:
        raise NotFound
    require_visible(customer, by, "orders:write")
    return customer


async def _the_same(orders: OrderRepository, new: NewOrder, customer_id: UUID) -> Order:
    """The stored order of this source and id, if the new one says the same."""
    stored = await orders.find(new.source, new.external_id)
    if stored is None:
        raise NotFound
    if stored.customer_id != customer_id or not await orders.has_content_of(stored, new):
        raise OrderConflict(order_id=stored.id)
    return stored


async def _purchase(orders: OrderRepository, order: Order, *, is_new: bool) -> Purchase:
    return Purchase(OrderResponse.of(order, await orders.get_lines(order)), is_new)
