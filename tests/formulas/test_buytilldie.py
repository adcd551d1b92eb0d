import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from regulars.formulas.buytilldie import (
    Fitted,
    Model,
    discounted_purchases,
    expected_purchases,
    fit,
    median_wait,
    probability_alive,
    probability_of_purchase,
    wait_for_purchase,
)
from regulars.formulas.purchase_likelihood import PurchaseLikelihood, group_rows
from tests.factories.cdnow import Shop, cdnow

vectors = json.loads((Path(__file__).parent.parent / "spec" / "clv_vectors.json").read_text())["vectors"]
models: list[Model] = ["mbgnbd", "bgnbd"]
week = 7


@pytest.fixture(scope="module")
def sample() -> Shop:
    return cdnow(sample=True)


@pytest.mark.parametrize("vector", [vector for vector in vectors if vector["model"] != "gammagamma"])
def test_predictions_are_those_of_the_published_vectors(vector: dict[str, Any]) -> None:
    params = Fitted(**vector["params"], model=vector["model"])
    known = (vector["x"], vector["tx"] * week, vector["T"] * week)
    found = {
        "E39": expected_purchases(params, *known, 39 * week),
        "E52": expected_purchases(params, *known, 52 * week),
        "palive": probability_alive(params, *known),
        "p_buy_13": probability_of_purchase(params, *known, 13 * week),
        "median_wait_if_alive": median_wait(params, *known) / week,
    }
    for name, value in found.items():
        assert value == pytest.approx(vector[name], abs=1e-6), name


@pytest.mark.parametrize(
    ("everyone", "model", "r", "alpha", "a", "b", "log_likelihood"),
    [
        (False, "bgnbd", 0.2426, 4.4136, 0.7929, 2.4259, -9582.429),
        (False, "mbgnbd", 0.5248, 6.1831, 0.8914, 1.6140, -9582.136),
        (True, "bgnbd", 0.2516, 4.7889, 0.7234, 2.1611, -95368.444),
        (True, "mbgnbd", 0.6371, 7.3103, 0.8075, 1.2284, -95336.958),
    ],
)
def test_fits_are_those_of_the_literature(
    everyone: bool, model: Model, r: float, alpha: float, a: float, b: float, log_likelihood: float
) -> None:
    shop = cdnow(sample=not everyone)
    found = fit(shop.x, shop.t_x, shop.T, model=model)
    assert found.converged
    assert (round(found.r, 4), round(found.alpha, 4), round(found.a, 4), round(found.b, 4)) == (r, alpha, a, b)
    assert round(found.log_likelihood, 3) == log_likelihood


@pytest.mark.parametrize("model", models)
def test_grouped_rows_give_the_fit_of_the_single_ones(sample: Shop, model: Model) -> None:
    single = fit(sample.x, sample.t_x, sample.T, model=model)
    rows, counts = np.unique(np.stack([sample.x, sample.t_x, sample.T]), axis=1, return_counts=True)
    grouped = fit(*rows, counts, model=model)
    assert [grouped.r, grouped.alpha, grouped.a, grouped.b] == pytest.approx(
        [single.r, single.alpha, single.a, single.b], rel=1e-6
    )


def test_the_unit_scales_the_parameters_and_nothing_else(sample: Shop) -> None:
    weekly, daily = (fit(sample.x, sample.t_x, sample.T, unit_days=days) for days in (7.0, 1.0))
    assert [daily.r, daily.alpha / 7, daily.a, daily.b] == pytest.approx(
        [weekly.r, weekly.alpha, weekly.a, weekly.b], rel=1e-5
    )
    ahead = [expected_purchases(params, 3, 100.5, 200.25, 90) for params in (weekly, daily)]
    assert ahead[0] == pytest.approx(ahead[1], rel=1e-5)


def test_days_that_are_not_whole_are_taken_as_they_are(sample: Shop) -> None:
    shifted = fit(sample.x, sample.t_x * 0.999, sample.T * 0.999 + 0.123)
    assert shifted.converged
    assert shifted.r == pytest.approx(0.5248, rel=0.01)
    assert shifted.r != pytest.approx(0.5248, rel=1e-5)


rows_of_a_shop = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 300), st.integers(0, 300), st.integers(1, 9)), min_size=1, max_size=12
)


@pytest.mark.parametrize("model", models)
@settings(max_examples=60, deadline=None)
@given(rows=rows_of_a_shop, logs=st.lists(st.floats(-2, 3), min_size=4, max_size=4))
def test_the_gradient_is_that_of_finite_differences(
    model: Model, rows: list[tuple[int, int, int, int]], logs: list[float]
) -> None:
    possible = [(x, min(t, T) if x else 0, T, weight) for x, t, T, weight in rows]
    grouped = group_rows(*(list(column) for column in zip(*possible, strict=True)))
    likelihood = PurchaseLikelihood(grouped, model, unit_days=7.0)
    place = np.array(logs)
    _, gradient = likelihood.mean_and_gradient(place)
    for number, step in enumerate(np.eye(4) * 1e-5):
        above, below = (likelihood.mean_and_gradient(at)[0] for at in (place + step, place - step))
        assert gradient[number] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-6)


