from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from regulars.formulas.buytilldie import Fitted, Model, probability_of_purchase
from regulars.formulas.gammagamma import FittedValues
from regulars.formulas.spending import spending_range

window = 365.0


@dataclass(frozen=True)
class Simulated:
    """Customers drawn from the models: what is known of them, what they spent, and what they spend in the window."""

    x: npt.NDArray[np.float64]
    t_x: npt.NDArray[np.float64]
    T: npt.NDArray[np.float64]
    spent: npt.NDArray[np.float64]
    ahead: npt.NDArray[np.float64]


def simulate(params: Fitted, values: FittedValues, count: int) -> Simulated:
    chance = np.random.default_rng(11)
    age = chance.integers(100, 700, count).astype(float)
    rate = chance.gamma(params.r, 1 / params.alpha, count) / params.unit_days
    stop, worth = chance.beta(params.a, params.b, count), chance.gamma(values.q, 1 / values.gamma, count)
    x, last, now, bought = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
    active = chance.random(count) > stop if params.model == "mbgnbd" else np.full(count, fill_value=True)
    while active.any():
        now = np.where(active, now + chance.exponential(1 / rate), now)
        active &= now < age + window
        known = active & (now < age)
        x, last, bought = x + known, np.where(known, now, last), bought + (active & ~known)
        active &= chance.random(count) > stop
    spent = chance.gamma(values.p * (x + 1)) / worth
    ahead = np.where(bought > 0, chance.gamma(values.p * np.maximum(bought, 1)) / worth, 0)
    return Simulated(x, last, age, spent, ahead)


@pytest.mark.parametrize("model", ["mbgnbd", "bgnbd"])
@pytest.mark.parametrize("p", [0.7, 6.0])
def test_eight_of_ten_ranges_hold_what_is_spent(model: Model, p: float) -> None:
    params, values = Fitted(3.0, 4.0, 0.5, 6.0, model=model), FittedValues(p, 3.7, 15.0)
    shop = simulate(params, values, 20_000)
    low, high = spending_range(params, values, shop.x, shop.t_x, shop.T, window)
    known = values.gamma + shop.spent
    below, above = shop.ahead < low * known, shop.ahead > high * known
    sure = probability_of_purchase(params, shop.x, shop.t_x, shop.T, window) > 0.95
    assert sure.sum() > 4000
    assert below[sure].mean() == pytest.approx(0.1, abs=0.015)
    assert above[sure].mean() == pytest.approx(0.1, abs=0.015)
    assert (~below & ~above).mean() >= 0.8  # where nothing may be spent, the range holds more than it has to


def test_who_will_hardly_buy_has_a_range_of_nothing() -> None:
    params, values = Fitted(0.5, 6.0, 0.9, 1.6), FittedValues(6.0, 3.7, 15.0)
    assert probability_of_purchase(params, 3, 20, 700, window) < 0.1
    assert [float(end) for end in spending_range(params, values, 3, 20, 700, window)] == [0, 0]


def test_a_range_depends_on_nobody_else() -> None:
    params, values = Fitted(0.5, 6.0, 0.9, 1.6), FittedValues(6.0, 3.7, 15.0)
    x, age = np.arange(0.0, 1500.0), np.arange(0.0, 1500.0) + 40
    low, high = spending_range(params, values, x, x, age, window)
    alone = spending_range(params, values, x[700], x[700], age[700], window)
    assert (low[700], high[700]) == alone


def test_ranges_widen_with_the_share_and_grow_with_the_window() -> None:
    params, values = Fitted(3.0, 4.0, 0.5, 6.0), FittedValues(6.0, 3.7, 15.0)
    low, high = spending_range(params, values, 30, 395, 400, window)
    lower, higher = spending_range(params, values, 30, 395, 400, window, share=0.95)
    assert 0 < lower < low < high < higher
    assert spending_range(params, values, 30, 395, 400, 2 * window)[1] > high


def test_extremes_stay_finite() -> None:
    params, values = Fitted(0.5, 6.0, 0.9, 1.6), FittedValues(6.0, 3.7, 15.0)
    for horizon in (0.0, 36_500.0):
        low, high = spending_range(params, values, [0, 0, 1000], [0, 0, 1000], [0, 9000, 1000], horizon)
        assert (low <= high).all()
        assert np.isfinite(high).all()
    assert spending_range(params, values, 1000, 1000, 1000, 0.0)[1] == 0
    tireless = Fitted(0.5, 1e-4, 0.01, 1e7)
    assert np.isfinite(spending_range(tireless, values, 1000, 0, 0, 36_500.0)[1])
