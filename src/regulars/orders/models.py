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
    """A line as it is stored, with its place in the order, from 1."""

    line_number: int


@dataclass(frozen=True)
class OrderTotals:
    """What an order costs, in money of the installation's currency.

    Attributes:
        total: What the customer pays.
        discount_total: Taken off the whole order, beyond the discounts of its lines.
        tax_total: Taxes, whether the line totals contain them or not.
        shipping_total: Added for the way to the customer.
    """

    total: Decimal
    discount_total: Decimal = Decimal(0)
    tax_total: Decimal = Decimal(0)
    shipping_total: Decimal = Decimal(0)


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
    refunded_total: Decimal
    cancelled_on: date | None
    channel: str | None
    metadata: dict[str, Any] | None
    content_hash: bytes
    created_at: datetime
    updated_at: datetime


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
