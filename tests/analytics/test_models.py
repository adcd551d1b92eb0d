"""Runs that make values by a model."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from psycopg.errors import CheckViolation

from regulars.analytics.backtest import BacktestService
from regulars.analytics.clv import CLVService
from regulars.analytics.errors import InsufficientData
from regulars.analytics.modelled_values import modelled_value
from regulars.analytics.models import Period, ScoringRequest, ScoringRun
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.run_parameters import fallback_of, model_of
from regulars.analytics.schemas import CLVCalculationRequest
from regulars.analytics.value_models import Histories, ModelRefusal, NoModel, OrderValues, Terms, ValueModel, fit_model
from regulars.customers.models import RetailCustomer
from regulars.formulas import buytilldie, gammagamma
from regulars.formulas.climbing import farthest
from regulars.formulas.spending import spending_range
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.analytics.test_runs import asking, later, stored
from tests.factories.cdnow import cdnow
from tests.factories.customers import make_customer
from tests.factories.orders import Refund, make_order
from tests.factories.shops import make_many_customers

columns = ("clv", "clv_method", "p_buy", "expected_orders", "median_wait_days", "next_order_on", "clv_low", "clv_high")


def by_model(clock: Clock, **changes: Any) -> ScoringRequest:
    return replace(asking(clock, method="model", window_days=180), **changes)


async def expected_of(connection: Connection, run: ScoringRun, customer_id: UUID) -> tuple[Any, ...]:
    """What the pure functions make of a customer, with the parameters of the run."""
    model = model_of(run)
    assert model is not None
    period = Period(run.as_of, last_days=run.window_days)
    facts = await AnalyticsRepository(connection).get_rfm_inputs(customer_id, period)
    assert facts is not None
    if facts.age_days is None or facts.recency_days is None or facts.purchase_days is None:
        return 0.0, None, None, None, None, None, None
    known = (facts.purchase_days - 1, facts.age_days - facts.recency_days, facts.age_days)
    window, net = model.terms.window_days, max(float(facts.net), 0.0)
    orders = float(buytilldie.discounted_purchases(model.purchases, *known, window, model.terms.discount))
    plain = float(buytilldie.expected_purchases(model.purchases, *known, window))
    each = float(gammagamma.expected_mean(model.values, known[0] + 1, net / (known[0] + 1)))
    value = model.terms.share * model.terms.margin * orders * each
    value += (1 - model.terms.share) * model.terms.margin * max(float(facts.last_net or 0), 0.0)
    low, high = spending_range(model.purchases, model.values, *known, window)
    money = model.terms.margin * (orders / plain) * (model.values.gamma + net)
    wait = float(buytilldie.wait_for_purchase(model.purchases, *known))
    return (
        value if facts.net > 0 else 0.0,
        float(buytilldie.probability_of_purchase(model.purchases, *known, window)),
        plain,
        float(buytilldie.median_wait(model.purchases, *known)),
        run.as_of + timedelta(days=int(np.ceil(wait))) if wait <= 36_500 else None,
        float(low) * money,
        float(high) * money,
    )


@pytest.mark.parametrize(
    "terms", [{}, {"margin": 0.4}, {"discount": 0.2, "margin": 0.5}, {"method": "blend", "margin": 0.5}]
)
async def test_stored_values_are_those_of_the_formulas_with_the_parameters_of_the_run(
    connection: Connection, clv: CLVService, clock: Clock, terms: dict[str, Any]
) -> None:
    customers = await make_many_customers(connection, clock)
    odd = await odd_customers(connection, clock)
    run = await clv.score_customers(by_model(clock, **terms))
    assert run.method == terms.get("method", "model")
    found = await stored(connection, *columns)
    assert len(found) == len(customers) + len(odd)
    for customer_id in [*customers[:60], *(customer.id for customer in odd)]:
        row, expected = found[customer_id], await expected_of(connection, run, customer_id)
        assert row[1] == run.method
        assert row[5] == expected[4]
        for value, number in zip((row[0], *row[2:5], *row[6:8]), [*expected[:4], *expected[5:]], strict=True):
            assert value is number is None or float(value) == pytest.approx(number, rel=1e-9, abs=2e-4)


async def odd_customers(connection: Connection, clock: Clock) -> list[RetailCustomer]:
    """Without orders, with orders that brought nothing, with two on one day, refunded, and from today."""
    nobody, nothing, twice, refunded, fresh = [await make_customer(connection, clock) for _ in range(5)]
    await make_order(connection, clock, nothing.id, "0", days_ago=30)
    for days_ago in (90, 90, 20):
        await make_order(connection, clock, twice.id, "25", days_ago=days_ago)
    await make_order(connection, clock, refunded.id, "80", days_ago=50, refunds=[Refund("30", 10)])
    await make_order(connection, clock, refunded.id, "80", days_ago=40, refunds=[Refund("80", 10)])
    await make_order(connection, clock, fresh.id, "12", days_ago=0)
    return [nobody, nothing, twice, refunded, fresh]


@pytest.mark.parametrize("days_ago", [0, 15, 45])
async def test_purchase_days_are_those_known_on_the_day(connection: Connection, clock: Clock, days_ago: int) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "10", days_ago=60)
    await make_order(connection, clock, customer.id, "10", days_ago=50, refunds=[Refund("10", 10)])
    await make_order(connection, clock, customer.id, "10", days_ago=60, refunds=[Refund("10", 30)])
    await make_order(connection, clock, customer.id, "10", days_ago=48, cancelled_days_ago=40)
    period = Period(clock.today() - timedelta(days=days_ago), last_days=12)
    facts = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, period)
    assert facts is not None
    assert (facts.purchase_days, facts.last_net) == {0: (1, 0), 15: (2, 0), 45: (3, 20)}[days_ago]


async def test_a_run_keeps_its_model_and_gives_the_same_values_again(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    await make_many_customers(connection, clock)
    run = await clv.score_customers(by_model(clock))
    assert run.parameters["model"]["purchases"]["converged"] is True
    assert run.parameters["model"]["terms"] == {"window_days": 180, "margin": 1.0, "discount": 0.0, "share": 1.0}
    assert {"facts", "edges", "model", "scores", "write", "total"} == set(run.seconds)
    again = await clv.score_customers(by_model(clock))
    assert again.counts["changed"] == 0
    assert again.parameters["model"] == run.parameters["model"]


async def test_between_fits_only_changed_customers_are_valued_with_the_model_of_the_full_run(
    connection: Connection, clv: CLVService, clock: Clock, settings: Settings
) -> None:
    customers = await make_many_customers(connection, clock)
    full = await clv.score_customers(by_model(clock))
    before = await stored(connection, *columns)
    service, moved = later(clv, settings, connection, clock, 1)
    await make_order(connection, moved, customers[4], "500")
    await connection.execute(
        "UPDATE customer_metrics SET changed_at = %s WHERE customer_id = %s", [moved.now(), customers[4]]
    )
    run = await service.score_customers(by_model(moved, recalculate=False))
    assert (run.coverage, run.counts["scored"], run.counts["changed"]) == ("stale", 1, 1)
    assert run.parameters["model"] == full.parameters["model"]
    after = await stored(connection, *columns)
    assert {key for key, row in after.items() if row != before[key]} == {customers[4]}
    assert after[customers[4]][0] > before[customers[4]][0]


@pytest.mark.parametrize("terms", [{"method": "blend"}, {"window_days": 90}, {"margin": 0.5}, {"discount": 0.1}])
async def test_other_terms_are_for_everyone_anew(
    connection: Connection, clv: CLVService, clock: Clock, terms: dict[str, Any]
) -> None:
    await make_many_customers(connection, clock)
    await clv.score_customers(by_model(clock))
    run = await clv.score_customers(by_model(clock, recalculate=False, **terms))
    assert (run.coverage, run.counts["scored"]) == ("full", 600)


async def test_named_customers_are_valued_by_a_model_of_everyone(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    customers = await make_many_customers(connection, clock)
    first = await clv.score_customers(by_model(clock, customer_ids=customers[:2]))
    assert (first.coverage, first.method, first.counts["scored"]) == ("selected", "model", 2)
    full = await clv.score_customers(by_model(clock))
    assert full.parameters["model"] == first.parameters["model"]
    again = await clv.score_customers(by_model(clock, kind="clv", customer_ids=customers[:2]))
    assert (again.counts["scored"], again.counts["ranked"]) == (2, 2)


async def test_a_seed_run_forgets_what_only_models_know(connection: Connection, clv: CLVService, clock: Clock) -> None:
    customers = await make_many_customers(connection, clock)
    await clv.score_customers(by_model(clock))
    await clv.score_customers(asking(clock))
    assert (await stored(connection, *columns))[customers[0]][1:] == ("seed", *[None] * 6)


async def test_too_few_customers_are_valued_by_the_formula_and_told_why(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    customers = await make_many_customers(connection, clock, 499)
    run = await clv.score_customers(by_model(clock))
    assert (run.method, fallback_of(run), run.window_days) == ("seed", NoModel(ModelRefusal.FEW_CUSTOMERS), 180)
    answer = await clv.get_customer_clv(customers[0], operator)
    assert (answer.method, answer.fallback, answer.p_buy, answer.next_order_on) == ("seed", "few_customers", None, None)
    assert (await clv.get_clv_analysis(operator)).fallback == "few_customers"


async def test_a_short_history_cannot_carry_a_model(connection: Connection, clv: CLVService, clock: Clock) -> None:
    await make_many_customers(connection, clock, days=180)
    assert fallback_of(await clv.score_customers(by_model(clock))) == NoModel(ModelRefusal.SHORT_HISTORY)


def some_histories(x: list[int]) -> Histories:
    count = len(x)
    days = np.arange(200, 200 + count, dtype=np.int32)
    return Histories(
        np.array(x, np.int32), np.where(np.array(x) > 0, days - 50, 0), days, np.full(count, 300, np.int32)
    )


ones = np.array([300, 300, 300], np.int32)
values = OrderValues(np.array([1, 2, 2], np.int32), np.log([10.0, 30.0, 14.0]), np.array([5, 3, 9], np.int32))
no_values = OrderValues(*(np.array([], kind) for kind in (np.int32, np.float64, np.int32)))


def test_without_a_third_order_of_anybody_there_is_no_model() -> None:
    assert fit_model(some_histories([0, 1, 1]), values, Terms(90)) == NoModel(ModelRefusal.NO_THIRD_ORDER)


def test_orders_that_brought_nothing_carry_no_model() -> None:
    assert fit_model(some_histories([0, 1, 2]), no_values, Terms(90)) == NoModel(ModelRefusal.NOT_CONVERGED)


@pytest.mark.parametrize("module", [buytilldie, gammagamma])
def test_a_search_that_finds_no_top_gives_no_model(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """No orders are known on which one does: it is made to."""
    assert isinstance(fit_model(*ordinary_shop(), Terms(90)), ValueModel)
    found = module.fit

    def gives_up(*given: Any) -> Any:
        return replace(found(*given), converged=False)

    monkeypatch.setattr(module, "fit", gives_up)
    assert fit_model(*ordinary_shop(), Terms(90)) == NoModel(ModelRefusal.NOT_CONVERGED)


def ordinary_shop() -> tuple[Histories, OrderValues]:
    """The purchases of CDNOW's sample, and order values as the model has them."""
    shop, chance = cdnow(sample=True), np.random.default_rng(5)
    known = [column.astype(np.int32) for column in (shop.x, shop.t_x, shop.T)]
    means = chance.gamma(6.0, size=2000) / chance.gamma(4.0, 1 / 15.0, 2000)
    ones = np.ones(len(known[0]), np.int32)
    return Histories(*known, ones), OrderValues(ones[:2000], np.log(means), ones[:2000])


