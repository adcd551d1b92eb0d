"""What is told to others about orders."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from regulars.kit.events import Event
from regulars.orders.models import OrderStatus


@dataclass(frozen=True, kw_only=True)
class OrderRecorded(Event, kind="order.recorded"):
    """An order was taken in."""

    order_id: UUID
    status: OrderStatus
    total: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class OrderPaid(Event, kind="order.paid"):
    """An order is paid, when it was taken in or later."""

    order_id: UUID
    total: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class OrderRevised(Event, kind="order.revised"):
    """The source of an order changed it."""

    order_id: UUID
    status: OrderStatus
    total: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class OrderRefunded(Event, kind="order.refunded"):
    """Part of an order, or the rest of it, was paid back."""

    order_id: UUID
    refund_id: UUID
    amount: Decimal
    refunded_total: Decimal
    currency: str
    is_full: bool


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(Event, kind="order.cancelled"):
    """An order was cancelled, when it was taken in or later."""

    order_id: UUID
