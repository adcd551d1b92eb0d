"""Late, repeated and out-of-order events end where those in order end."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regulars.analytics.clv import CLVService
from regulars.analytics.schemas import CLVCalculationRequest
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer
from tests.factories.orders import make_order
from tests.factories.soundness import require_sound_purchases
from tests.flows.purchases import Cancelled, Event, Recorded, Refunded, Till, money, split, state_of

runs = count(1)


@pytest.fixture
def holding() -> Settings:
    return Settings(_env_file=None, store_timezone="Europe/Berlin", early_refunds="hold")


@st.composite
def an_order(draw: st.DrawFn) -> tuple[dict[str, Any], list[Event]]:
    """An order with what happens to it, in order; the body lacks who and which."""
    cents, shipping = draw(st.integers(1, 20_000)), draw(st.integers(0, 500))
    body: dict[str, Any] = {"days_ago": draw(st.integers(0, 400)), "total": money(cents + shipping)}
    refunds: list[dict[str, Any]] = []
    if draw(st.booleans()):
        pieces = draw(st.integers(1, 4))
        body |= {
            "shipping_total": money(shipping),
            "lines": [
                {"sku": "A", "quantity": pieces, "total": money(cents)},
                {"sku": "FREE", "quantity": 1, "total": "0.00"},
            ],
        }
        backs = draw(st.integers(0, pieces))
        refunds = [{"lines": [{"line_number": 1, "quantity": 1}]} for _ in range(backs)]
    else:
        parts = split(cents + shipping, draw(st.integers(1, 4)), Random(draw(st.integers(0, 99))))  # noqa: S311
        refunds = [{"amount": money(part)} for part in parts[: draw(st.integers(0, len(parts)))]]
    statuses = draw(st.sampled_from([["paid"], ["pending", "paid"], ["pending"], ["pending", "paid", "fulfilled"]]))
    body["statuses"], body["cancelled"] = statuses, draw(st.integers(0, 4)) == 0
    return body, refunds  # type: ignore[return-value]


def events_of(number: int, shape: tuple[dict[str, Any], Any], customer_id: UUID, clock: Clock) -> list[Event]:
    known, refunds = shape
    ordered_at = (clock.now() - timedelta(days=known["days_ago"])).isoformat().replace("+00:00", "Z")
    fields = {name: value for name, value in known.items() if name in {"total", "shipping_total", "lines"}}
    body = {"external_id": str(number), "customer_id": str(customer_id), "ordered_at": ordered_at, **fields}
    found: list[Event] = [Recorded({**body, "status": status}) for status in known["statuses"]]
    found += [Refunded(str(number), {"refund_id": f"R{place}", **refund}) for place, refund in enumerate(refunds)]
    return [*found, Cancelled(str(number))] if known["cancelled"] else found


async def make_shop(connection: Connection, settings: Settings, clock: Clock) -> None:
    """Customers of all kinds, scored, so that scores have edges to follow."""
    cursor = await connection.execute("SELECT EXISTS (SELECT FROM scoring_runs WHERE coverage = 'full')")
    if await cursor.fetchone() == (True,):
        return
    for number in range(6):
        customer = await make_customer(connection, clock)
        for order in range(number):
            await make_order(connection, clock, customer.id, str(20 * number), days_ago=60 * order)
    request = CLVCalculationRequest(recalculate=True)
    await CLVService(connection, settings, clock).calculate_clv(request, operator)


@hypothesis_settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shapes=st.lists(an_order(), min_size=1, max_size=3), seed=st.integers(0, 2**32), repeats=st.integers(0, 3))
async def test_events_in_any_order_end_where_those_in_order_end(
    connection: Connection,
    database: RolledBackDatabase,
    holding: Settings,
    clock: Clock,
    shapes: list[Any],
    seed: int,
    repeats: int,
) -> None:
    await make_shop(connection, holding, clock)
    later, random = replace(clock, stopped_at=clock.now() + timedelta(hours=1)), Random(seed)  # noqa: S311
    states = []
    for in_order in (True, False):
        customer = await make_customer(connection, clock)
        till = Till(database, holding, later, source=f"till-{next(runs)}")
        events = [
            event for number, shape in enumerate(shapes) for event in events_of(number, shape, customer.id, later)
        ]
        if not in_order:
            events += [random.choice(events) for _ in range(repeats)]
            random.shuffle(events)
        for event in events:
            await till.send(event)
        assert set(till.refused) <= {"order-cancelled"}
        states.append(await state_of(connection, customer.id))
    assert states[0] == states[1]
    cursor = await connection.execute("SELECT count(*) FROM early_reversals WHERE refused_as IS NULL")
    assert await cursor.fetchone() == (0,)
    await require_sound_purchases(database, holding, later)
