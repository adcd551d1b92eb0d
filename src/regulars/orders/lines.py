"""The arithmetic of order lines, and the one text in which the lines of an order are compared."""

import json
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal

from regulars.kit.bounds import money_limit, quantity_limit
from regulars.orders.models import OrderLine, OrderTotals

most_lines = 500
_quantity_step, _price_step = Decimal("0.001"), Decimal("0.0001")


def complete_line(
    sku: str,
    quantity: Decimal,
    unit_price: Decimal | None,
    discount: Decimal,
    total: Decimal | None,
    *,
    minor_units: int,
) -> OrderLine:
    """A line with what was left out: the total from the price, or the price from the total.

    Args:
        sku: The product.
        quantity: Not zero, unless the price is left out.
        unit_price: Price of one; None if only the total is known.
        discount: Taken off the line.
        total: What the line costs; None if it follows from the rest.
        minor_units: Decimals of the currency.

    Raises:
        ValueError: neither price nor total, or both and they differ by more than one step of rounding; or a number,
            also one that follows from the others, is out of bounds.
    """
    step = Decimal(1).scaleb(-minor_units)
    if unit_price is None:
        if total is None:
            raise ValueError("a line needs unit_price or total")
        price = abs((total + discount) / quantity) if quantity else abs(total + discount)
        return _bounded(OrderLine(sku, quantity, price.quantize(_price_step, ROUND_HALF_UP), discount, total))
    expected = (quantity * unit_price - discount).quantize(step, ROUND_HALF_UP)
    if total is not None and abs(total - expected) > step:
        raise ValueError("the total of a line is not quantity times unit_price less discount")
    return _bounded(OrderLine(sku, quantity, unit_price, discount, expected if total is None else total))


def _bounded(line: OrderLine) -> OrderLine:
    """The line, if it can be kept: what is left out follows from the rest, and may be larger than any of it."""
    if max(abs(line.total), line.unit_price, abs(line.discount)) >= money_limit or abs(line.quantity) >= quantity_limit:
        raise ValueError("an amount, price or quantity of a line is too large")
    return line


def add_up(lines: Sequence[OrderLine], totals: OrderTotals, *, minor_units: int) -> bool:
    """Whether the lines make the order's total, but for what rounding does to each of them.

    The total is the sum of the lines, less the order's discount, plus shipping and what cash was rounded by; taxes may
    be in the line totals already or come on top. Each line may have been rounded by half a step, where the total comes
    of what they were before; one step is allowed at least.
    """
    net = sum((line.total for line in lines), Decimal(0)) - totals.discount_total + totals.shipping_total
    off = totals.total - totals.cash_rounding - net
    allowed = Decimal(1).scaleb(-minor_units) * max(Decimal(len(lines)) / 2, Decimal(1))
    return abs(off) <= allowed or abs(off - totals.tax_total) <= allowed


def canonical_lines(lines: Iterable[OrderLine]) -> str:
    """The lines as one text: equal for equal lines, however their numbers were written; empty without lines.

    A JSON array of [sku, quantity, unit_price, discount, total] with fixed decimals.
    """
    rows = [
        [
            line.sku,
            f"{line.quantity.quantize(_quantity_step):f}",
            f"{line.unit_price.quantize(_price_step):f}",
            f"{line.discount.quantize(_price_step):f}",
            f"{line.total.quantize(_price_step):f}",
        ]
        for line in lines
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else ""
