"""Whose orders, and what of them, are for which callers."""

from uuid import UUID

from regulars.customers.access import require_visible
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.orders.models import Order, OrderKey, OrderName
from regulars.orders.repository import OrderRepository
from regulars.orders.repository_search import Reach


def is_masked_for(customer_id: UUID, by: Principal) -> bool:
    """Whether what was noted with an order is hidden: from those who neither know the person nor write orders."""
    return not (by.sees_identifiers() or by.may("orders:write") or by.customer_id == customer_id)


def reach_of(by: Principal, *, names_customer: bool) -> Reach:
    """Whose orders a list shows to a caller.

    A customer sees the own ones; an API client those of its source, and all of one customer whom it names.
    """
    if not by.may("orders:read"):
        return Reach(customer_id=by.customer_id or UUID(int=0))
    is_confined = by.source is not None and not names_customer
    return Reach(source=by.source if is_confined else None, deleted=by.may("customers:erase"))


def require_own_source(order: Order | OrderName, by: Principal) -> None:
    """Let an API client at the orders of its own source, and at those of others by the scope `orders:any-source`.

    Raises:
        NotFound: it is of another source; whether it is there is not said.
    """
    if by.source not in (None, order.source) and not by.may("orders:any-source"):
        raise NotFound


async def find_visible(connection: Connection, key: OrderKey, by: Principal, scope: str) -> Order:
    """An order that the caller may know of.

    Raises:
        NotFound: there is none, or it is of a customer or a source that the caller may not know.
        CustomerErased: the customer was erased, and the caller may know it.
    """
    if isinstance(key, OrderName):
        require_own_source(key, by)
    order = await OrderRepository(connection).find(key)
    if order is None:
        raise NotFound
    require_own_source(order, by)
    require_visible(await RetailCustomerRepository(connection).get(order.customer_id), by, scope)
    return order
