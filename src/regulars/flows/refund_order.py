"""A purchase is taken back, in part or as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from regulars.customers.access import require_visible
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.order_changes import OrderChanges
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import NotFound, Refusal
from regulars.kit.one_by_one import one_by_one
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.orders.access import require_own_source
from regulars.orders.errors import RefundConflict
from regulars.orders.models import Order, OrderKey, OrderName
from regulars.orders.refunds import check_refund
from regulars.orders.repository import OrderRepository
from regulars.orders.repository_refunds import EarlyReversalRepository
from regulars.orders.schemas import OrderResponse
from regulars.orders.schemas_refunds import OrderCancel, RefundCreate, RefundResponse
from regulars.orders.service import OrderService

early_reversals_kept = timedelta(days=90)
_at_once = 100


@dataclass(frozen=True)
class Refunding:
    """A refund that was sent.

    Attributes:
        refund: As it is stored.
        is_new: Whether it was stored just now, not before.
    """

    refund: RefundResponse
    is_new: bool


async def refund_order(
    connection: Connection, key: OrderKey, refund: RefundCreate, *, by: Principal, settings: Settings, clock: Clock
) -> Refunding | None:
    """Pay back an amount or lines of an order: refund, points, tier, metrics and scores, all or nothing.

    Sending the same refund again changes nothing and gives the stored one. The order of a deactivated customer can be
    refunded too, and so can that of a person who is gone: what was paid back is booked.

    Returns:
        The refund; None where the order is not known yet and the refund is held for it.

    Raises:
        NotFound: there is no such order.
        Validation: the refund does not make sense.
        RefundConflict: the order has a refund of this id with another amount or other lines.
        OrderCancelled: the order is cancelled.
        RefundExceedsOrder: more than is left of the order.
    """
    check_refund(refund, settings, clock)
    found = await _lock_order(connection, key, by=by, settings=settings, also_gone=True)
    if found is None:
        await _hold(connection, key, refund.refund_id, refund, by=by, clock=clock)
        return None
    order, customer = found
    changes = OrderChanges(connection, by=by, settings=settings, clock=clock)
    stored, claw_backs, is_new = await changes.refund(order, refund)
    if is_new:
        await changes.follow(customer)
        order = await OrderRepository(connection).get(order.customer_id, order.id) or order
    told = RefundResponse.of(
        stored,
        order,
        points_taken=sum(claw_back.taken for claw_back in claw_backs),
        points_written_off=sum(claw_back.written_off for claw_back in claw_backs),
    )
    return Refunding(told, is_new)


async def cancel_order(
    connection: Connection, key: OrderKey, cancel: OrderCancel, *, by: Principal, settings: Settings, clock: Clock
) -> OrderResponse | None:
    """Cancel an order: it counts no more, and all of its points are taken back; a cancelled one stays as it is.

    Returns:
        The order; None where it is not known yet and the cancellation is held for it.

    Raises:
        NotFound, CustomerErased: there is no such order, for this caller.
    """
    found = await _lock_order(connection, key, by=by, settings=settings)
    if found is None:
        await _hold(connection, key, "", cancel, by=by, clock=clock)
        return None
    order, customer = found
    changes = OrderChanges(connection, by=by, settings=settings, clock=clock)
    cancelled = await changes.cancel(order, cancel.reason)
    if order.cancelled_on is None:
        await changes.follow(customer)
    return await OrderService(connection).show(cancelled, by=by)


async def settle_early_reversals(database: Transactions, settings: Settings, clock: Clock) -> int:
    """Do what waited for orders that came by a way that does not look, such as an import; how many orders it touched.

    Each order has a transaction of its own; what cannot be done is kept with the reason. One that meets a fault waits
    for the next time.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """

    async def find(left: Sequence[OrderName]) -> Sequence[OrderName]:
        async with database.transaction() as connection:
            return await EarlyReversalRepository(connection).find_arrived(but=left, limit=_at_once)

    async def settle(name: OrderName) -> None:
        async with database.transaction() as connection:
            await _settle(connection, name, settings, clock)

    return await one_by_one(find, settle, at_once=_at_once)


async def _settle(connection: Connection, name: OrderName, settings: Settings, clock: Clock) -> None:
    """Do what waits for an order that is there; where its customer is gone, it is refused."""
    try:
        found = await _lock_order(connection, name, by=operator, settings=settings)
    except Refusal as refusal:
        early = EarlyReversalRepository(connection)
        for reversal in await early.waiting_for(name):
            await early.finish(name, reversal.refund_id, refused_as=reversal.refused_as or refusal.slug())
        return
    if found:
        changes = OrderChanges(connection, by=operator, settings=settings, clock=clock)
        await changes.settle_early(found[0])
        await changes.follow(found[1])


async def _lock_order(
    connection: Connection, key: OrderKey, *, by: Principal, settings: Settings, also_gone: bool = False
) -> tuple[Order, RetailCustomer] | None:
    """The order with its customer, who is locked; None if what is to be done shall wait for it."""
    orders, customers = OrderRepository(connection), RetailCustomerRepository(connection)
    if isinstance(key, OrderName):
        require_own_source(key, by)
    name = key if settings.early_refunds == "hold" and isinstance(key, OrderName) else None
    if name:
        await orders.take_turn(name)
    place = await orders.find_customer_of(key)
    if place is None:
        if name:
            return None
        raise NotFound
    if not also_gone:
        require_visible(await customers.get(place[0]), by, "orders:refund")
    customer = await customers.lock(place[0])
    order = await orders.get(*place)
    assert order is not None, "orders are never deleted"  # noqa: S101
    require_own_source(order, by)
    return order, customer


async def _hold(
    connection: Connection,
    key: OrderKey,
    refund_id: str,
    request: RefundCreate | OrderCancel,
    *,
    by: Principal,
    clock: Clock,
) -> None:
    """Keep what is to be done until the order comes; the same again changes nothing."""
    assert isinstance(key, OrderName), "only a name can be of an order that is not known"  # noqa: S101
    sent = request.model_dump(mode="json")
    kept = await EarlyReversalRepository(connection).keep(key, refund_id, sent, by=by.id, now=clock.now())
    if refund_id and kept.request != sent:
        raise RefundConflict
