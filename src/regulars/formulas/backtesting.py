"""How good predictions of spending were, once the spending is known."""

from dataclasses import dataclass
from math import exp
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw

Numbers: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """Predictions against what came, over all customers.

    Attributes:
        bias: By how much of what all spent the predictions are too high together; None where nobody spent.
        mae: Mean absolute error of a customer.
        rmse: Root of the mean squared error of a customer.
        spearman: Correlation of the ranks, -1 to 1; None where either has only one value.
        gini: How well the ranking concentrates what came: 1 as well as can be, 0 like a ranking by lot; None where all
            spent the same.
        lift: What the best tenth by prediction spent, over what everyone did on average; None where nobody spent.
    """

    bias: float | None
    mae: float
    rmse: float
    spearman: float | None
    gini: float | None
    lift: float | None


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers by prediction: means of what was predicted and of what came."""

    customers: int
    predicted: float
    actual: float


@dataclass(frozen=True)
class Calibration:
    """Customers whose chances lie between two bounds: the mean chance, and the share for whom it came true."""

    lower: float
    upper: float
    customers: int
    predicted: float
    observed: float


def accuracy(predicted: Numbers, actual: Numbers) -> Accuracy:
    """The figures of one method. Customers with equal predictions share their places in every ranking.

    Raises:
        ValueError: there are no customers.
    """
    if not len(actual):
        raise ValueError("there are no predictions to measure")
    errors, total = predicted - actual, float(actual.sum())
    by_prediction, by_result = _centred_ranks(predicted), _centred_ranks(actual)
    spread = float(np.sqrt((by_prediction**2).sum() * (by_result**2).sum()))
    most = float(actual @ by_result)
    return Accuracy(
        bias=float(errors.sum()) / total if total > 0 else None,
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        spearman=float(by_prediction @ by_result) / spread if spread > 0 else None,
        gini=float(actual @ by_prediction) / most if most > 0 else None,
        lift=_mean_of_best(predicted, actual, len(actual) / 10) / (total / len(actual)) if total > 0 else None,
    )


def deciles(predicted: Numbers, actual: Numbers) -> list[Decile]:
    """The customers by prediction, the best tenth first; fewer parts if there are fewer than ten customers."""
    order = np.argsort(-predicted, kind="stable")
    parts = np.array_split(order, min(10, len(order))) if len(order) else []
    return [Decile(len(part), float(predicted[part].mean()), float(actual[part].mean())) for part in parts]


def calibration(chances: Numbers, came: npt.NDArray[np.bool_], parts: int = 10) -> list[Calibration]:
    """Chances by equally wide ranges from 0 to 1; ranges without customers are left out."""
    places = np.minimum((chances * parts).astype(np.int64), parts - 1)
    found = [(place, places == place) for place in range(parts)]
    return [
        Calibration(
            place / parts, (place + 1) / parts, int(here.sum()), float(chances[here].mean()), float(came[here].mean())
        )
        for place, here in found
        if here.any()
    ]


def fitting_lifespan(window_days: float, spent: float, rate: float) -> float | None:
    """The lifespan L with which customers would have been expected to spend what they did.

    Of `rate x L x (1 - exp(-W / L)) = spent`, with W the window; solved by Lambert's W function.

    Args:
        window_days: The window.
        spent: What they spent in it, together.
        rate: What they had spent per day before, together.

    Returns:
        Days; 0 if they spent nothing. None if they spent at least as much as before: then no lifespan is too long.
    """
    if spent <= 0:
        return 0.0
    kept = spent / (rate * window_days) if rate > 0 else 1.0
    if kept >= 1:
        return None
    if kept < 0.01:
        return kept * window_days  # exp(-1 / kept) is nothing
    lost = 1 / kept + float(lambertw(-exp(-1 / kept) / kept).real)
    return window_days / lost


def _centred_ranks(values: Numbers) -> Numbers:
    """Ranks less their mean, equal values sharing the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places] - (len(values) + 1) / 2)


def _mean_of_best(predicted: Numbers, actual: Numbers, count: float) -> float:
    """What the best so many by prediction have on average; of those equal to the last one, each counts in part."""
    edge = np.sort(predicted)[::-1][max(int(np.ceil(count)) - 1, 0)]
    above, at = predicted > edge, predicted == edge
    rest = (count - int(above.sum())) * float(actual[at].mean())
    return (float(actual[above].sum()) + rest) / count