def at_bound(model: ValueModel, **changes: float) -> ValueModel:
    return replace(model, purchases=replace(model.purchases, **changes))


def test_a_search_that_ends_at_its_bound_gives_no_model_and_says_which() -> None:
    nobody_stops = Histories(
        *(np.array(column, np.int32) for column in ([0, 1, 2], [0, 199, 200], [200, 200, 201])), ones
    )
    found = fit_model(nobody_stops, values, Terms(90))
    assert isinstance(found, NoModel)
    assert found.refusal is ModelRefusal.AT_BOUND
    assert found.bounds
    assert all(f"{name} at " in found.sentence for name in found.bounds)


@pytest.mark.parametrize("side", [np.exp(-farthest), np.exp(farthest)])
def test_every_parameter_has_two_bounds(side: float) -> None:
    model = fit_model(*ordinary_shop(), Terms(90))
    assert isinstance(model, ValueModel)
    assert model.bounds_reached == {}
    for name in ("r", "alpha", "a", "b"):
        assert at_bound(model, **{name: side}).bounds_reached == {name: side}
        assert at_bound(model, **{name: side * 0.999 if side > 1 else side * 1.001}).bounds_reached == {}
    for name, value in {"p": side, "q": side, "gamma": side * model.values.scale}.items():
        assert replace(model, values=replace(model.values, **{name: value})).bounds_reached == {name: value}


