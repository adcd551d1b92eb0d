"""What callers send and read about orders."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from regulars.customers.schemas import CustomerNumberText, EmailText, PhoneText
from regulars.kit.money import format_money
from regulars.kit.schemas import (
    CashRounding,
    Day,
    Id,
    Instant,
    Money,
    MoneyText,
    Price,
    RequestSchema,
    ResponseSchema,
    SignedMoney,
    Source,
    Text,
    broken_rule,
    small_json,
)
from regulars.orders.lines import most_lines
from regulars.orders.models import (
    FullOrder,
    NewOrder,
    NewOrderStatus,
    OrderLine,
    OrderStatus,
    OrderTotals,
    StoredLine,
)
from regulars.orders.quantities import Quantity, plain
from regulars.orders.schemas_refunds import OrderRefund, refunds_of


class OrderLineCreate(RequestSchema):
    """One line of a new order. Either `unit_price` or `total` may be left out."""

    sku: Annotated[str, Text(200)]
    quantity: Quantity = Field(description="Below zero for something brought back.")
    unit_price: Price | None = Field(default=None, description="Of one; up to four decimals in any currency.")
    discount: Money = Field(default=Decimal(0), description="Taken off the line.")
    total: SignedMoney | None = Field(default=None, description="Left out: quantity times unit_price less discount.")

    @field_validator("quantity")
    @classmethod
    def _not_nothing(cls, quantity: Decimal) -> Decimal:
        if not quantity:
            raise PydanticCustomError("range", "must not be zero")
        return quantity


_customer_fields = ("customer_id", "customer_number", "email", "phone")


class OrderCreate(RequestSchema):
    """A new order, and who made it: one of customer_id, customer_number, email, phone, or nobody who is known.

    An address that no customer has, and an order that names nobody, make a guest. An order of a deactivated or deleted
    customer is taken and earns nothing.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "webshop",
                    "external_id": "W-10042",
                    "email": "john@example.com",
                    "ordered_at": "2026-01-31T12:00:00Z",
                    "total": "24.90",
                    "shipping_total": "4.90",
                    "lines": [{"sku": "SOAP-1", "quantity": 2, "unit_price": "10.00"}],
                }
            ]
        }
    )

    source: Source | None = Field(default=None, description="An API client may leave it out: its own is filled in.")
    external_id: Annotated[str, Text(200)] = Field(description="The order's id in its source.")
    customer_id: Id | None = None
    customer_number: CustomerNumberText | None = None
    email: EmailText | None = None
    phone: PhoneText | None = None
    ordered_at: Instant = Field(description="Not in the future.")
    currency: str | None = Field(default=None, description="That of the installation, or left out.")
    total: Money = Field(description="What the customer pays.")
    discount_total: Money = Field(default=Decimal(0), description="Beyond the discounts of the lines.")
    tax_total: Money = Decimal(0)
    shipping_total: Money = Decimal(0)
    cash_rounding: CashRounding = Field(
        default=Decimal(0),
        description="What the total was rounded by to be paid in cash: 0.02 if 12.03 was paid with 12.05, -0.02 if"
        " 12.02 was with 12.00. Part of the total, and of what can be refunded; earns no points.",
    )
    status: NewOrderStatus = "paid"
    channel: Annotated[str, Text(100)] | None = None
    metadata: Annotated[dict[str, Any], small_json] | None = Field(
        default=None, description="Whatever you want to find again; up to 4 KiB."
    )
    lines: list[OrderLineCreate] = Field(default=[], max_length=most_lines)
    is_revision: bool = Field(
        default=False,
        description="The source changed the order: the stored one is replaced, its points follow. "
        "Without it, other content is a conflict.",
    )

    @model_validator(mode="after")
    def _names_one_customer_at_most(self) -> Self:
        named = [name for name in _customer_fields if getattr(self, name) is not None]
        if len(named) > 1:
            raise broken_rule("range", f"at most one of {', '.join(_customer_fields)}", *named)
        return self

    @property
    def names_nobody(self) -> bool:
        """Whether the order does not say who made it."""
        return not any((self.customer_id, self.customer_number, self.email, self.phone))

    def totals(self) -> OrderTotals:
        """The amounts of the whole order."""
        return OrderTotals(self.total, self.discount_total, self.tax_total, self.shipping_total, self.cash_rounding)

    def as_new(self, source: str, currency: str, lines: Sequence[OrderLine]) -> NewOrder:
        """The order as it is written, with its lines completed."""
        return NewOrder(
            source=source,
            external_id=self.external_id,
            ordered_at=self.ordered_at,
            totals=self.totals(),
            currency=currency,
            status=self.status,
            channel=self.channel,
            metadata=self.metadata,
            lines=lines,
        )


class OrderLineResponse(ResponseSchema):
    """One line of an order."""

    line_number: int
    sku: str
    quantity: str
    unit_price: str
    discount: MoneyText
    total: MoneyText
    category: str | None = Field(description="As the catalogue has it; null for a product that it does not know.")
    brand: str | None

    @classmethod
    def of(cls, line: StoredLine, currency: str) -> Self:
        """The line with its amounts as texts; the price of one keeps up to four decimals."""
        return cls(
            line_number=line.line_number,
            sku=line.sku,
            quantity=plain(line.quantity),
            unit_price=plain(line.unit_price),
            discount=format_money(line.discount, currency),
            total=format_money(line.total, currency),
            category=line.category,
            brand=line.brand,
        )


class OrderResponse(ResponseSchema):
    """An order as it is stored."""

    id: Id
    customer_id: Id
    source: str
    external_id: str
    status: OrderStatus
    currency: str
    ordered_at: Instant
    ordered_on: Day = Field(description="The store's day of the purchase.")
    total: MoneyText
    discount_total: MoneyText
    tax_total: MoneyText
    shipping_total: MoneyText
    cash_rounding: MoneyText
    refunded_total: MoneyText
    cancelled_on: Day | None
    channel: str | None
    metadata: dict[str, Any] | None = Field(description="Null for those who only read reports.")
    lines: list[OrderLineResponse]
    refunds: list[OrderRefund] = Field(description="The latest one last.")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, found: FullOrder, *, masked: bool = False) -> Self:
        """The order with its lines and refunds, money as texts; masked, without what the caller noted."""
        order = found.order
        amounts = ("total", "discount_total", "tax_total", "shipping_total", "cash_rounding", "refunded_total")
        told: dict[str, Any] = {name: format_money(getattr(order, name), order.currency) for name in amounts}
        told["lines"] = [OrderLineResponse.of(line, order.currency) for line in found.lines]
        told["refunds"] = refunds_of(found.refunds, order.currency)
        told["metadata"] = None if masked else order.metadata
        return cls(**{name: told[name] if name in told else getattr(order, name) for name in cls.model_fields})


class ImportLineError(ResponseSchema):
    """Why a line was not imported; one that has several faults has an entry for each."""

    line: int = Field(description="Where it begins; a CSV header is line 1.")
    code: str = Field(description="A stable word.", examples=["total-negative"])
    message: str = Field(examples=["total is negative"])


class ImportResult(ResponseSchema):
    """What became of the lines of an import."""

    received: int
    created: int
    updated: int = Field(description="Known orders that have other content now.")
    unchanged: int = Field(description="Known orders, and repeated lines.")
    failed: int
    customers_created: int
    errors: list[ImportLineError] = Field(description="The first 1,000.")
