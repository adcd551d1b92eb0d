import numpy as np
import numpy.typing as npt
import pytest

from regulars.formulas.climbing import climb, curvature_at, farthest

Numbers = npt.NDArray[np.float64]
peak = np.array([1.0, -0.5])


def hill(place: Numbers) -> tuple[float, Numbers]:
    """A bend, on top of which is `peak`."""
    away = place - peak
    slope = np.array([2 * away[0] + 4 * away[0] ** 3, 6 * away[1]])
    return -float(away[0] ** 2 + away[0] ** 4 + 3 * away[1] ** 2), -slope


def test_the_top_is_reached_from_afar() -> None:
    top = climb(hill, np.zeros(2), np.eye(2))
    assert top.converged
    assert top.place == pytest.approx(peak, abs=1e-8)


def test_the_curvature_is_that_of_the_hill() -> None:
    assert curvature_at(hill, peak) == pytest.approx(np.diag([0.5, 1 / 6]), abs=1e-6)


def test_where_there_is_no_hill_the_curvature_is_that_of_a_flat_one() -> None:
    assert curvature_at(lambda place: (float(place @ place) / 2, place), peak) == pytest.approx(np.eye(2) * 1e6)


def test_steps_that_lead_down_are_shortened() -> None:
    top = climb(hill, np.array([3.0, 3.0]), np.eye(2) * 100)
    assert top.converged
    assert top.place == pytest.approx(peak, abs=1e-8)


def test_a_climb_that_begins_in_a_valley_leads_out_of_it() -> None:
    def wave(place: Numbers) -> tuple[float, Numbers]:
        return float(np.cos(place).sum()), -np.sin(place)

    top = climb(wave, np.array([3.0]), np.eye(1) / 10)
    assert top.converged
    assert top.place == pytest.approx([0.0], abs=1e-8)


def test_where_the_function_rises_for_ever_the_edge_is_the_top() -> None:
    def ridge(place: Numbers) -> tuple[float, Numbers]:
        return float(place[0]) - float(place[1] - 1) ** 2, np.array([1.0, -2 * (place[1] - 1)])

    top = climb(ridge, np.zeros(2), np.eye(2))
    assert top.converged
    assert top.place == pytest.approx([farthest, 1], abs=1e-7)


def test_at_an_edge_the_climb_goes_on_along_it_as_straight_as_elsewhere() -> None:
    """The first parameter rises for ever and bends the second one's slope: what is known of both is taken apart."""
    seen: list[Numbers] = []

    def ridge(place: Numbers) -> tuple[float, Numbers]:
        seen.append(place)
        first, second = place[0] / farthest, place[1]
        away = second - 2 * first
        return first - away**2, np.array([1.0 + 4 * away, -2 * away * farthest]) / farthest

    top = climb(ridge, np.zeros(2), np.array([[1000.0, 200.0], [200.0, 41.0]]))
    assert top.converged
    assert top.place == pytest.approx([farthest, 2], abs=1e-7)
    assert len(seen) < 15


def test_a_top_that_can_never_be_reached_is_given_up() -> None:
    top = climb(lambda place: (float(np.sin(place[0] * 1e6)), np.array([np.nan, 1e-3])), np.zeros(2), np.eye(2))
    assert not top.converged


def test_a_function_that_belies_its_gradient_is_given_up() -> None:
    top = climb(lambda place: (-float(abs(place).sum()), np.ones(2)), np.zeros(2), np.eye(2))
    assert not top.converged
