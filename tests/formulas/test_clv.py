from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.formulas.clv import (
    CLVReason,
    CLVRules,
    customer_lifetime_value,
    default_multipliers,
    shares_in_tenths_of_percent,
    value_ranges,
    window_share,
)
from regulars.formulas.rfm import RFMSegment

rules = CLVRules()
tolerance = Decimal("0.0001")
vectors = [
    (1200, 12, 730, RFMSegment.LOYAL, "1080.0000", "48.2061", "138.2593", "460.3463"),
    (30, 1, 10, RFMSegment.NEW_CUSTOMER, "146.0000", "9.6652", "27.1185", "82.5487"),
    (30, 1, 400, RFMSegment.LOST, "8.2125", "1.9681", "4.6024", "7.9195"),
    (5000, 25, 500, RFMSegment.CHAMPION, "7300.0000", "293.9192", "846.7319", "2872.3262"),
    (450, 9, 800, RFMSegment.AT_RISK, "123.1875", "15.7702", "41.5124", "99.9204"),
]


@pytest.mark.parametrize(("net", "orders", "age", "segment", "lifetime", "month", "quarter", "year"), vectors)
def test_values_are_those_of_the_published_table(
    net: int, orders: int, age: int, segment: RFMSegment, lifetime: str, month: str, quarter: str, year: str
) -> None:
    for window, expected in ((30, month), (90, quarter), (365, year)):
        found = customer_lifetime_value(Decimal(net), orders, age, segment, rules, window)
        assert abs(found.value - Decimal(lifetime)) <= tolerance
        assert found.window_value is not None
        assert abs(found.window_value - Decimal(expected)) <= tolerance


def test_the_factors_multiply_to_the_value() -> None:
    found = customer_lifetime_value(Decimal(1200), 12, 730, RFMSegment.LOYAL, rules)
    assert found.average_order_value == 100
    assert found.age_days == 730
    assert found.lifespan_days == 657
    assert found.orders_per_day is not None
    assert abs(100 * found.orders_per_day * 657 - found.value) < tolerance
    assert found.window_value is None
    assert found.reason is None


@pytest.mark.parametrize(
    ("net", "orders", "reason"),
    [
        (Decimal(0), 0, CLVReason.NO_ORDERS),
        (Decimal(0), 2, CLVReason.NON_POSITIVE_NET),
        (Decimal(-5), 1, CLVReason.NON_POSITIVE_NET),
    ],
)
def test_without_money_the_value_is_0_with_a_reason(net: Decimal, orders: int, reason: CLVReason) -> None:
    found = customer_lifetime_value(net, orders, 0, RFMSegment.PROSPECT, rules, 30)
    assert (found.value, found.window_value, found.reason) == (0, 0, reason)


def test_prospects_have_no_multiplier_and_all_others_do() -> None:
    assert set(default_multipliers) == set(RFMSegment) - {RFMSegment.PROSPECT}
    with pytest.raises(KeyError):
        rules.lifespan_of(RFMSegment.PROSPECT)


def test_floor_lifespan_and_multipliers_are_settings() -> None:
    own = CLVRules(floor_days=30, lifespan_days=100, multipliers={RFMSegment.LOST: Decimal("0.1")})
    assert customer_lifetime_value(Decimal(60), 2, 5, RFMSegment.LOST, own).value == 20


segments = st.sampled_from(sorted(default_multipliers))
money = st.decimals(Decimal("0.01"), Decimal("1e9"), places=2)


@given(money, st.integers(1, 900), st.integers(0, 5000), segments, st.integers(1, 5000), st.integers(1, 5000))
def test_a_longer_window_never_holds_less_and_none_holds_more_than_a_lifetime(
    net: Decimal, orders: int, age: int, segment: RFMSegment, window: int, more: int
) -> None:
    short = customer_lifetime_value(net, orders, age, segment, rules, window)
    long = customer_lifetime_value(net, orders, age, segment, rules, window + more)
    assert short.window_value is not None
    assert long.window_value is not None
    assert 0 < short.window_value <= long.window_value <= short.value == long.value


def test_a_window_as_long_as_the_lifespan_holds_the_share_of_one_time_constant() -> None:
    assert abs(window_share(365, Decimal(365)) - Decimal("0.632120558")) < tolerance


@given(st.decimals(Decimal(0), Decimal("1e12"), places=4), st.integers(2, 20))
def test_ranges_rise_in_round_steps_and_reach_the_high_value(high: Decimal, count: int) -> None:
    bounds = value_ranges(high, count)
    assert len(bounds) == count
    assert bounds == sorted(set(bounds))
    assert bounds[-1] >= high
    assert all(bound.normalize().as_tuple().digits in {(0,), (1,), (2,), (5,)} for bound in bounds)


def test_ranges_end_at_the_first_round_number_that_is_high_enough() -> None:
    assert value_ranges(Decimal(612), 5) == [0, 100, 200, 500, 1000]
    assert value_ranges(Decimal(0), 4) == [0, 1, 2, 5]


@given(st.lists(st.decimals(0, 10**9, places=4), max_size=12))
def test_shares_add_up_to_the_whole_and_lie_within_a_step_of_the_exact_ones(amounts: list[Decimal]) -> None:
    shares, total = shares_in_tenths_of_percent(amounts), sum(amounts)
    assert len(shares) == len(amounts)
    assert sum(shares) == (1 if total else 0)
    for share, amount in zip(shares, amounts, strict=True):
        assert abs(share * total - amount) < total * Decimal("0.001") or share == amount == 0


@given(st.lists(st.decimals(0, 10**6, places=2), min_size=10, max_size=10))
def test_a_better_tenth_never_has_the_smaller_share(amounts: list[Decimal]) -> None:
    shares = shares_in_tenths_of_percent(sorted(amounts, reverse=True))
    assert shares == sorted(shares, reverse=True)
