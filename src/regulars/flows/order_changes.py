"""What every change of an order brings about, in one transaction: money, points, tier, metrics, scores, events."""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from regulars.analytics.live import LiveScoring
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.guests import can_be_reached
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import Refusal
from regulars.kit.events import Event, record_events
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.loyalty.errors import AlreadyCredited
from regulars.loyalty.models import ClawBack
from regulars.loyalty.refunds import ClawBackService, Refunded
from regulars.loyalty.service import LoyaltyService
from regulars.orders import events
from regulars.orders.errors import RefundConflict
from regulars.orders.models import NewOrder, Order, Refund
from regulars.orders.refunds import check_refund, complete_refund, says_the_same
from regulars.orders.repository import OrderRepository
from regulars.orders.repository_refunds import EarlyReversalRepository, RefundRepository
from regulars.orders.schemas_refunds import OrderCancel, RefundCreate
from regulars.orders.service import OrderService

paid = frozenset({"paid", "fulfilled"})


class OrderChanges:
    """Changes one customer's orders. The customer is locked; metrics and scores follow at the end, by `follow()`.

    Args:
        connection: The transaction.
        by: Who changes.
        settings: Of the installation.
        clock: Tells when.
    """

    def __init__(self, connection: Connection, *, by: Principal, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._by = by
        self._settings = settings
        self._clock = clock
        self._orders = OrderRepository(connection)
        self._refunds = RefundRepository(connection)
        self._early = EarlyReversalRepository(connection)
        self._claw_backs = ClawBackService(connection, clock)

    async def record(self, new: NewOrder, buyer: RetailCustomer) -> Order | None:
        """Write a new order, give its points, and do what waited for it; None if it is known already."""
        now = self._clock.now()
        order = await self._orders.create_order(new, buyer.id, ordered_on=self._clock.day_of(new.ordered_at), now=now)
        if order is None:
            return None
        await record_events(self._connection, now, *_events_of_new(order))
        if order.status in paid:
            await self._award(order, buyer)
        if self._settings.early_refunds == "hold":
            await self.settle_early(order)
            return await self._orders.get(order.customer_id, order.id)
        return order

    async def advance(self, order: Order, new: NewOrder, buyer: RetailCustomer, *, was_paid: bool) -> Order:
        """Follow the order to the status that its source tells now; it earns when it becomes paid."""
        if new.status == "cancelled":
            return await self.cancel(order)
        advanced = await self._orders.set_status(order, new, now=self._clock.now())
        if not was_paid:
            await self._pay(advanced, buyer)
        return advanced

    async def refund(self, order: Order, refund: RefundCreate) -> tuple[Refund, list[ClawBack], bool]:
        """Write a refund and take back its part of the points; one that was written before is found again.

        Returns:
            The refund, what it did to the points, and whether it is new.

        Raises:
            RefundConflict: a refund of this id is stored with another amount or other lines.
            OrderCancelled, RefundExceedsOrder, Validation: see `complete_refund()`.
        """
        [known] = await OrderService(self._connection).complete([order])
        stored = {found.refund_id: found for found in known.refunds}.get(refund.refund_id)
        if stored:
            if not says_the_same(refund, stored):
                raise RefundConflict(refund_id=stored.id)
            return stored, await self._claw_backs.get_claw_backs(order.customer_id, stored.id), False
        now = self._clock.now()
        new = complete_refund(refund, known, now=now)
        written = await self._refunds.create_refund(
            order, new, refunded_on=self._clock.day_of(new.refunded_at), now=now
        )
        refunded_total = order.refunded_total + written.amount
        told = events.OrderRefunded(
            customer_id=order.customer_id,
            order_id=order.id,
            refund_id=written.id,
            amount=written.amount,
            refunded_total=refunded_total,
            currency=order.currency,
            is_full=refunded_total == order.total,
        )
        await record_events(self._connection, now, told)
        await self._audit("refund_order", order, {"refund_id": str(written.id), "reason": refund.reason})
        return written, await self._claw_back(order, written, refunded_total), True

    async def cancel(self, order: Order, reason: str | None = None) -> Order:
        """Cancel an order and take back all of its points; a cancelled one stays as it is."""
        if order.cancelled_on is not None:
            return order
        now = self._clock.now()
        cancelled = await self._orders.cancel(order, cancelled_on=self._clock.today(), now=now)
        told = events.OrderCancelled(customer_id=order.customer_id, order_id=order.id)
        await record_events(self._connection, now, told)
        await self._audit("cancel_order", order, {"reason": reason})
        everything = Refunded(order.customer_id, order.id, order.id, order.total, order.total)
        await self._claw_backs.claw_back_points(everything, by=self._by)
        return cancelled

    async def settle_early(self, order: Order) -> None:
        """Do the refunds and the cancellation that came before their order; what cannot be done is kept with why."""
        name = order.name
        for reversal in await self._early.waiting_for(name):
            if reversal.refused_as is not None:
                continue
            refused_as = None
            try:
                async with self._connection.transaction():
                    await self._reverse(order, reversal.refund_id, reversal.request)
            except Refusal as refusal:
                refused_as = refusal.slug()
            await self._early.finish(name, reversal.refund_id, refused_as=refused_as)

    async def follow(self, buyer: RetailCustomer) -> None:
        """Bring metrics and scores of the customer up to the orders."""
        live = LiveScoring(self._connection, self._settings, self._clock)
        is_free = await live.hold_off_runs()
        await RetailCustomerRepository(self._connection).update_purchase_metrics([buyer.id], now=self._clock.now())
        if is_free:
            await live.rescore(buyer.id)

    async def _reverse(self, order: Order, refund_id: str, request: dict[str, object]) -> None:
        order = await self._orders.get(order.customer_id, order.id) or order
        if refund_id:
            refund = RefundCreate.model_validate(request)
            check_refund(refund, self._settings, self._clock)
            await self.refund(order, refund)
        else:
            await self.cancel(order, OrderCancel.model_validate(request).reason)

    async def _pay(self, order: Order, buyer: RetailCustomer) -> None:
        """Give the points of an order that was not paid when it came, less those of what was refunded since."""
        await record_events(self._connection, self._clock.now(), _paid(order))
        await self._award(order, buyer)
        so_far = Decimal(0)
        for refund in await self._refunds.get_refunds([order]):
            so_far += refund.amount
            await self._claw_back(order, refund, so_far)

    async def _award(self, order: Order, buyer: RetailCustomer) -> None:
        """Give what the programme gives, once: whoever sent an award for the order before has given it."""
        if not buyer.is_active or not can_be_reached(buyer):
            return
        with suppress(AlreadyCredited):
            await LoyaltyService(self._connection, self._settings, self._clock).award_order(
                buyer.id,
                order.id,
                total=order.total_before_rounding,
                tax=order.tax_total,
                shipping=order.shipping_total,
                by=self._by,
            )

    async def _claw_back(self, order: Order, refund: Refund, refunded_total: Decimal) -> list[ClawBack]:
        part = Refunded(order.customer_id, order.id, refund.id, refunded_total, order.total)
        return await self._claw_backs.claw_back_points(part, by=self._by)

    async def _audit(self, action: str, order: Order, facts: dict[str, object]) -> None:
        await record_audit(
            self._connection,
            action,
            by=self._by,
            at=self._clock.now(),
            object_kind="order",
            object_id=order.id,
            facts=facts,
        )


def _events_of_new(order: Order) -> Iterator[Event]:
    yield events.OrderRecorded(
        customer_id=order.customer_id,
        order_id=order.id,
        status=order.status,
        total=order.total,
        currency=order.currency,
    )
    if order.status in paid:
        yield _paid(order)
    if order.status == "cancelled":
        yield events.OrderCancelled(customer_id=order.customer_id, order_id=order.id)


def _paid(order: Order) -> events.OrderPaid:
    return events.OrderPaid(
        customer_id=order.customer_id, order_id=order.id, total=order.total, currency=order.currency
    )