async def test_a_model_that_an_earlier_version_kept_at_its_bound_is_fitted_anew_and_still_explains(
    connection: Connection, clv: CLVService, clock: Clock
) -> None:
    customers = await make_many_customers(connection, clock)
    full = await clv.score_customers(by_model(clock))
    await connection.execute(
        "UPDATE scoring_runs SET parameters = jsonb_set(parameters, '{model,purchases,b}', %s::text::jsonb)",
        [repr(float(np.exp(farthest)))],
    )
    answer = await clv.get_customer_clv(customers[0], operator)
    assert answer.is_stale
    assert answer.model is not None
    assert np.isfinite([answer.model.expected_orders, answer.model.probability_active]).all()
    run = await clv.score_customers(by_model(clock, recalculate=False))
    assert (run.coverage, run.method, run.parameters["model"]) == ("full", "model", full.parameters["model"])


@pytest.mark.parametrize(
    ("column", "value"),
    [("value_factor", np.nan), ("expected_orders", np.inf), ("high_factor", 1e24), ("p_buy", np.nan)],
)
@pytest.mark.parametrize("share", ["model", "blend"])
async def test_forecasts_that_are_no_numbers_or_too_large_are_not_stored(
    connection: Connection,
    clv: CLVService,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    column: str,
    value: float,
    share: str,
) -> None:
    """No orders are known on which there are any: a forecast is made to have one."""
    await make_many_customers(connection, clock)
    forecast = ValueModel.forecast

    def broken(model: ValueModel, histories: Histories) -> Any:
        found = forecast(model, histories)
        getattr(found, column)[3] = value
        return found

    monkeypatch.setattr(ValueModel, "forecast", broken)
    run = await clv.score_customers(by_model(clock, method=share))
    assert (run.method, fallback_of(run)) == ("seed", NoModel(ModelRefusal.OUT_OF_RANGE))
    assert max((await stored(connection, "clv")).values()) < 10**6
    with pytest.raises(InsufficientData, match="too large to be true"):
        await BacktestService(connection, Settings(_env_file=None), clock).backtest(clock.today() - timedelta(90), 90)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, "NaN") for name in ("clv", "clv_low", "clv_high", "p_buy", "expected_orders", "median_wait_days")),
        *((name, "Infinity") for name in ("p_buy", "expected_orders", "median_wait_days")),
    ],
)
async def test_the_database_stores_no_value_that_is_not_a_number(
    connection: Connection, clv: CLVService, clock: Clock, column: str, value: str
) -> None:
    customers = await make_many_customers(connection, clock, 3)
    await clv.score_customers(asking(clock))
    with pytest.raises(CheckViolation):
        await connection.execute(
            f"UPDATE customer_scores SET {column} = '{value}' WHERE customer_id = %s", [customers[0]]
        )


