import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.formulas.backtesting import accuracy, calibration, deciles, fitting_lifespan
from regulars.formulas.clv import CLVRules, window_share
from regulars.formulas.rfm import RFMSegment

spent = np.array([0.0, 0.0, 10.0, 30.0, 60.0])
amounts = st.lists(st.floats(0, 1e6), min_size=2, max_size=40)


def test_a_perfect_prediction_is_perfect_in_every_figure() -> None:
    found = accuracy(spent, spent)
    assert (found.bias, found.mae, found.rmse) == (0, 0, 0)
    assert [found.spearman, found.gini] == pytest.approx([1, 1])
    assert found.lift == 3.0


def test_figures_are_those_worked_out_by_hand() -> None:
    found = accuracy(np.array([10.0, 0.0, 20.0, 20.0, 100.0]), spent)
    assert found.bias == pytest.approx(0.5)
    assert found.mae == pytest.approx((10 + 10 + 10 + 40) / 5)
    assert found.rmse == pytest.approx(np.sqrt((100 + 100 + 100 + 1600) / 5))
    # ranks 2, 1, 3.5, 3.5, 5 against 1.5, 1.5, 3, 4, 5
    assert found.spearman == pytest.approx(9 / np.sqrt(9.5 * 9.5))
    assert found.gini == pytest.approx((0.5 * 10 + 0.5 * 30 + 2 * 60) / (0 * 10 + 1 * 30 + 2 * 60))


def test_an_order_turned_round_is_as_bad_as_can_be() -> None:
    found = accuracy(-np.arange(6.0), np.arange(6.0))
    assert [found.spearman, found.gini] == pytest.approx([-1, -1])


def test_who_is_predicted_alike_shares_the_places() -> None:
    found = accuracy(np.full(5, 7.0), spent)
    assert (found.spearman, found.gini, found.lift) == (None, pytest.approx(0), pytest.approx(1))


def test_without_spending_ratios_are_not_known() -> None:
    found = accuracy(np.array([1.0, 2.0]), np.zeros(2))
    assert (found.bias, found.gini, found.lift, found.spearman) == (None, None, None, None)
    assert found.mae == 1.5


def test_the_best_tenth_is_counted_in_parts_where_predictions_are_equal() -> None:
    predicted, actual = np.r_[np.full(4, 9.0), np.zeros(16)], np.r_[40.0, 0.0, 0.0, 0.0, np.zeros(16)]
    assert accuracy(predicted, actual).lift == pytest.approx(5)


def test_nobody_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        accuracy(np.array([]), np.array([]))
    assert deciles(np.array([]), np.array([])) == []


@given(predicted=amounts, seed=st.integers(0, 99))
def test_the_order_of_customers_changes_nothing(predicted: list[float], seed: int) -> None:
    chance = np.random.default_rng(seed)
    known, came = np.array(predicted), chance.gamma(1.0, size=len(predicted))
    mixed = chance.permutation(len(known))
    one, other = accuracy(known, came), accuracy(known[mixed], came[mixed])
    for name, figure in vars(one).items():
        assert (figure is None) == (vars(other)[name] is None)
        assert figure is None or figure == pytest.approx(vars(other)[name], rel=1e-9, abs=1e-9)


def test_deciles_fall_by_prediction_and_hold_everyone() -> None:
    predicted = np.arange(25.0)
    found = deciles(predicted, predicted * 2)
    assert sum(row.customers for row in found) == 25
    assert [row.predicted for row in found] == sorted((row.predicted for row in found), reverse=True)
    assert found[0].actual == 2 * found[0].predicted
    assert len(deciles(predicted[:3], predicted[:3])) == 3


def test_calibration_compares_chances_with_what_came() -> None:
    found = calibration(np.array([0.0, 0.05, 0.15, 1.0, 1.0]), np.array([False, True, True, True, False]))
    assert [(row.lower, row.upper, row.customers) for row in found] == [(0, 0.1, 2), (0.1, 0.2, 1), (0.9, 1, 2)]
    assert [row.observed for row in found] == [0.5, 1, 0.5]
    assert [row.predicted for row in found] == pytest.approx([0.025, 0.15, 1])


@pytest.mark.parametrize("segment", [RFMSegment.CHAMPION, RFMSegment.LOST])
@pytest.mark.parametrize("window_days", [30, 365, 2000])
def test_the_lifespan_that_is_found_is_the_one_that_was_used(segment: RFMSegment, window_days: int) -> None:
    lifespan = CLVRules().lifespan_of(segment)
    spent_by_all = 3.0 * float(lifespan * window_share(window_days, lifespan))
    assert fitting_lifespan(window_days, spent_by_all, 3.0) == pytest.approx(float(lifespan), rel=1e-9)


def test_lifespans_at_the_edges() -> None:
    assert fitting_lifespan(90, 0.0, 1.0) == 0
    assert fitting_lifespan(90, -5.0, 1.0) == 0
    assert fitting_lifespan(90, 90.0, 1.0) is None
    assert fitting_lifespan(90, 10.0, 0.0) is None
    assert fitting_lifespan(90, 0.09, 1.0) == pytest.approx(0.09)
