"""The story of the demo's points: the same each time, in order, and over when the data are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pytest

from regulars.demo.life import Life, plan_life
from regulars.demo.repository import DemoOrder
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.loyalty.history import PastAward, PastExpiry, PastRedemption, PastRefund
from regulars.loyalty.models import Programme
from regulars.loyalty.repository_programmes import ProgrammeRepository

start = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)


def orders_of(customers: int, each: int) -> list[DemoOrder]:
    found = [
        DemoOrder(
            UUID(int=customer),
            UUID(int=1000 * customer + number),
            f"{customer}-{number}",
            start + timedelta(days=29 * number, minutes=customer),
            Decimal(number * 7 + customer) / 4,
            Decimal(0),
            Decimal(0),
        )
        for customer in range(1, customers + 1)
        for number in range(each)
    ]
    return sorted(found, key=lambda order: (order.ordered_at, order.external_id))


@pytest.fixture
async def programme(connection: Connection) -> Programme:
    return replace(await ProgrammeRepository(connection).current(), points_per_unit=Decimal(10))


@pytest.fixture
def life(programme: Programme, clock: Clock) -> Life:
    return plan_life(orders_of(150, 20), programme, clock, digits=2)


async def test_the_same_seed_tells_the_same_story(programme: Programme, clock: Clock, life: Life) -> None:
    assert plan_life(orders_of(150, 20), programme, clock, digits=2) == life
    assert plan_life(orders_of(150, 20), programme, clock, digits=2, seed=1) != life


async def test_every_story_goes_forward_and_ends_with_the_data(life: Life, clock: Clock) -> None:
    end = clock.start_of(clock.day_of(start + timedelta(days=29 * 19 + 1)))
    for history in life.histories.values():
        instants = [event.at for event in history]
        assert instants == sorted(instants)
        assert instants[-1] < end


async def test_points_are_spent_before_the_order_earns_and_never_with_the_first_one(life: Life) -> None:
    for history in life.histories.values():
        first = next(event for event in history if isinstance(event, PastAward | PastRedemption))
        assert isinstance(first, PastAward)
    pairs = [(a, b) for history in life.histories.values() for a, b in pairwise(history)]
    spent = [(a, b) for a, b in pairs if isinstance(a, PastRedemption)]
    assert spent
    assert all(isinstance(after, PastAward) and after.at == before.at for before, after in spent)


async def test_refunds_follow_their_order_and_give_back_no_more_than_it_cost(life: Life) -> None:
    assert len(life.refunds) > 5
    for refund in life.refunds:
        assert Decimal(0) < refund.amount <= refund.order.total
        assert timedelta(days=1) <= refund.refunded_at - refund.order.ordered_at <= timedelta(days=28)
    events = [event for history in life.histories.values() for event in history if isinstance(event, PastRefund)]
    assert {event.refund_id for event in events} == {refund.id for refund in life.refunds}


async def test_points_that_are_never_used_expire_in_the_night_after_their_last_day(life: Life, clock: Clock) -> None:
    nights = [event.at for event in life.histories[UUID(int=7)] if isinstance(event, PastExpiry)]
    assert nights
    assert all(clock.start_of(clock.day_of(night)) + timedelta(hours=2, minutes=15) == night for night in nights)
    assert clock.day_of(nights[0]) == clock.day_of(start) + timedelta(days=366)