def test_every_refusal_has_a_sentence() -> None:
    assert all(refusal.sentence for refusal in ModelRefusal)


async def test_one_value_is_explained_with_its_model(connection: Connection, clv: CLVService, clock: Clock) -> None:
    customers = await make_many_customers(connection, clock)
    run = await clv.score_customers(by_model(clock, method="blend", margin=0.5))
    row = (await stored(connection, *columns))[customers[1]]
    answer = await clv.get_customer_clv(customers[1], operator)
    assert answer.clv == answer.clv_in_window
    assert Decimal(answer.clv or 0) == row[0].quantize(Decimal("0.01"))
    assert (answer.method, answer.window_days, answer.is_stale) == ("blend", 180, False)
    assert answer.next_order_on == (row[5] or "not_expected")
    assert answer.model is not None
    assert answer.model.parameters == model_of(run).parameters  # type: ignore[union-attr]
    assert answer.model.expected_orders == pytest.approx(answer.expected_orders)
    by_hand = Decimal("0.25") * (
        Decimal(answer.model.expected_orders) * Decimal(answer.model.expected_order_value or 0)
        + Decimal(answer.model.last_period)
    )
    assert Decimal(answer.clv or 0) == pytest.approx(by_hand, abs=Decimal("0.05"))
    await make_order(connection, clock, customers[1], "70")
    assert (await clv.get_customer_clv(customers[1], operator)).is_stale


async def test_who_never_ordered_has_no_forecast(connection: Connection, clv: CLVService, clock: Clock) -> None:
    await make_many_customers(connection, clock)
    prospect = await make_customer(connection, clock)
    await clv.score_customers(by_model(clock))
    answer = await clv.get_customer_clv(prospect.id, operator)
    assert (answer.clv, answer.reason, answer.p_buy, answer.model) == ("0.00", "no_orders", None, None)
    facts = await AnalyticsRepository(connection).get_clv_inputs(prospect.id, clock.today(), 180)
    assert facts is not None
    assert modelled_value(fit_model(*ordinary_shop(), Terms(90)), facts) is None  # type: ignore[arg-type]


async def test_a_request_takes_what_it_does_not_name_from_the_settings(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    await make_many_customers(connection, clock)
    own = settings.model_copy(update={"clv_window_days": 120, "clv_margin": 0.3, "clv_discount": 0.05})
    service = CLVService(connection, own, clock)
    answer = await service.calculate_clv(CLVCalculationRequest(method="model"), operator)
    assert (answer.method, answer.window_days, answer.fallback) == ("model", 120, None)
    run = await service.score_customers(by_model(clock, window_days=None, margin=0.9))
    assert run.parameters["model"]["terms"] == {"window_days": 120, "margin": 0.9, "discount": 0.05, "share": 1.0}
