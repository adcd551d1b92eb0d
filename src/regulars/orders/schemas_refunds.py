"""What callers send and read about refunds and cancellations."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from regulars.kit.money import format_money
from regulars.kit.schemas import Day, Id, Instant, Money, MoneyText, RequestSchema, ResponseSchema, Text, broken_rule
from regulars.orders.lines import most_lines
from regulars.orders.models import Order, OrderStatus, Refund
from regulars.orders.quantities import Quantity, plain

ReasonCode = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="A code, such as `damaged`; no names.")
]


class RefundLineCreate(RequestSchema):
    """A line of the order that is brought back, all of it or a part."""

    line_number: Annotated[int, Field(ge=1, le=most_lines)]
    quantity: Quantity | None = Field(default=None, gt=0, description="How much; left out: what is left of the line.")


class RefundCreate(RequestSchema):
    """A refund: an amount, or lines that are brought back, or shipping, also together with lines."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refund_id": "R-77", "amount": "4.90"}]})

    refund_id: Annotated[str, Text(200)] = Field(description="The refund's id where it was made; of this order, once.")
    amount: Annotated[Money, Field(gt=0)] | None = None
    lines: list[RefundLineCreate] | None = Field(
        default=None,
        min_length=1,
        max_length=most_lines,
        description="Paid back is their part of what was paid for goods, as far as it is not paid back yet.",
    )
    shipping_amount: Annotated[Money, Field(gt=0)] | None = Field(
        default=None, description="Paid back for shipping, beside the lines if there are any. Takes no points of goods."
    )
    currency: str | None = Field(default=None, description="That of the installation, or left out.")
    refunded_at: Instant | None = Field(default=None, description="Not in the future; left out: now.")
    reason: ReasonCode | None = None

    @model_validator(mode="after")
    def _is_amount_or_lines(self) -> Self:
        is_by_part = self.lines is not None or self.shipping_amount is not None
        if (self.amount is not None) == is_by_part:
            message = "either amount, or lines or shipping_amount or both, is required"
            raise broken_rule("missing", message, "amount", "lines", "shipping_amount")
        numbers = [line.line_number for line in self.lines or ()]
        if len(set(numbers)) < len(numbers):
            raise broken_rule("range", "a line may be named only once", "lines")
        return self


class OrderCancel(RequestSchema):
    """Why an order is cancelled; kept in the audit log."""

    reason: ReasonCode | None = None


class RefundLineResponse(ResponseSchema):
    """A line that was brought back."""

    line_number: int
    quantity: str
    amount: MoneyText


class OrderRefund(ResponseSchema):
    """A refund as its order tells of it."""

    id: Id
    refund_id: str
    amount: MoneyText
    shipping_amount: MoneyText = Field(description="What of the amount is for shipping.")
    refunded_at: Instant
    refunded_on: Day = Field(description="The store's day.")
    reason: str | None
    lines: list[RefundLineResponse]
    created_at: Instant


class RefundResponse(OrderRefund):
    """A refund, its order after it, and what it did to the customer's points."""

    order_id: Id
    customer_id: Id
    currency: str
    order_status: OrderStatus
    order_refunded_total: MoneyText
    refundable: MoneyText = Field(description="What is left of the order.")
    points_taken: int = Field(description="Points that were taken back; below the balance they are owed.")
    points_written_off: int = Field(description="Points that were spent and are not owed, by the programme's policy.")

    @classmethod
    def of(cls, refund: Refund, order: Order, *, points_taken: int, points_written_off: int) -> Self:
        """The refund beside its order."""
        money = {
            "order_refunded_total": format_money(order.refunded_total, order.currency),
            "refundable": format_money(order.refundable, order.currency),
        }
        return cls.model_validate(
            _members(refund, order.currency)
            | money
            | {
                "order_id": order.id,
                "customer_id": order.customer_id,
                "currency": order.currency,
                "order_status": order.status,
                "points_taken": points_taken,
                "points_written_off": points_written_off,
            }
        )


def refunds_of(refunds: Sequence[Refund], currency: str) -> list[OrderRefund]:
    """Refunds as their order shows them."""
    return [OrderRefund.model_validate(_members(refund, currency)) for refund in refunds]


def _members(refund: Refund, currency: str) -> dict[str, object]:
    plain_names = ("id", "refund_id", "refunded_at", "refunded_on", "reason", "created_at")
    return {name: getattr(refund, name) for name in plain_names} | {
        "amount": format_money(refund.amount, currency),
        "shipping_amount": format_money(refund.shipping_amount, currency),
        "lines": [
            {
                "line_number": line.line_number,
                "quantity": plain(line.quantity),
                "amount": format_money(line.amount, currency),
            }
            for line in refund.lines
        ],
    }
