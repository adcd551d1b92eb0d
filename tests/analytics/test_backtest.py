"""The back-test on shops whose future is known."""

from datetime import timedelta
from decimal import Decimal

import pytest

from regulars.analytics.backtest import BacktestService
from regulars.analytics.errors import InsufficientData
from regulars.analytics.models import Period, ScoringRequest
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.run_parameters import model_of
from regulars.analytics.runs import ScoringService
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer
from tests.factories.orders import Refund, make_order
from tests.factories.shops import make_many_customers

window = 120


@pytest.fixture
def service(connection: Connection, settings: Settings, clock: Clock) -> BacktestService:
    return BacktestService(connection, settings, clock)


async def test_predictions_know_nothing_of_the_window(
    connection: Connection, service: BacktestService, clock: Clock
) -> None:
    customers = await make_many_customers(connection, clock, 900)
    until = clock.today() - timedelta(days=window)
    before = await service.backtest(until, window)
    for customer_id in customers[:50]:
        await make_order(connection, clock, customer_id, "5000", days_ago=3)
    after = await service.backtest(until, window)
    assert after.model == before.model
    assert [row.predicted for row in after.deciles["model"]] == [row.predicted for row in before.deciles["model"]]
    assert after.accuracy["model"].mae > before.accuracy["model"].mae + 200


async def test_predictions_are_what_runs_on_that_day_would_have_written(
    connection: Connection, service: BacktestService, settings: Settings, clock: Clock
) -> None:
    await make_many_customers(connection, clock, 900)
    until = clock.today() - timedelta(days=window)
    found = await service.backtest(until, window)
    request = ScoringRequest("all", until, "test", method="model", window_days=window)
    run = await ScoringService(connection, settings, clock).score_customers(request)
    model = model_of(run)
    assert model == found.model
    cursor = await connection.execute("SELECT count(*), sum(clv) FROM customer_scores WHERE clv_reason IS NULL")
    [(count, total)] = await cursor.fetchall()
    predicted = sum(row.customers * row.predicted for row in found.deciles["model"])
    assert (found.customers, predicted) == (count, pytest.approx(float(total), rel=1e-5))


async def test_what_came_is_what_the_orders_of_the_window_brought(
    connection: Connection, service: BacktestService, clock: Clock
) -> None:
    customers = await make_many_customers(connection, clock, 700)
    until = clock.today() - timedelta(days=window)
    first = await service.backtest(until, window)
    bought = sum(row.customers * row.actual for row in first.deciles["seed"])
    facts = [
        await AnalyticsRepository(connection).get_rfm_inputs(customer, Period(clock.today(), window))
        for customer in customers
    ]
    known = [row for row in facts if row and (row.age_days or 0) >= window]
    assert len(known) == first.customers
    assert bought == pytest.approx(float(sum((row.recent_net for row in known), Decimal(0))), rel=1e-9)
    assert first.accuracy["last"].bias == first.accuracy["mean"].bias
    await make_order(connection, clock, customers[0], "90", days_ago=5, refunds=[Refund("30", 1)])
    newcomer = await make_customer(connection, clock)
    await make_order(connection, clock, newcomer.id, "1000", days_ago=5)
    second = await service.backtest(until, window)
    more = 60 if known[0].customer_id == customers[0] else 0
    assert sum(row.customers * row.actual for row in second.deciles["seed"]) == pytest.approx(bought + more)


async def test_proposed_multipliers_foretell_what_was_spent(
    connection: Connection, service: BacktestService, settings: Settings, clock: Clock
) -> None:
    await make_many_customers(connection, clock, 900)
    until = clock.today() - timedelta(days=window)
    rows = (await service.backtest(until, window)).multipliers
    assert sum(row.customers for row in rows) > 400
    assert all((row.proposed is None) == (row.customers < 30) for row in rows)
    chosen = {row.segment.value: row.proposed for row in rows if row.proposed}
    own = settings.model_copy(update={"clv_multipliers": chosen})
    again = await BacktestService(connection, own, clock).backtest(until, window)
    for row in again.multipliers:
        if row.proposed and 0.1 < row.proposed < 9:
            assert row.expected == pytest.approx(row.spent, rel=0.03)
            assert row.current == row.proposed
    assert RFMSegment.PROSPECT not in {row.segment for row in rows}


async def test_the_model_ranks_better_than_chance_and_is_about_right_on_its_own_kind_of_shop(
    connection: Connection, service: BacktestService, clock: Clock
) -> None:
    await make_many_customers(connection, clock, 2000)
    found = await service.backtest(clock.today() - timedelta(days=window), window)
    model = found.accuracy["model"]
    assert abs(model.bias or 1) < 0.1
    assert (model.gini or 0) > 0.6
    assert (model.lift or 0) > 2.5
    assert found.accuracy["mean"].gini == pytest.approx(0)
    for row in found.calibration:
        if row.customers > 100:
            assert row.observed == pytest.approx(row.predicted, abs=0.1)


@pytest.mark.parametrize(
    ("days_back", "reason", "needed", "have"), [(480, "few_customers", 500, 43), (360, "short_history", 180, 140)]
)
async def test_too_little_history_is_said_with_what_is_needed(
    connection: Connection, service: BacktestService, clock: Clock, days_back: int, reason: str, needed: int, have: int
) -> None:
    await make_many_customers(connection, clock, 2200)
    with pytest.raises(InsufficientData) as refused:
        await service.backtest(clock.today() - timedelta(days=days_back), 90)
    assert refused.value.facts["reason"] == reason
    assert refused.value.facts["needed"] == needed
    assert abs(int(str(refused.value.facts["have"])) - have) < 60
    with pytest.raises(InsufficientData):
        await service.backtest(clock.today() - timedelta(days=days_back), 90)


async def test_a_small_shop_with_fixed_edges_is_tested_with_them(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    await make_many_customers(connection, clock, 900)
    until = clock.today() - timedelta(days=window)
    fixed = settings.model_copy(update={"rfm_edges": "fixed"})
    by_fixed = await BacktestService(connection, fixed, clock).backtest(until, window)
    by_fifths = await BacktestService(connection, settings, clock).backtest(until, window)
    assert by_fixed.accuracy["seed"] != by_fifths.accuracy["seed"]
    assert by_fixed.accuracy["model"] == by_fifths.accuracy["model"]
    assert by_fixed.customers == by_fifths.customers
