"""The rules of refunds: what may be paid back, and what a line is worth."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from regulars.formulas.earning import OrderAmounts
from regulars.kit.clock import Clock
from regulars.kit.money import format_money, round_money
from regulars.kit.settings import Settings
from regulars.kit.validation import FieldError, Validation
from regulars.orders.amounts import amounts_of, returned_of
from regulars.orders.errors import OrderCancelled, RefundExceedsOrder
from regulars.orders.models import FullOrder, NewRefund, Order, OrderLine, Refund, RefundLine, StoredLine
from regulars.orders.schemas_refunds import RefundCreate, RefundLineCreate
from regulars.orders.service import clock_tolerance, money_faults


def check_refund(refund: RefundCreate, settings: Settings, clock: Clock) -> None:
    """Refuse a refund that makes no sense for any order.

    Raises:
        Validation: it lies in the future, is in another currency, or has more decimals than the currency.
    """
    amounts = {"/amount": refund.amount, "/shipping_amount": refund.shipping_amount}
    faults = [*money_faults(refund.currency, amounts, settings)]
    if refund.refunded_at is not None and refund.refunded_at > clock.now() + clock_tolerance:
        faults.append(FieldError("body", "/refunded_at", "range", "must not be in the future"))
    if faults:
        raise Validation.of(faults)


def complete_refund(refund: RefundCreate, known: FullOrder, *, now: datetime) -> NewRefund:
    """The refund with what it comes to.

    Args:
        refund: As it was sent.
        known: The order with its lines and the refunds before this one.
        now: When it was made, if it does not say.

    What lines are worth is paid back as far as something of the order is left: goods come back also when an amount
    was refunded before, and when they were paid for with something else.

    Raises:
        OrderCancelled: nothing of the order can be refunded any more.
        Validation: it lies before the order, names a line that the order does not have, or one of something that was
            brought back.
        RefundExceedsOrder: more than is left of the order, of a line, or of shipping.
    """
    order = known.order
    if order.cancelled_on is not None:
        raise OrderCancelled
    if refund.refunded_at is not None and refund.refunded_at < order.ordered_at - clock_tolerance:
        raise Validation.at("/refunded_at", "range", "must not be before the order")
    amounts = amounts_of(order, known.lines)
    shipping = _shipping(refund, amounts, known)
    lines = _complete_lines(refund.lines, amounts, known) if refund.lines else []
    lines = _payable(lines, order.refundable - shipping)
    amount = shipping + sum((line.amount for line in lines), refund.amount or Decimal(0))
    if amount > order.refundable:
        raise _exceeds(order)
    return NewRefund(
        refund_id=refund.refund_id,
        amount=amount,
        refunded_at=refund.refunded_at or now,
        shipping_amount=shipping,
        reason=refund.reason,
        lines=lines,
    )


def says_the_same(refund: RefundCreate, stored: Refund) -> bool:
    """Whether a refund that is sent again is the stored one: the same amounts, or the same lines."""
    if (refund.shipping_amount or 0) != stored.shipping_amount:
        return False
    if refund.lines is None:
        return not stored.lines and (refund.amount or 0) == stored.amount - stored.shipping_amount
    sent = {line.line_number: line.quantity for line in refund.lines}
    return sent.keys() == {line.line_number for line in stored.lines} and all(
        sent[line.line_number] in (None, line.quantity) for line in stored.lines
    )


def shares_of_lines(lines: Sequence[OrderLine], paid: Decimal, *, minor_units: int) -> list[Decimal]:
    """What was paid for each line, in the currency's minor units; together exactly what was paid for all.

    Discounts and taxes of the whole order are spread over the lines by their totals.

    Args:
        lines: In the order of the order.
        paid: What was paid for the goods of the order.
        minor_units: Decimals of the currency.
    """
    step, sum_of_totals = Decimal(1).scaleb(-minor_units), sum((line.total for line in lines), Decimal(0))
    if sum_of_totals <= 0:
        return [Decimal(0) for _ in lines]
    shares, so_far, given = [], Decimal(0), Decimal(0)
    for line in lines:
        so_far += line.total
        due = (paid * so_far / sum_of_totals).quantize(step, ROUND_HALF_UP)
        shares.append(due - given)
        given = due
    return shares


def _shipping(refund: RefundCreate, amounts: OrderAmounts, known: FullOrder) -> Decimal:
    """What is paid back for shipping, at most what was paid for it."""
    wanted = refund.shipping_amount or Decimal(0)
    if wanted > amounts.shipping_with_tax - returned_of(known.refunds).shipping:
        raise _exceeds(known.order)
    return wanted


def _payable(lines: Sequence[RefundLine], left: Decimal) -> list[RefundLine]:
    """The lines, worth together no more than what is left to be paid back."""
    paid: list[RefundLine] = []
    for line in lines:
        amount = max(min(line.amount, left), Decimal(0))
        paid.append(replace(line, amount=amount))
        left -= amount
    return paid


def _complete_lines(wanted: Sequence[RefundLineCreate], amounts: OrderAmounts, known: FullOrder) -> list[RefundLine]:
    order, lines = known.order, {line.line_number: line for line in known.lines}
    worth = shares_of_lines(known.lines, amounts.goods, minor_units=amounts.minor_units)
    shares = dict(zip(lines, worth, strict=True))
    before = _brought_back(known.refunds)
    found: list[RefundLine] = []
    for place, line in enumerate(wanted):
        bought = lines.get(line.line_number)
        if bought is None or bought.quantity <= 0 or shares[line.line_number] < 0:
            raise Validation.at(f"/lines/{place}/line_number", "range", "must be a line that was bought")
        found.append(_part_of(bought, line.quantity, before[line.line_number], shares[line.line_number], order))
    return found


def _part_of(bought: StoredLine, wanted: Decimal | None, before: Decimal, share: Decimal, order: Order) -> RefundLine:
    """A part of a line. Parts are cut from the whole, so that they add up to it however it is brought back."""
    quantity = bought.quantity - before if wanted is None else wanted
    if not 0 < quantity <= bought.quantity - before:
        raise _exceeds(order)
    until_now, after = (
        round_money(share * part / bought.quantity, order.currency) for part in (before, before + quantity)
    )
    return RefundLine(bought.line_number, quantity, after - until_now)


def _brought_back(refunds: Sequence[Refund]) -> defaultdict[int, Decimal]:
    quantities: defaultdict[int, Decimal] = defaultdict(Decimal)
    for refund in refunds:
        for line in refund.lines:
            quantities[line.line_number] += line.quantity
    return quantities


def _exceeds(order: Order) -> RefundExceedsOrder:
    return RefundExceedsOrder(refundable=format_money(order.refundable, order.currency))
