"""The points of orders that changed by a way that does not bring them along at once, such as an import."""

from collections import defaultdict
from itertools import zip_longest
from typing import Final
from uuid import UUID, uuid4

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.security import Principal, operator
from regulars.loyalty.models_refunds import AwardedOrder
from regulars.loyalty.refunds import ClawBackService
from regulars.orders.models import Order
from regulars.orders.repository_changed import ChangedOrder, ChangedOrderRepository

at_once: Final = 500
_earning: Final = frozenset({"paid", "fulfilled", "partially_refunded"})


async def follow_changed_orders(database: Transactions, clock: Clock) -> int:
    """Bring the points of all changed orders to what these keep; how many orders. Again is harmless.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    followed = 0
    while True:
        async with database.transaction() as connection:
            some = await follow_some(connection, clock)
        followed += some
        if not some:
            return followed


async def follow_one(connection: Connection, clock: Clock, order: Order, *, by: Principal) -> None:
    """Do it for one order, if it was noted as changed, in the transaction of the caller."""
    service = ClawBackService(connection, clock)
    await service.lock([order.customer_id])
    taken = await ChangedOrderRepository(connection).take([(order.customer_id, order.id)])
    await service.follow([_awarded(changed) for changed in taken], by=by)


async def follow_some(connection: Connection, clock: Clock) -> int:
    """Do it for up to 500 orders, in the transaction of the caller; how many there were."""
    changed = ChangedOrderRepository(connection)
    found = await changed.find(limit=at_once)
    if not found:
        return 0
    service = ClawBackService(connection, clock)
    # Refunds and awards wait here, so that the orders are read as the points will see them.
    await service.lock([customer_id for customer_id, _ in found])
    by_customer: dict[UUID, list[AwardedOrder]] = defaultdict(list)
    for order in await changed.take(found):
        by_customer[order.customer_id].append(_awarded(order))
    for turn in zip_longest(*by_customer.values()):
        await service.follow([order for order in turn if order], by=operator)
    return len(found)


def _awarded(order: ChangedOrder) -> AwardedOrder:
    return AwardedOrder(
        order.customer_id,
        order.order_id,
        uuid4(),
        order.amounts,
        order.returned,
        may_earn=order.status in _earning,
    )
