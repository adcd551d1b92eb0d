"""Lifetime value by the formula `average order value x purchase frequency x lifespan`.

The segment's multiplier scales the lifespan only. Nothing here is rounded; that happens once, at output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from regulars.formulas.rfm import RFMSegment

default_multipliers: Mapping[RFMSegment, Decimal] = {
    RFMSegment.CHAMPION: Decimal("2.0"),
    RFMSegment.LOYAL: Decimal("1.8"),
    RFMSegment.POTENTIAL_LOYALIST: Decimal("1.5"),
    RFMSegment.NEW_CUSTOMER: Decimal("1.2"),
    RFMSegment.PROMISING: Decimal("1.3"),
    RFMSegment.NEED_ATTENTION: Decimal("1.0"),
    RFMSegment.ABOUT_TO_SLEEP: Decimal("0.8"),
    RFMSegment.AT_RISK: Decimal("0.6"),
    RFMSegment.CANT_LOSE_THEM: Decimal("1.5"),
    RFMSegment.HIBERNATING: Decimal("0.5"),
    RFMSegment.LOST: Decimal("0.3"),
}


class CLVReason(StrEnum):
    """Why a lifetime value is 0 without any calculation."""

    NO_ORDERS = "no_orders"
    NON_POSITIVE_NET = "non_positive_net"


@dataclass(frozen=True)
class CLVRules:
    """What the formula takes from the settings.

    Attributes:
        floor_days: Least age of a customer, so that one order last week is no weekly habit.
        lifespan_days: The lifespan that multipliers scale.
        multipliers: Multiplier of each segment that has orders.
    """

    floor_days: int = 90
    lifespan_days: int = 365
    multipliers: Mapping[RFMSegment, Decimal] = field(default_factory=lambda: default_multipliers)

    def lifespan_of(self, segment: RFMSegment) -> Decimal:
        """How many days a customer of this segment is expected to stay.

        Raises:
            KeyError: the segment has no multiplier, as `prospect` has none.
        """
        return self.lifespan_days * self.multipliers[segment]


@dataclass(frozen=True)
class LifetimeValue:
    """A lifetime value and its factors.

    Attributes:
        value: Expected net money over the whole lifespan.
        window_value: The part of it that falls into the window; None without a window.
        age_days: Days since the first order, at least the floor.
        average_order_value: Net money per order.
        orders_per_day: Orders by age.
        lifespan_days: Days the customer is expected to stay.
        reason: Why the value is 0; None where the formula was used.
    """

    value: Decimal
    window_value: Decimal | None
    age_days: int | None = None
    average_order_value: Decimal | None = None
    orders_per_day: Decimal | None = None
    lifespan_days: Decimal | None = None
    reason: CLVReason | None = None


def window_share(window_days: int, lifespan_days: Decimal) -> Decimal:
    """The part of a lifetime value that falls into the next days: `1 - exp(-W / L)`."""
    return 1 - (-window_days / lifespan_days).exp()


def customer_lifetime_value(
    net: Decimal,
    orders: int,
    days_since_first_order: int,
    segment: RFMSegment,
    rules: CLVRules,
    window_days: int | None = None,
) -> LifetimeValue:
    """What a customer is expected to bring: `CLV = net / n x n / T x L`, of which `1 - exp(-W / L)` in a window.

    Args:
        net: Money of the valid orders less refunds.
        orders: Number n of valid orders.
        days_since_first_order: Age of the customer on the day of the calculation.
        segment: Decides the lifespan L.
        rules: Floor of the age T, lifespan and multipliers.
        window_days: The window W; None for the whole lifespan.
    """
    if orders == 0 or net <= 0:
        reason = CLVReason.NON_POSITIVE_NET if orders else CLVReason.NO_ORDERS
        return LifetimeValue(Decimal(0), Decimal(0) if window_days else None, reason=reason)
    age_days = max(days_since_first_order, rules.floor_days)
    lifespan_days = rules.lifespan_of(segment)
    value = net * lifespan_days / age_days
    return LifetimeValue(
        value=value,
        window_value=value * window_share(window_days, lifespan_days) if window_days else None,
        age_days=age_days,
        average_order_value=net / orders,
        orders_per_day=Decimal(orders) / age_days,
        lifespan_days=lifespan_days,
    )


def shares_in_tenths_of_percent(amounts: Sequence[Decimal]) -> list[Decimal]:
    """What part of their sum each amount is, from 0 to 1 in steps of 0.001, so that the parts add up to exactly 1.

    Each is rounded down; the steps that are missing go to those that lost most, the earlier one on ties. Without any
    money all parts are 0.

    Args:
        amounts: None below 0.
    """
    total = sum(amounts, Decimal(0))
    if not total:
        return [Decimal(0) for _ in amounts]
    exact = [amount * 1000 / total for amount in amounts]
    steps = [int(part) for part in exact]
    lost_most = sorted(range(len(exact)), key=lambda place: steps[place] - exact[place])
    for place in lost_most[: 1000 - sum(steps)]:
        steps[place] += 1
    return [Decimal(step) / 1000 for step in steps]


def value_ranges(high: Decimal, count: int = 10) -> list[Decimal]:
    """The lower bounds of ranges to sort values into: 0, then 1, 2, 5, 10, 20, ...; the last range is open.

    Values are spread over powers of ten: with equal steps, nearly all customers would be in the first range.

    Args:
        high: A value that nearly all others lie below, such as the 95th percentile; the bounds reach at least so far,
            and begin as high above 1 as that allows.
        count: How many ranges, two at least.
    """
    last = count - 2
    while _round_number(last) < high:
        last += 1
    return [Decimal(0), *(_round_number(place) for place in range(last - count + 2, last + 1))]


def _round_number(place: int) -> Decimal:
    """The numbers 1, 2, 5, 10, 20, 50, ..., from place 0."""
    power, step = divmod(place, 3)
    return Decimal((1, 2, 5)[step]).scaleb(power)
