from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.formulas.points import (
    OpenLot,
    claw_back_expired,
    give_back,
    points_earned,
    settle_debt,
    use,
)

noon = datetime(2026, 6, 15, 12, tzinfo=UTC)


def lot(number: int, remaining: int, *, days: int | None = None, earned: int = 0) -> OpenLot:
    expires = None if days is None else noon + timedelta(days=days)
    return OpenLot(UUID(int=number), remaining, noon + timedelta(days=earned), expires)


@pytest.mark.parametrize(
    ("amount", "rate", "points"),
    [("19.99", "1", 19), ("0.99", "1", 0), ("10", "0.5", 5), ("9.99", "10", 99), ("-5", "1", 0), ("0.1", "29.9", 2)],
)
def test_fractions_of_a_point_are_dropped(amount: str, rate: str, points: int) -> None:
    assert points_earned(Decimal(amount), Decimal(rate)) == points


@pytest.mark.parametrize(
    ("balance", "points", "settled", "kept"), [(0, 10, 0, 10), (5, 10, 0, 10), (-4, 10, 4, 6), (-40, 10, 10, 0)]
)
def test_a_gain_settles_debt_first(balance: int, points: int, settled: int, kept: int) -> None:
    assert settle_debt(balance, points) == (settled, kept)


def test_lots_are_used_soonest_expiry_first_then_oldest_then_by_id() -> None:
    lots = [lot(5, 1), lot(4, 1, days=9), lot(3, 1, days=9, earned=-1), lot(2, 1, days=3), lot(1, 1, days=9)]
    taken, short = use(lots, 10)
    assert [found.int for found, _ in taken] == [2, 3, 1, 4, 5]
    assert short == 5


@given(remaining=st.lists(st.integers(1, 50), max_size=6), points=st.integers(0, 200))
def test_a_use_takes_what_is_asked_or_all_there_is(remaining: list[int], points: int) -> None:
    lots = [lot(number, count) for number, count in enumerate(remaining)]
    taken, short = use(lots, points)
    assert sum(count for _, count in taken) + short == points
    assert short == max(0, points - sum(remaining))
    assert all(0 < count <= remaining[found.int] for found, count in taken)


def test_a_lot_is_due_from_the_instant_of_its_expiry() -> None:
    assert lot(1, 1, days=0).is_due(noon)
    assert not lot(1, 1, days=0).is_due(noon - timedelta(microseconds=1))
    assert not lot(1, 1).is_due(noon)


def test_points_go_back_to_the_lots_used_last() -> None:
    uses = [("a", 10), ("b", 20), ("c", 30)]
    assert give_back(uses, already=0, points=60) == [("c", 30), ("b", 20), ("a", 10)]
    assert give_back(uses, already=0, points=35) == [("c", 30), ("b", 5)]
    assert give_back(uses, already=35, points=20) == [("b", 15), ("a", 5)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.data())
def test_parts_of_a_restoration_add_up_to_the_use(used: list[int], data: st.DataObject) -> None:
    uses = list(enumerate(used))
    back = dict.fromkeys(range(len(used)), 0)
    already = 0
    while already < sum(used):
        part = data.draw(st.integers(1, sum(used) - already))
        for found, points in give_back(uses, already=already, points=part):
            back[found] += points
        already += part
    assert list(back.values()) == used


@pytest.mark.parametrize(
    ("due", "already", "expired", "not_charged"), [(100, 0, 0, 0), (100, 0, 40, 40), (50, 0, 40, 0), (50, 50, 40, 40)]
)
def test_what_expired_is_not_charged(due: int, already: int, expired: int, not_charged: int) -> None:
    assert claw_back_expired(due, already=already, earned=100, expired=expired) == not_charged