@dataclass(frozen=True)
class ByHand:
    r: float
    alpha: float
    a: float
    b: float
    model: Model = "mbgnbd"
    unit_days: float = 1.0


def by_quadrature(params: Any, x: float, T: float, horizon: float) -> float:
    """Purchases of an active customer: the mean over p of (1 - ((alpha + T) / (alpha + T + p t))^(r + x)) / p."""
    reach, ahead = params.alpha + T / params.unit_days, horizon / params.unit_days
    chances = beta(params.a, params.b + x + (params.model == "mbgnbd"))

    def term(share: float) -> float:
        p = float(chances.ppf(share))
        return (
            float(-np.expm1(-(params.r + x) * np.log1p(p * ahead / reach)) / p)
            if p
            else (params.r + x) * (ahead / reach)
        )

    return float(quad(term, 0, 1, limit=500, epsabs=1e-10, epsrel=1e-10)[0])


@pytest.mark.parametrize("model", models)
@pytest.mark.parametrize("a", [0.4, 0.9, 1.0, 1.0 + 1e-7, 1.3, 8.0])
@pytest.mark.parametrize(("x", "t_x", "T"), [(0, 0, 0), (0, 0, 700), (1, 7, 7), (12, 300, 365), (1000, 1000, 1000)])
def test_expected_purchases_are_their_integral_at_any_parameters(
    model: Model, a: float, x: float, t_x: float, T: float
) -> None:
    params = ByHand(0.6, 40.0, a, 2.0, model)
    for horizon in (1.0, 91.0, 3650.0):
        found = expected_purchases(params, x, t_x, T, horizon)
        expected = by_quadrature(params, x, T, horizon) * float(probability_alive(params, x, t_x, T))
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("a", [2.0, 3.0])
def test_whole_differences_of_r_and_a_are_no_holes(a: float) -> None:
    found = expected_purchases(ByHand(1.0, 1.0, a, 1.0), 1000, 0, 0, [30.0, 365.0])
    beside = expected_purchases(ByHand(1.0, 1.0, a + 1e-6, 1.0), 1000, 0, 0, [30.0, 365.0])
    assert found == pytest.approx(beside, rel=1e-4)


def test_the_formula_is_whole_where_its_scale_vanishes() -> None:
    around = [expected_purchases(ByHand(0.5, 10.0, 0.5, b, "bgnbd"), 0, 0, 100, 90) for b in (0.4999, 0.5, 0.5001)]
    assert around[1] == pytest.approx((around[0] + around[2]) / 2, rel=1e-5)


customers = st.tuples(st.sampled_from([0, 1, 2, 7, 1000]), st.floats(0, 1), st.floats(0, 3000)).map(
    lambda drawn: (drawn[0], drawn[1] * drawn[2] if drawn[0] else 0.0, drawn[2])
)
shapes = st.floats(0.01, 30)


@pytest.mark.parametrize("model", models)
@given(customer=customers, r=shapes, alpha=st.floats(0.1, 500), a=shapes, b=shapes)
@settings(deadline=None)
def test_predictions_are_sane_whatever_the_parameters(
    model: Model, customer: tuple[float, float, float], r: float, alpha: float, a: float, b: float
) -> None:
    params = ByHand(r, alpha, a, b, model)
    alive = probability_alive(params, *customer)
    horizons = np.array([0.0, 1.0, 30.0, 365.0, 36_500.0])
    purchases = expected_purchases(params, *customer, horizons)
    chances = probability_of_purchase(params, *customer, horizons)
    assert 0 <= alive <= 1
    assert purchases[0] == chances[0] == 0
    assert (np.diff(purchases) >= -1e-9 * purchases[-1]).all()
    assert (np.diff(chances) >= 0).all()
    assert (chances <= alive + 1e-12).all()
    assert (purchases >= chances * (1 - 1e-6) - 1e-9).all()
    assert np.isfinite(purchases).all()
    assert median_wait(params, *customer) > 0


def test_half_of_the_active_customers_buy_within_the_median_wait() -> None:
    params = ByHand(0.5, 40.0, 0.9, 1.6)
    known = (4, 90, 200)
    within = probability_of_purchase(params, *known, median_wait(params, *known))
    assert within == pytest.approx(probability_alive(params, *known) / 2)


def test_a_customer_has_bought_with_the_chance_asked_for_after_the_wait() -> None:
    params = ByHand(0.5, 40.0, 0.9, 1.6)
    wait = wait_for_purchase(params, 4, 180, 200, chance=0.6)
    assert probability_of_purchase(params, 4, 180, 200, wait) == pytest.approx(0.6)


