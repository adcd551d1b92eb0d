"""A customer bought something."""

from dataclasses import dataclass

from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.buyers import Buyers
from regulars.flows.order_changes import OrderChanges, paid
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.orders.errors import OrderCancelled, OrderConflict
from regulars.orders.models import NewOrder, NewOrderStatus, Order, OrderName
from regulars.orders.repository import OrderRepository
from regulars.orders.schemas import OrderCreate, OrderResponse
from regulars.orders.service import OrderService, check_order, own_source

_steps: tuple[NewOrderStatus, ...] = ("pending", "paid", "fulfilled", "cancelled")


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
    """Take in an order: find the customer, write the order, award points, bring metrics and scores up to date.

    All or nothing. Who is not known becomes a guest. Paid orders of active customers earn what the programme gives, as
    soon as they are paid; the order of a deactivated or deleted customer, or of a guest who cannot be reached, is just
    stored.

    Sending the same order again changes nothing but its status, which goes forward only, and gives the stored one.
    Other content replaces the stored one if it says that it is a revision; the points follow.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
        Validation: the order does not make sense.
        SourceForbidden: an API client names a source that is not its own.
        OrderConflict: the source has an order of this id with other content, and does not say that it changed it.
        OrderCancelled: the order is cancelled here, and the source now says otherwise than it did before.
    """
    lines = check_order(order, settings, clock)
    new = order.as_new(own_source(order.source, by), settings.currency, lines)
    orders, customers = OrderRepository(connection), RetailCustomerRepository(connection)
    changes = OrderChanges(connection, by=by, settings=settings, clock=clock)
    if settings.early_refunds == "hold":
        await orders.take_turn(OrderName(new.source, new.external_id))
    buyers, stored = Buyers(connection, clock), None
    buyer = await buyers.find(order, by=by)
    if buyer is None:
        is_nobody = await buyers.names_nobody(order)
        if is_nobody:
            await orders.take_turn(OrderName(new.source, new.external_id))
            stored = await orders.find(OrderName(new.source, new.external_id))
        buyer = await (customers.get(stored.customer_id) if stored else buyers.welcome(order, is_nobody=is_nobody))
    # Two orders of one customer at once: the second must count the first one's.
    buyer = await customers.lock(buyer.id)
    recorded = None if stored else await changes.record(new, buyer)
    if recorded is None:
        known = await _repeat(orders, changes, new, buyer, is_revision=order.is_revision)
        return Purchase(await OrderService(connection).show(known, by=by), is_new=False)
    await changes.follow(buyer)
    return Purchase(await OrderService(connection).show(recorded, by=by), is_new=True)


async def _repeat(
    orders: OrderRepository, changes: OrderChanges, new: NewOrder, buyer: RetailCustomer, *, is_revision: bool
) -> Order:
    """The stored order of this source and id, if the new one says the same, in the status that it has reached by now.

    A status that the order has passed already came late, and changes nothing. A cancelled order is not taken up again:
    who says so after having said something else is told, who only repeats what was said is not.
    """
    stored = await orders.find(OrderName(new.source, new.external_id))
    if stored is None:
        raise NotFound
    status = await orders.status_in_source(stored, new) if stored.customer_id == buyer.id else None
    if status is None and stored.customer_id == buyer.id and is_revision:
        revised = await changes.revise(stored, new, buyer)
        await changes.follow(buyer)
        return revised
    if status is None:
        raise OrderConflict(order_id=stored.id)
    if stored.cancelled_on is not None and new.status not in (status, "cancelled"):
        raise OrderCancelled
    if new.status == status or (stored.cancelled_on is None and _steps.index(new.status) < _steps.index(status)):
        return stored
    advanced = await changes.advance(stored, new, buyer, was_paid=status in paid)
    if advanced.cancelled_on is not None:
        await changes.follow(buyer)
    return advanced
