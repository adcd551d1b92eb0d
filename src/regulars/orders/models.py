"""An order as the rest of the program sees one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

OrderStatus: TypeAlias = Literal["pending", "paid", "fulfilled", "cancelled", "partially_refunded", "refunded"]
NewOrderStatus: TypeAlias = Literal["pending", "paid", "fulfilled", "cancelled"]


@dataclass(frozen=True)
class OrderLine:
    """One line of an order.

    Attributes:
        quantity: Pieces, or an amount in the product's unit; below zero for something brought back.
        unit_price: Price of one, up to four decimals, because fuel and cloth are priced so.
        discount: Taken off this line, in money.
        total: What the line costs, in money.
    """

    sku: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    total: Decimal


@dataclass(frozen=True)
class StoredLine(OrderLine):
    """A line as it is stored, with its place in the order, from 1, and what the catalogue says of the product."""

    customer_id: UUID
    order_id: UUID
    line_number: int
    category: str | None
    brand: str | None


@dataclass(frozen=True)
class OrderTotals:
    """What an order costs, in money of the installation's currency.

    Attributes:
        total: What the customer pays.
        discount_total: Taken off the whole order, beyond the discounts of its lines.
        tax_total: Taxes, whether the line totals contain them or not.
        shipping_total: Added for the way to the customer.
        cash_rounding: Added to what all this comes to, so that it could be paid in coins; often below zero.
    """

    total: Decimal
    discount_total: Decimal = Decimal(0)
    tax_total: Decimal = Decimal(0)
    shipping_total: Decimal = Decimal(0)
    cash_rounding: Decimal = Decimal(0)


@dataclass(frozen=True)
class NewOrder:
    """An order about to be written.

    Attributes:
        source: The system it comes from.
        external_id: Its id there; no two orders of one source share one.
        ordered_at: The instant of the purchase.
        metadata: Whatever the caller wants to find again; up to 4 KiB.
    """

    source: str
    external_id: str
    ordered_at: datetime
    totals: OrderTotals
    currency: str
    status: NewOrderStatus = "paid"
    channel: str | None = None
    metadata: Mapping[str, Any] | None = None
    lines: Sequence[OrderLine] = ()


@dataclass(frozen=True)
class OrderName:
    """How a source knows an order, whether or not it has sent it yet."""

    source: str
    external_id: str


OrderKey: TypeAlias = UUID | OrderName
"""What names an order: the id it was given here, or its id in its source."""


@dataclass(frozen=True)
class Order:
    """An order as it is stored.

    Attributes:
        ordered_on: The store's day of the purchase.
        refunded_total: What was paid back until now.
        cancelled_on: The store's day of the cancellation; for an order that came in cancelled, the day of the order.
    """

    id: UUID
    customer_id: UUID
    source: str
    external_id: str
    status: OrderStatus
    currency: str
    ordered_at: datetime
    ordered_on: date
    total: Decimal
    discount_total: Decimal
    tax_total: Decimal
    shipping_total: Decimal
    cash_rounding: Decimal
    refunded_total: Decimal
    cancelled_on: date | None
    channel: str | None
    metadata: dict[str, Any] | None
    content_hash: bytes
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> OrderName:
        """How its source knows it."""
        return OrderName(self.source, self.external_id)

    @property
    def refundable(self) -> Decimal:
        """What is left to be paid back."""
        return self.total - self.refunded_total


@dataclass(frozen=True)
class RefundLine:
    """A part of a line that was brought back.

    Attributes:
        quantity: In the unit of the line.
        amount: What was paid back for it.
    """

    line_number: int
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True)
class NewRefund:
    """A refund about to be written.

    Attributes:
        refund_id: Its id where it was made; no two refunds of one order share one.
        amount: What is paid back.
        refunded_at: When.
        shipping_amount: What of the amount is for shipping.
        reason: A code.
        lines: What was brought back; none if it is an amount only.
    """

    refund_id: str
    amount: Decimal
    refunded_at: datetime
    shipping_amount: Decimal = Decimal(0)
    reason: str | None = None
    lines: Sequence[RefundLine] = ()


@dataclass(frozen=True)
class Refund:
    """A refund as it is stored; `id` is ours, `refund_id` that of whoever made it."""

    id: UUID
    customer_id: UUID
    order_id: UUID
    refund_id: str
    amount: Decimal
    shipping_amount: Decimal
    refunded_at: datetime
    refunded_on: date
    reason: str | None
    created_at: datetime
    lines: tuple[RefundLine, ...]

    def __post_init__(self) -> None:
        lines: Sequence[Any] = self.lines
        told = (line if isinstance(line, RefundLine) else _refund_line(line) for line in lines)
        object.__setattr__(self, "lines", tuple(told))


@dataclass(frozen=True)
class FullOrder:
    """An order with its lines and its refunds, the latest refund last."""

    order: Order
    lines: Sequence[StoredLine]
    refunds: Sequence[Refund] = ()

    def as_sent(self) -> NewOrder:
        """The order without what was done to it here."""
        order = self.order
        return NewOrder(
            source=order.source,
            external_id=order.external_id,
            ordered_at=order.ordered_at,
            totals=OrderTotals(
                order.total, order.discount_total, order.tax_total, order.shipping_total, order.cash_rounding
            ),
            currency=order.currency,
            channel=order.channel,
            metadata=order.metadata,
            lines=self.lines,
        )


def _refund_line(row: Sequence[Any]) -> RefundLine:
    """A line as the database tells it: in JSON, with its numbers as texts so that they stay exact."""
    return RefundLine(int(row[0]), Decimal(row[1]), Decimal(row[2]))


@dataclass(frozen=True)
class Product:
    """An entry of the catalogue. Orders may name products that have none."""

    sku: str
    name: str | None
    brand: str | None
    category: str | None
    department: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ProductEntry:
    """What somebody says about a product; None says nothing."""

    sku: str
    name: str | None = None
    brand: str | None = None
    category: str | None = None
    department: str | None = None
