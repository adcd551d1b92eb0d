"""Retention of cohorts from what they did in each month."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from regulars.formulas.retention import CohortMonth, Retention, average_retention, retention

# Four customers: A bought in months 0, 1, 3; B in 0 (twice); C in 0 and 2; D in 0.
four = [
    CohortMonth(active=4, last=2, second_orders=1, net=Decimal(100)),
    CohortMonth(active=1, last=0, second_orders=1, net=Decimal(20)),
    CohortMonth(active=1, last=1, second_orders=1, net=Decimal(150)),
    CohortMonth(active=1, last=1, second_orders=0, net=Decimal(5)),
]


def test_the_rates_of_four_customers() -> None:
    rates = retention(4, four, finished=4)
    assert [rate.classic for rate in rates] == [1, 0.25, 0.25, 0.25]
    assert [rate.rolling for rate in rates] == [1, 0.5, 0.5, 0.25]
    assert [rate.cumulative_repeat for rate in rates] == [0.25, 0.5, 0.75, 0.75]
    assert [rate.revenue for rate in rates] == [1, 0.2, 1.5, 0.05]


def test_a_month_that_is_not_over_is_unknown_and_not_zero() -> None:
    rates = retention(4, four, finished=3)
    assert rates[:3] == retention(4, four, finished=4)[:3]
    assert rates[3] == Retention(3, None, None, None, None, None, None)


def test_a_cohort_that_brought_nothing_has_no_rate_of_revenue() -> None:
    free = [CohortMonth(1, 0, 0, Decimal(0)), CohortMonth(1, 1, 1, Decimal(5))]
    assert [rate.revenue for rate in retention(1, free, finished=2)] == [None, None]


def test_cohorts_weigh_by_their_size_and_only_where_their_month_is_over() -> None:
    young = [CohortMonth(active=1, last=0, net=Decimal(10)), CohortMonth(active=1, last=1, net=Decimal(10))]
    average = average_retention([(4, retention(4, four, finished=4)), (1, retention(1, young, finished=1))])
    assert [rate.classic for rate in average] == [1, 0.25, 0.25, 0.25]
    both = average_retention([(4, retention(4, four, finished=4)), (1, retention(1, young, finished=2))])
    assert (both[1].active, both[1].classic, both[1].net) == (2, 0.4, Decimal(30))
    assert both[1].revenue == 30 / 110
    assert both[2].classic == 0.25


def test_without_a_month_that_is_over_there_is_no_average() -> None:
    assert average_retention([]) == []
    assert average_retention([(4, retention(4, four, finished=0))])[0].classic is None


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=30))
def test_rolling_never_rises_and_repeat_never_falls(months_of_customers: list[set[int]]) -> None:
    customers = [sorted({0} | months) for months in months_of_customers]
    months = [
        CohortMonth(
            active=sum(k in active for active in customers),
            last=sum(active[-1] == k for active in customers),
            second_orders=sum(active[1:2] == [k] for active in customers),
            net=Decimal(1),
        )
        for k in range(12)
    ]
    rates = retention(len(customers), months, finished=12)
    rolling = [rate.rolling or 0 for rate in rates]
    repeat = [rate.cumulative_repeat or 0 for rate in rates]
    assert rolling[0] == rates[0].classic == 1
    assert rolling == sorted(rolling, reverse=True)
    assert repeat == sorted(repeat)
    assert all((rate.classic or 0) <= (rate.rolling or 0) for rate in rates)
