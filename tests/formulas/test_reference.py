"""The formulas against the exact values that `reference/make_table.py` computed, from all over the box of a search."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from regulars.formulas.buytilldie import (
    Fitted,
    discounted_purchases,
    expected_purchases,
    median_wait,
    probability_alive,
    probability_of_purchase,
    wait_for_purchase,
)
from regulars.formulas.climbing import farthest
from regulars.formulas.gammagamma import FittedValues, expected_mean
from regulars.formulas.spending import spending_range

Row: TypeAlias = dict[str, Any]


def table(name: str) -> list[Row]:
    """Its rows, all numbers but the model."""
    with (Path(__file__).parent / "reference" / name).open(newline="", encoding="utf-8") as lines:
        return [
            {name: text if name == "model" else float(text) for name, text in row.items()}
            for row in csv.DictReader(lines)
        ]


purchases, order_values = table("purchases.csv"), table("values.csv")


def params_of(row: Row) -> Fitted:
    return Fitted(row["r"], row["alpha"], row["a"], row["b"], model=row["model"])


def known_of(row: Row) -> tuple[float, float, float]:
    return row["x"], row["t_x"], row["T"]


def require(rows: list[Row], found: Callable[[Row], Any], exact: Callable[[Row], float]) -> None:
    """Each value to a millionth, and all of them numbers."""
    wrong = [
        (row, value, exact(row))
        for row in rows
        for value in [float(found(row))]
        if not abs(value - exact(row)) <= 1e-6 * exact(row) + 1e-12
    ]
    assert not wrong, f"{len(wrong)} of {len(rows)}, the first: {wrong[0]}"


def test_the_table_covers_the_box_and_the_customers_of_a_long_history() -> None:
    for name in ("r", "alpha", "a", "b"):
        logs = np.log([row[name] for row in purchases])
        assert logs.min() < -farthest + 1e-5
        assert logs.max() > farthest - 1e-5
    sets = {(row["model"], row["r"], row["alpha"], row["a"], row["b"]) for row in purchases}
    assert len(sets) > 2000
    assert {row["model"] for row in purchases} == {"mbgnbd", "bgnbd"}
    assert max(row["x"] for row in purchases) == 2000
    assert max(row["T"] for row in purchases) == 10_000


def test_expected_purchases_are_exact_all_over_the_box() -> None:
    require(
        purchases,
        lambda row: expected_purchases(params_of(row), *known_of(row), row["horizon"]),
        lambda row: row["alive"] * row["expected_if_alive"],
    )


def test_they_are_exact_of_customers_too_who_have_surely_stopped() -> None:
    """Of one just seen, the same number is expected if active; only that can be told where the chance is nearly 0."""
    seen = [row | {"t_x": row["T"]} for row in purchases if row["x"] > 0]
    require(
        seen,
        lambda row: (
            expected_purchases(params_of(row), *known_of(row), row["horizon"])
            / probability_alive(params_of(row), *known_of(row))
        ),
        lambda row: row["expected_if_alive"],
    )


def test_chances_are_exact_all_over_the_box() -> None:
    require(purchases, lambda row: probability_alive(params_of(row), *known_of(row)), lambda row: row["alive"])
    require(
        purchases,
        lambda row: probability_of_purchase(params_of(row), *known_of(row), row["horizon"]),
        lambda row: row["alive"] * row["chance_if_alive"],
    )


def test_the_worth_of_an_order_is_exact_all_over_the_box() -> None:
    assert len(order_values) > 200
    require(
        order_values,
        lambda row: expected_mean(FittedValues(row["p"], row["q"], row["gamma"]), row["x"], row["mean"]),
        lambda row: row["expected_mean"],
    )


@pytest.mark.parametrize(
    ("model", "params", "known", "expected"),
    [
        ("mbgnbd", (2.16, 2.51, 1061, 8103), (0, 0, 0), 7.1009),
        ("mbgnbd", (0.0278, 0.978, 7726, 8103), (0, 0, 100), 0.02717),
        ("mbgnbd", (0.9399016826, 0.3926713959, 147.1949879, 0.5025300958), (0, 0, 0), 0.0034026),
        ("bgnbd", (3.4815, 8.5727, 4548.4, 11.938), (0, 0, 2000), 0.43366),
    ],
)
def test_values_that_were_wrong_once(model: Any, params: Any, known: Any, expected: float) -> None:
    assert float(expected_purchases(Fitted(*params, model=model), *known, 365)) == pytest.approx(expected, rel=2e-4)


def test_a_fit_that_ran_into_its_bound_expects_more_of_a_longer_horizon() -> None:
    params = Fitted(1.1368, 31.5046, 1921.08, 8103.08)
    found = expected_purchases(params, 0, 0, 259, np.arange(0.0, 3650.0, 5.0))
    assert found[0] == 0
    assert (np.diff(found) > 0).all()


def test_what_follows_from_them_is_a_number_all_over_the_box() -> None:
    """A wait may be longer than any number, and may not end at all: that is infinite and nothing else."""
    for row, values in zip(purchases[::9], [*order_values, *order_values], strict=False):
        params, known = params_of(row), known_of(row)
        plain = float(expected_purchases(params, *known, row["horizon"]))
        discounted = float(discounted_purchases(params, *known, row["horizon"], 0.1))
        assert 0 <= discounted <= plain * (1 + 1e-9) + 1e-12
        assert median_wait(params, *known) > 0
        assert wait_for_purchase(params, *known) > 0
        worth = FittedValues(values["p"], values["q"], values["gamma"])
        low, high = spending_range(params, worth, *known, row["horizon"])
        assert np.isfinite([low, high]).all()
        assert 0 <= low <= high
