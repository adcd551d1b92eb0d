import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.formulas.gammagamma import FittedValues, ValueLikelihood, expected_mean, fit
from tests.factories.cdnow import cdnow

vectors = json.loads((Path(__file__).parent.parent / "spec" / "clv_vectors.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", [vector for vector in vectors if vector["model"] == "gammagamma"])
def test_means_are_those_of_the_published_vectors(vector: dict[str, Any]) -> None:
    mean = np.nan if vector["mean"] is None else vector["mean"]
    found = expected_mean(FittedValues(**vector["params"]), vector["x"], mean)
    assert found == pytest.approx(vector["expected_mean"], abs=1e-6)


def test_the_fit_is_that_of_the_literature() -> None:
    shop = cdnow(sample=True)
    repeaters = (shop.x > 0) & (shop.mean_repeat > 0)
    found = fit(shop.x[repeaters], shop.mean_repeat[repeaters])
    assert repeaters.sum() == 946
    assert found.converged
    assert (round(found.p, 2), round(found.q, 3), round(found.gamma, 2)) == (6.25, 3.744, 15.44)
    assert round(found.log_likelihood, 3) == -4055.918


def test_the_currency_scales_gamma_and_nothing_else() -> None:
    chance = np.random.default_rng(3)
    counts = chance.integers(1, 9, 3000).astype(float)
    means = chance.gamma(4 * counts) / counts / chance.gamma(3.0, size=3000) * 20
    euros, cents = fit(counts, means), fit(counts, means * 100)
    assert [cents.p, cents.q, cents.gamma / 100] == pytest.approx([euros.p, euros.q, euros.gamma], rel=1e-6)
    assert cents.log_likelihood == pytest.approx(euros.log_likelihood - 3000 * np.log(100))


def test_weights_stand_for_customers() -> None:
    counts, means = [1.0, 2.0, 3.0, 5.0, 9.0], [10.0, 30.0, 24.0, 80.0, 41.0]
    weighted = fit(counts, means, [3, 1, 2, 1, 2])
    repeated = fit(np.repeat(counts, [3, 1, 2, 1, 2]), np.repeat(means, [3, 1, 2, 1, 2]))
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 50), st.floats(0.5, 500), st.integers(1, 9)), min_size=1, max_size=12),
    logs=st.lists(st.floats(-2, 3), min_size=3, max_size=3),
)
def test_the_gradient_is_that_of_finite_differences(rows: list[tuple[int, float, int]], logs: list[float]) -> None:
    likelihood = ValueLikelihood(*np.array(rows, dtype=np.float64).T)
    place = np.array(logs)
    _, gradient = likelihood.mean_and_gradient(place)
    for number, step in enumerate(np.eye(3) * 1e-5):
        above, below = (likelihood.mean_and_gradient(at)[0] for at in (place + step, place - step))
        assert gradient[number] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-5)


def test_the_more_is_known_the_less_the_others_count() -> None:
    params = FittedValues(6.25, 3.74, 15.44)
    found = expected_mean(params, [1, 10, 1000], 100.0)
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(100, rel=0.002)


def test_without_a_finite_mean_none_is_expected() -> None:
    assert np.isinf(expected_mean(FittedValues(2.0, 0.8, 10.0), 0, np.nan))
    assert np.isfinite(expected_mean(FittedValues(2.0, 0.8, 10.0), 1, 30.0))


@pytest.mark.parametrize(("counts", "means"), [([], []), ([0], [10]), ([2], [0]), ([2], [-3])])
def test_rows_without_worth_are_refused(counts: list[float], means: list[float]) -> None:
    with pytest.raises(ValueError, match=r"rows|above 0"):
        fit(counts, means)


def test_customers_whose_purchases_are_all_alike_are_expected_to_buy_alike_again() -> None:
    chance = np.random.default_rng(5)
    means = 20 / chance.gamma(3.0, size=500)
    found = fit(chance.integers(2, 30, 500), means)
    assert found.converged
    assert expected_mean(found, 3, means) == pytest.approx(means, rel=0.1)
