"""What of an order earns points, and what of it comes back with a return.

The amounts of an order are either gross (lines and shipping contain their tax) or net (tax is added to their sum). Its
lines say which; an order without lines is taken as gross. Shipping bears tax at the average rate of its order.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from regulars.formulas.points import points_earned

_nothing = Decimal(0)


@dataclass(frozen=True)
class OrderAmounts:
    """The amounts of an order.

    Attributes:
        total: What the customer pays: net of discounts, with tax and shipping.
        tax: All tax of the order.
        shipping: As the source states it, with or without its tax.
        discount: Taken off the whole order, beyond the discounts of its lines.
        lines: The sum of the line totals; None without lines.
        rounding: By what the total was rounded to be paid in cash; earns nothing.
        minor_units: Decimals of the currency.
    """

    total: Decimal
    tax: Decimal = _nothing
    shipping: Decimal = _nothing
    discount: Decimal = _nothing
    lines: Decimal | None = None
    rounding: Decimal = _nothing
    minor_units: int = 2

    @property
    def exact(self) -> Decimal:
        """What goods, tax and shipping came to."""
        return max(self.total - self.rounding, _nothing)

    @property
    def is_net(self) -> bool:
        """Whether tax is added to lines and shipping: whichever sum is nearer to the total decides."""
        if self.lines is None:
            return False
        untaxed = self.exact - (self.lines - self.discount + self.shipping)
        return abs(untaxed - self.tax) < abs(untaxed)

    @property
    def shipping_tax(self) -> Decimal:
        """The tax on shipping, in whole minor units."""
        taxed = self.exact - self.tax if self.is_net else self.exact
        if taxed <= 0:
            return _nothing
        step = Decimal(1).scaleb(-self.minor_units)
        return min((self.shipping * self.tax / taxed).quantize(step, ROUND_HALF_UP), self.tax)

    @property
    def shipping_with_tax(self) -> Decimal:
        """What the customer pays for shipping."""
        return min(self.shipping + self.shipping_tax if self.is_net else self.shipping, self.total)

    @property
    def goods(self) -> Decimal:
        """What the customer pays for goods, with tax."""
        return self.total - self.shipping_with_tax


@dataclass(frozen=True)
class EarningBase:
    """The amount of money that earns points, by what it was paid for."""

    goods: Decimal
    shipping: Decimal

    @property
    def amount(self) -> Decimal:
        """All of it."""
        return self.goods + self.shipping


@dataclass(frozen=True)
class Returned:
    """What was paid back for an order, in all.

    Attributes:
        goods: For lines that were brought back.
        shipping: For shipping.
        other: Amounts that do not say what they are for.
    """

    goods: Decimal = _nothing
    shipping: Decimal = _nothing
    other: Decimal = _nothing

    @property
    def amount(self) -> Decimal:
        """All of it."""
        return self.goods + self.shipping + self.other


def earning_base(amounts: OrderAmounts, *, with_tax: bool, with_shipping: bool) -> EarningBase:
    """The part of an order that earns points, never below zero."""
    paid = amounts.exact
    shipping = min(amounts.shipping_with_tax, paid)
    if not with_tax:
        paid = max(paid - amounts.tax, _nothing)
        shipping = min(max(shipping - amounts.shipping_tax, _nothing), paid)
    return EarningBase(paid - shipping, shipping if with_shipping else _nothing)


def share_kept(base: EarningBase, amounts: OrderAmounts, returned: Returned) -> Fraction:
    """The share of an earning base that is left after returns, from 0 to 1; it does not depend on their order.

    Goods take their part of the base for goods, shipping that for shipping. Amounts that do not say what they are for
    take the rest in proportion to what can still be paid back.
    """
    left_of_all = _left(amounts.total, returned.amount)
    if left_of_all == 0 or base.amount == 0:  # points without a base are those that a till computed by its own rules
        return left_of_all
    left_of_goods = Fraction(base.goods) * _left(amounts.goods, returned.goods)
    left_of_shipping = Fraction(base.shipping) * _left(amounts.shipping_with_tax, returned.shipping)
    payable = amounts.total - returned.goods - returned.shipping
    return (left_of_goods + left_of_shipping) / Fraction(base.amount) * _left(payable, returned.other)


def points_left(points: int, *, awarded_for: Decimal, base: Decimal, kept: Fraction, points_per_unit: Decimal) -> int:
    """Points that an order keeps of its award.

    What is due back is rounded down once, over all returns: parts add up, and a return of everything takes exactly
    what the order earned. An order that was changed earns what it would have earned in its present form.

    Args:
        points: What the order was awarded.
        awarded_for: The earning base at that time.
        base: The earning base of the order as it is now, before returns.
        kept: The share of it that is left.
        points_per_unit: The rate of the programme that gave the award.
    """
    if base == awarded_for:
        earned = points
    elif points == points_earned(awarded_for, points_per_unit):
        earned = points_earned(base, points_per_unit)
    else:  # awarded by other rules: in proportion
        earned = int(points * base // awarded_for) if awarded_for else points
    return earned - int(earned * (1 - kept))


def _left(whole: Decimal, part: Decimal) -> Fraction:
    """The share of a whole that is left without a part; of nothing, everything is left."""
    if whole <= 0:
        return Fraction(1)
    return max(1 - Fraction(part) / Fraction(whole), Fraction(0))
