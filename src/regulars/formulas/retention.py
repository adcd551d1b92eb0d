"""Retention of a cohort: who of those that bought first in one month came back in the months after it.

Months are counted from the cohort's own, which is month 0. The denominator is always the size of the cohort. A month
that is not over yet has no figures: what is missing is unknown, not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate


@dataclass(frozen=True)
class CohortMonth:
    """What a cohort did in one month.

    Attributes:
        active: Customers with a valid order in it.
        last: Those of them who have not ordered in any later month.
        second_orders: Customers whose second order fell into it.
        net: Totals of its orders less refunds.
    """

    active: int = 0
    last: int = 0
    second_orders: int = 0
    net: Decimal = Decimal(0)


@dataclass(frozen=True)
class Retention:
    """Rates of one month of a cohort, 0 to 1; None while the month is not over.

    Attributes:
        classic: Share of the cohort with an order in this month.
        rolling: Share with an order in this month or later; never rises from month to month.
        cumulative_repeat: Share with a second order within so many months; never falls.
        revenue: Net of the month by the net of month 0; None where month 0 brought nothing. Above 1 where it brought
            more.
    """

    month: int
    active: int | None
    net: Decimal | None
    classic: float | None
    rolling: float | None
    cumulative_repeat: float | None
    revenue: float | None


def retention(size: int, months: Sequence[CohortMonth], finished: int) -> list[Retention]:
    """The rates of a cohort, month by month.

    Args:
        size: Customers of the cohort, at least 1.
        months: What they did, from month 0 on, without gaps.
        finished: How many of these months are over.
    """
    still_there = list(accumulate(month.last for month in reversed(months)))[::-1]
    repeated = list(accumulate(month.second_orders for month in months))
    first_net = months[0].net if months else Decimal(0)
    return [
        Retention(
            month=number,
            active=month.active,
            net=month.net,
            classic=month.active / size,
            rolling=still_there[number] / size,
            cumulative_repeat=repeated[number] / size,
            revenue=float(month.net / first_net) if first_net > 0 else None,
        )
        if number < finished
        else Retention(number, None, None, None, None, None, None)
        for number, month in enumerate(months)
    ]


def average_retention(cohorts: Sequence[tuple[int, Sequence[Retention]]]) -> list[Retention]:
    """The rates of all cohorts together, month by month, each cohort weighted by its size.

    Only cohorts for which the month is over count, in numerator and denominator alike.

    Args:
        cohorts: Size and rates of each.
    """
    longest = max((len(rates) for _, rates in cohorts), default=0)
    return [_together(number, cohorts) for number in range(longest)]


def _together(number: int, cohorts: Sequence[tuple[int, Sequence[Retention]]]) -> Retention:
    over = [(size, rates[number], rates[0]) for size, rates in cohorts if len(rates) > number]
    over = [(size, rates, first) for size, rates, first in over if rates.active is not None]
    size = sum(size for size, _, _ in over)
    if not size:
        return Retention(number, None, None, None, None, None, None)
    first_net = sum((first.net or Decimal(0) for _, _, first in over), Decimal(0))
    net = sum((rates.net or Decimal(0) for _, rates, _ in over), Decimal(0))
    return Retention(
        month=number,
        active=sum(rates.active or 0 for _, rates, _ in over),
        net=net,
        classic=sum(size * (rates.classic or 0.0) for size, rates, _ in over) / size,
        rolling=sum(size * (rates.rolling or 0.0) for size, rates, _ in over) / size,
        cumulative_repeat=sum(size * (rates.cumulative_repeat or 0.0) for size, rates, _ in over) / size,
        revenue=float(net / first_net) if first_net > 0 else None,
    )
