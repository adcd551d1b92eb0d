"""What every change of an order brings about, in one transaction: money, points, tier, metrics, scores, events."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from regulars.analytics.live import LiveScoring
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.follow_orders import follow_one
from regulars.flows.guests import can_be_reached
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import Refusal
from regulars.kit.events import Event, record_events
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.loyalty.errors import AlreadyCredited
from regulars.loyalty.models_refunds import AwardedOrder, ClawBack
from regulars.loyalty.refunds import ClawBackService
from regulars.loyalty.service import LoyaltyService
from regulars.orders import events
from regulars.orders.amounts import amounts_of, returned_of
from regulars.orders.errors import OrderCancelled, RefundConflict
from regulars.orders.models import FullOrder, NewOrder, Order, OrderLine, Refund
from regulars.orders.refunds import check_refund, complete_refund, says_the_same
from regulars.orders.repository import OrderRepository
from regulars.orders.repository_changed import ChangedOrderRepository
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
        self._loyalty = LoyaltyService(connection, settings, clock)

    async def record(self, new: NewOrder, buyer: RetailCustomer) -> Order | None:
        """Write a new order, give its points, and do what waited for it; None if it is known already."""
        now = self._clock.now()
        order = await self._orders.create_order(new, buyer.id, ordered_on=self._clock.day_of(new.ordered_at), now=now)
        if order is None:
            return None
        await record_events(self._connection, now, *_events_of_new(order))
        if order.status in paid:
            await self._award(order, new.lines, buyer)
        if self._settings.early_refunds == "hold":
            await self.settle_early(order)
            return await self._orders.get(order.customer_id, order.id)
        return order

    async def advance(self, order: Order, new: NewOrder, buyer: RetailCustomer, *, was_paid: bool) -> Order:
        """Follow the order to the status that its source tells now; it earns when it becomes paid."""
        if new.status == "cancelled":
            return await self._orders.note_cancellation(await self.cancel(order), new)
        advanced = await self._orders.set_status(order, new, now=self._clock.now())
        if not was_paid:
            await self._pay(advanced, buyer)
        return advanced

    async def revise(self, order: Order, new: NewOrder, buyer: RetailCustomer) -> Order:
        """Replace an order by what its source says now; its points follow.

        Raises:
            OrderCancelled: the order is cancelled, and the source says otherwise.
            Validation: the new total is below what was refunded.
        """
        if order.cancelled_on is not None and new.status != "cancelled":
            raise OrderCancelled
        if new.totals.total < order.refunded_total:
            raise Validation.at("/total", "range", "must not be below what was refunded")
        now, [known] = self._clock.now(), await OrderService(self._connection).complete([order])
        before = amounts_of(order, known.lines)
        await ChangedOrderRepository(self._connection).note(order, lines_total=before.lines, now=now)
        revised = await self._orders.revise(order, new, ordered_on=self._clock.day_of(new.ordered_at), now=now)
        await record_events(self._connection, now, events.OrderRevised(**_facts(revised), status=revised.status))
        await self._audit("revise_order", order, {"total": str(order.total)})
        if new.status == "cancelled":
            revised = await self.cancel(revised)
        elif new.status in paid and await self._waits_for_payment(known):
            await self._pay(revised, buyer)
        elif new.status in paid and await self._loyalty.points_of(before) == 0:
            # Nothing was awarded, so there is no award that could follow.
            await self._earn(revised, buyer)
        await follow_one(self._connection, self._clock, revised, by=self._by)
        return revised

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
            is_full=refunded_total == order.total > 0,
        )
        await record_events(self._connection, now, told)
        await self._audit("refund_order", order, {"refund_id": str(written.id), "reason": refund.reason})
        return written, await self._claw_back(known, [*known.refunds, written]), True

    async def cancel(self, order: Order, reason: str | None = None) -> Order:
        """Cancel an order and take back all of its points; a cancelled one stays as it is."""
        if order.cancelled_on is not None:
            return order
        now = self._clock.now()
        cancelled = await self._orders.cancel(order, cancelled_on=self._clock.today(), now=now)
        told = events.OrderCancelled(customer_id=order.customer_id, order_id=order.id)
        await record_events(self._connection, now, told)
        await self._audit("cancel_order", order, {"reason": reason})
        void = AwardedOrder(order.customer_id, order.id, order.id, amounts_of(order, ()), returned=None)
        await self._claw_backs.claw_back_points(void, by=self._by)
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
        if is_free and buyer.deleted_at is None and buyer.erased_at is None:
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
        """Give the points of an order that was not paid when it came."""
        await record_events(self._connection, self._clock.now(), _paid(order))
        await self._earn(order, buyer)

    async def _earn(self, order: Order, buyer: RetailCustomer) -> None:
        """Give the points of an order that came before, less those of what was refunded since."""
        [known] = await OrderService(self._connection).complete([order])
        await self._award(order, known.lines, buyer)
        for place in range(len(known.refunds)):
            await self._claw_back(known, known.refunds[: place + 1])

    async def _waits_for_payment(self, known: FullOrder) -> bool:
        """Whether the source has not said yet that the order is paid; a refund hides that in its status."""
        if known.order.status != "partially_refunded":
            return known.order.status == "pending"
        return await self._orders.status_in_source(known.order, known.as_sent()) == "pending"

    async def _award(self, order: Order, lines: Sequence[OrderLine], buyer: RetailCustomer) -> None:
        """Give what the programme gives, once: whoever sent an award for the order before has given it."""
        if not buyer.is_active or not can_be_reached(buyer):
            return
        with suppress(AlreadyCredited):
            await self._loyalty.award_order(buyer.id, order.id, amounts_of(order, lines), by=self._by)

    async def _claw_back(self, known: FullOrder, refunds: Sequence[Refund]) -> list[ClawBack]:
        """Take back what the order does not keep after these refunds, of which the last is the cause."""
        order, returned = known.order, returned_of(refunds)
        is_void = order.status == "cancelled" or returned.amount >= order.total > 0
        left = AwardedOrder(
            order.customer_id, order.id, refunds[-1].id, amounts_of(order, known.lines), None if is_void else returned
        )
        return await self._claw_backs.claw_back_points(left, by=self._by)

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
    yield events.OrderRecorded(**_facts(order), status=order.status)
    if order.status in paid:
        yield _paid(order)
    if order.status == "cancelled":
        yield events.OrderCancelled(customer_id=order.customer_id, order_id=order.id)


def _paid(order: Order) -> events.OrderPaid:
    return events.OrderPaid(**_facts(order))


def _facts(order: Order) -> dict[str, Any]:
    return {
        "customer_id": order.customer_id,
        "order_id": order.id,
        "total": order.total,
        "currency": order.currency,
    }