def test_who_has_probably_stopped_is_not_waited_for() -> None:
    params = ByHand(0.5, 40.0, 0.9, 1.6)
    assert probability_alive(params, 4, 20, 900) < 0.5
    assert np.isinf(wait_for_purchase(params, 4, 20, 900))


def test_a_wait_longer_than_any_number_is_infinite() -> None:
    assert np.isinf(median_wait(ByHand(1e-4, 40.0, 0.9, 1.6), 0, 0, 10))


def test_one_time_customers_are_all_active_under_bgnbd_only() -> None:
    both = [probability_alive(ByHand(0.5, 40.0, 0.9, 1.6, model), 0, 0, [1, 100, 1000]) for model in models]
    assert (both[0] < 1).all()
    assert (both[1] == 1).all()


def test_a_discount_makes_later_purchases_worth_less() -> None:
    params = ByHand(0.5, 40.0, 0.9, 1.6)
    plain = expected_purchases(params, 4, 180, 200, 365)
    assert discounted_purchases(params, 4, 180, 200, 365, 0.0) == plain
    dear, dearer = (discounted_purchases(params, 4, 180, 200, 365, rate) for rate in (0.1, 0.3))
    assert plain / 1.1 < dear < plain
    assert dearer < dear
    first_month = expected_purchases(params, 4, 180, 200, 20)
    assert discounted_purchases(params, 4, 180, 200, 20, 0.1) == pytest.approx(first_month / 1.1 ** (10 / 365))


@pytest.mark.parametrize("model", models)
def test_a_shop_without_repeat_purchases_is_fitted_without_running_away(model: Model) -> None:
    ages = np.arange(1.0, 400.0)
    found = fit(np.zeros_like(ages), np.zeros_like(ages), ages, model=model)
    assert np.isfinite([found.r, found.alpha, found.a, found.b, found.log_likelihood]).all()


@pytest.mark.parametrize("model", models)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shop_in_which_nobody_ever_stops_is_fitted_as_one(model: Model, seed: int) -> None:
    chance = np.random.default_rng(seed)
    count, age = 3000, chance.integers(100, 700, 3000).astype(float)
    x = chance.poisson(chance.gamma(0.5, 1 / 30, count) * age).astype(float)
    last = np.where(x > 0, np.floor(age * chance.random(count) ** (1 / np.maximum(x, 1))), 0)
    found = fit(x, last, age, model=model)
    assert found.converged
    assert [found.r, found.alpha * 7] == pytest.approx([0.5, 30], rel=0.1)
    assert float(expected_purchases(found, 20, 690, 700, 70)) == pytest.approx(20.5 / 730 * 70, rel=0.05)


@pytest.mark.parametrize("model", models)
@pytest.mark.parametrize("seed", [1, 6, 10])
def test_a_shop_of_heavy_buyers_who_never_stop_is_fitted_at_the_edge(model: Model, seed: int) -> None:
    """Purchases fall anywhere in the time of a customer, of whom few have many, as in the benchmarks' shop."""
    chance = np.random.default_rng(seed)
    age = np.floor(1095 * chance.random(600))
    orders = np.minimum(900, np.floor(4 * np.log(chance.random(600)) ** 2)).astype(int)
    days = [np.unique(np.floor(T * chance.random(count))) for T, count in zip(age, orders, strict=True)]
    x = np.array([len(ago[ago < T]) for T, ago in zip(age, days, strict=True)], dtype=float)
    last = np.array([T - ago.min() if bought else 0 for T, ago, bought in zip(age, days, x, strict=True)])
    found = fit(x, last, age, model=model)
    assert found.converged
    assert found.a < 0.01


@pytest.mark.parametrize(
    "row",
    [([], [], []), ([1], [5], [4]), ([-1], [0], [4]), ([0], [2], [4]), ([1], [1], [np.inf]), ([1], [np.nan], [4])],
)
def test_rows_that_no_customer_can_have_are_refused(row: tuple[list[float], ...]) -> None:
    with pytest.raises(ValueError, match="rows"):
        fit(*row)


def test_fitted_parameters_recover_those_of_a_simulated_shop() -> None:
    chance = np.random.default_rng(7)
    count = 40_000
    age = chance.integers(100, 400, count).astype(float)
    rate, stop = chance.gamma(0.8, 1 / 8.0, count) / week, chance.beta(1.2, 3.0, count)
    x, last, now = np.zeros(count), np.zeros(count), np.zeros(count)
    active = chance.random(count) > stop
    while active.any():
        now = np.where(active, now + chance.exponential(1 / rate), now)
        active &= now < age
        x, last = np.where(active, x + 1, x), np.where(active, now, last)
        active &= chance.random(count) > stop
    found = fit(x, last, age)
    assert found.converged
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx([0.8, 8.0, 1.2, 3.0], rel=0.15)
    assert found.model == "mbgnbd"
