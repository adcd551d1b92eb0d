"""The amounts of stored orders and their refunds, as the formulas of earning take them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from regulars.formulas.earning import OrderAmounts, Returned
from regulars.kit.money import minor_units
from regulars.orders.models import Order, OrderLine, Refund


def amounts_of(order: Order, lines: Sequence[OrderLine]) -> OrderAmounts:
    """The amounts of an order with these lines."""
    return OrderAmounts(
        total=order.total,
        tax=order.tax_total,
        shipping=order.shipping_total,
        discount=order.discount_total,
        lines=sum((line.total for line in lines), Decimal(0)) if lines else None,
        rounding=order.cash_rounding,
        minor_units=minor_units(order.currency),
    )


def returned_of(refunds: Iterable[Refund]) -> Returned:
    """What refunds paid back in all, by what it was paid for."""
    goods = shipping = other = Decimal(0)
    for refund in refunds:
        of_lines = sum((line.amount for line in refund.lines), Decimal(0))
        goods += of_lines
        shipping += refund.shipping_amount
        other += refund.amount - of_lines - refund.shipping_amount
    return Returned(goods, shipping, other)
