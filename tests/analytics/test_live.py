"""Scores that follow each purchase."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from regulars.analytics.clv import CLVService
from regulars.analytics.live import LiveScoring
from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.flows.record_purchase import record_purchase
from regulars.flows.refund_order import cancel_order
from regulars.formulas.clv import CLVRules, customer_lifetime_value
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.orders.schemas import OrderCreate
from regulars.orders.schemas_refunds import OrderCancel
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer
from tests.factories.orders import make_order
from tests.factories.soundness import require_sound_purchases
from tests.factories.statements import counted_statements

Buy = Callable[..., Awaitable[UUID]]
names = count(1)


@pytest.fixture
def tomorrow(clock: Clock) -> Clock:
    return replace(clock, stopped_at=clock.now() + timedelta(days=1))


@pytest.fixture
async def customers(connection: Connection, clock: Clock, rfm: RFMService) -> list[UUID]:
    """Seven customers, each better than the one before, and a full run over them."""
    found = []
    for number in range(7):
        customer = await make_customer(connection, clock)
        for visit in range(number):
            await make_order(connection, clock, customer.id, str(10 * number), days_ago=(8 - number) * 20 + visit)
        found.append(customer.id)
    await rfm.score_customers(ScoringRequest("all", clock.today(), "test"))
    return found


@pytest.fixture
async def buy(connection: Connection, database: RolledBackDatabase, settings: Settings, tomorrow: Clock) -> Buy:
    """Buys something tomorrow."""

    async def sale(customer_id: UUID, total: str = "10.00", **changes: Any) -> UUID:
        clock = changes.pop("clock", tomorrow)
        order = OrderCreate(
            source="till", external_id=f"L{next(names)}", customer_id=customer_id, ordered_at=clock.now(),
            total=Decimal(total),
        )  # fmt: skip
        chosen = settings.model_copy(update=changes)
        async with database.transaction() as inner:
            purchase = await record_purchase(inner, order, by=operator, settings=chosen, clock=clock)
        return purchase.order.id

    return sale


async def row(connection: Connection, statement: str, *parameters: object) -> tuple[Any, ...]:
    found = await (await connection.execute(statement, parameters)).fetchone()  # type: ignore[arg-type]
    assert found
    return found


async def stored(connection: Connection, customer_id: UUID) -> tuple[Any, ...]:
    return await row(
        connection,
        "SELECT recency_score, frequency_score, monetary_score, segment, clv FROM customer_scores"
        " WHERE customer_id = %s",
        customer_id,
    )


async def test_scores_are_what_the_formulas_say_by_the_edges_of_the_run(
    connection: Connection, database: RolledBackDatabase, settings: Settings, customers: list[UUID], buy: Buy,
    tomorrow: Clock,
) -> None:  # fmt: skip
    run = await RFMService(connection, settings, tomorrow)._runs.get_latest("rfm")
    assert run is not None
    assert run.stored_edges is not None
    for place, total in ((2, "5000.00"), (5, "1.00"), (0, "40.00")):
        await buy(customers[place], total)
        orders = place + 1
        net = Decimal(10 * place * place) + Decimal(total)
        scores = run.stored_edges.edges.score(0, orders, net)
        age = (8 - place) * 20 + place - 1 + 1 if place else 0
        value = customer_lifetime_value(net, orders, age, scores.segment, CLVRules()).value
        assert await stored(connection, customers[place]) == (
            scores.recency,
            scores.frequency,
            scores.monetary,
            scores.segment,
            value.quantize(Decimal("0.0001"), ROUND_DOWN),
        )
    await require_sound_purchases(database, settings, tomorrow)


async def test_a_live_score_explains_itself(
    connection: Connection, settings: Settings, customers: list[UUID], buy: Buy, tomorrow: Clock
) -> None:
    await buy(customers[1], "5000.00")
    told = await RFMService(connection, settings, tomorrow).get_customer_rfm(customers[1], operator)
    assert (told.as_of, told.recency_days, told.frequency, told.is_stale) == (tomorrow.today(), 0, 2, False)
    value = await CLVService(connection, settings, tomorrow).get_customer_clv(customers[1], operator)
    assert (value.as_of, value.is_stale, value.method) == (tomorrow.today(), False, "seed")
    assert value.run_id == told.run_id


async def test_a_move_is_history_under_the_run_of_the_day_and_an_event(
    connection: Connection, customers: list[UUID], buy: Buy, tomorrow: Clock, settings: Settings
) -> None:
    before = (await stored(connection, customers[1]))[3]
    order_id = await buy(customers[1], "5000.00")
    after = (await stored(connection, customers[1]))[3]
    assert before != after
    history = "SELECT segment_before, segment FROM segment_history h JOIN scoring_runs r ON r.id = h.run_id"
    assert await row(connection, history + " WHERE r.coverage = 'live'") == (before, after)
    facts = "SELECT customer_id, facts ->> 'segment_before', facts ->> 'segment' FROM events WHERE kind = %s"
    assert await row(connection, facts, "segment.changed") == (customers[1], before, after)
    later = replace(tomorrow, stopped_at=tomorrow.now() + timedelta(hours=1))
    await cancel_order(connection, order_id, OrderCancel(), by=operator, settings=settings, clock=later)
    assert (await stored(connection, customers[1]))[3] == before
    assert await row(connection, "SELECT count(*), count(DISTINCT run_id) FROM segment_history WHERE changed_at > %s",
                     tomorrow.now() - timedelta(minutes=1)) == (2, 1)  # fmt: skip


async def test_a_first_score_and_a_full_run_tell_of_those_alone_who_moved(
    connection: Connection, customers: list[UUID], clock: Clock, rfm: RFMService
) -> None:
    assert await row(connection, "SELECT count(*) FROM events WHERE kind = 'segment.changed'") == (0,)
    await make_order(connection, clock, customers[0], "5000", days_ago=1)
    run = await rfm.score_customers(ScoringRequest("all", clock.today(), "test"))
    assert run.counts["moved"] > 0
    told = "SELECT count(*), bool_and(facts ->> 'run_id' = %s) FROM events WHERE kind = 'segment.changed'"
    assert await row(connection, told, str(run.id)) == (run.counts["moved"], True)


async def test_a_customer_who_takes_everything_back_is_a_prospect_again(
    connection: Connection, database: RolledBackDatabase, customers: list[UUID], buy: Buy, settings: Settings,
    tomorrow: Clock,
) -> None:  # fmt: skip
    order_id = await buy(customers[0])
    assert (await stored(connection, customers[0]))[3] != RFMSegment.PROSPECT
    await cancel_order(connection, order_id, OrderCancel(), by=operator, settings=settings, clock=tomorrow)
    assert await stored(connection, customers[0]) == (None, None, None, RFMSegment.PROSPECT, 0)
    await require_sound_purchases(database, settings, tomorrow)


async def test_nothing_is_scored_before_the_first_run_or_when_it_is_switched_off(
    connection: Connection, clock: Clock, buy: Buy, rfm: RFMService
) -> None:
    customer = await make_customer(connection, clock)
    await buy(customer.id)
    assert await row(connection, "SELECT count(*) FROM customer_scores") == (0,)
    await rfm.score_customers(ScoringRequest("rfm", clock.today(), "test"))
    before = await stored(connection, customer.id)
    await buy(customer.id, "500.00", live_scoring=False)
    assert await stored(connection, customer.id) == before


async def test_values_follow_only_where_there_are_some(
    connection: Connection, clock: Clock, buy: Buy, rfm: RFMService
) -> None:
    customer = await make_customer(connection, clock)
    await rfm.score_customers(ScoringRequest("rfm", clock.today(), "test"))
    await buy(customer.id)
    segment, value = (await stored(connection, customer.id))[3:]
    assert (segment is not None, value) == (True, None)


async def test_the_live_run_of_a_day_is_one(
    connection: Connection, customers: list[UUID], buy: Buy, tomorrow: Clock
) -> None:
    for place in (1, 2, 3):
        await buy(customers[place])
    await buy(customers[4], clock=replace(tomorrow, stopped_at=tomorrow.now() + timedelta(days=1)))
    assert await row(
        connection, "SELECT count(*), count(DISTINCT as_of) FROM scoring_runs WHERE coverage = 'live'"
    ) == (2, 2)


async def test_a_score_takes_three_statements_however_much_was_bought(
    connection: Connection, clock: Clock, settings: Settings, customers: list[UUID], buy: Buy, tomorrow: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await buy(customers[0])
    for customer_id in (customers[1], customers[6]):
        await LiveScoring(connection, settings, tomorrow).rescore(customer_id)
        with counted_statements(monkeypatch) as statements:
            await LiveScoring(connection, settings, tomorrow).rescore(customer_id)
        assert len(statements) == 3
