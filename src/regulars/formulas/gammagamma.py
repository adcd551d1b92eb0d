"""What a customer's purchases are worth on average: the gamma-gamma model.

A customer's purchases vary as a gamma distribution of shape `p` around a mean of their own, and those means vary among
customers as an inverse gamma distribution (shape `q`, scale `p x gamma`).

P. Fader, B. Hardie: The Gamma-Gamma Model of Monetary Value, http://www.brucehardie.com/notes/025/ (2013).
"""

from dataclasses import dataclass
from math import isnan, nan
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, psi

from regulars.formulas.climbing import bounds_reached, climb

Numbers: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FittedValues:
    """The parameters of the model.

    Attributes:
        p: Shape of a customer's purchases.
        q: Shape of the means of customers; without an expectation unless above 1.
        gamma: Scale of both, in money.
        log_likelihood: Of the data that were fitted.
        converged: Whether a fit ended at a maximum, which may lie at a bound of the search.
        scale: The mean purchase, in which the search counts money; not a number if there was none.
    """

    p: float
    q: float
    gamma: float
    log_likelihood: float = nan
    converged: bool = True
    scale: float = nan

    @property
    def bounds_reached(self) -> dict[str, float]:
        """The parameters that stand at the bound of the search: the orders do not say what they are."""
        found = bounds_reached(p=self.p, q=self.q)
        if not isnan(self.scale) and bounds_reached(gamma=self.gamma / self.scale):
            found["gamma"] = self.gamma
        return found


class ValueParameters(Protocol):
    """What the formulas read of the parameters: `FittedValues`, or anything of this shape."""

    @property
    def p(self) -> float:
        """Shape of a customer's purchases."""

    @property
    def q(self) -> float:
        """Shape of the means of customers."""

    @property
    def gamma(self) -> float:
        """Scale of both, in money."""


def fit(order_counts: npt.ArrayLike, mean_values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> FittedValues:
    """The parameters under which the means are likeliest.

    Args:
        order_counts: Of how many purchases each mean is made.
        mean_values: The means, above 0.
        weights: How many customers a row stands for; 1 each if not given.

    Raises:
        ValueError: there are no rows, or a count or mean that is not above 0.
    """
    counts, means = np.asarray(order_counts, dtype=np.float64), np.asarray(mean_values, dtype=np.float64)
    if counts.size == 0:
        raise ValueError("there are no rows to fit")
    if not ((counts > 0).all() and (means > 0).all()):
        raise ValueError("order counts and mean values must be above 0")
    rows = ValueLikelihood(counts, means, np.ones_like(counts) if weights is None else np.asarray(weights, np.float64))
    top = climb(rows.mean_and_gradient, np.log([2.0, 3.0, 1.0]), np.eye(3))
    p, q, gamma = np.exp(top.place).tolist()
    likelihood = top.value * rows.customers - rows.log_scales
    return FittedValues(p, q, gamma * rows.scale, likelihood, top.converged, rows.scale)


def expected_mean(params: ValueParameters, x: npt.ArrayLike, mean: npt.ArrayLike) -> Numbers:
    """The expected worth of a customer's purchases (2013, equation 5).

    Args:
        params: The parameters.
        x: How many purchases are known; with none, everyone's mean is expected.
        mean: Their mean; not looked at where there are none.
    """
    x, mean = np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    spent = np.where(x > 0, x * mean, 0.0)
    weight = params.p * x + (params.q - 1.0)
    with np.errstate(divide="ignore"):
        return np.where(weight > 0, params.p * (params.gamma + spent) / weight, np.inf)


class ValueLikelihood:
    """The mean log-likelihood of means by the logarithms of `p`, `q`, `gamma` (2013, equation 1a).

    Money is counted in mean purchases, so that a fit does not depend on the currency.
    """

    def __init__(self, counts: Numbers, means: Numbers, weights: Numbers) -> None:
        self.customers = float(weights.sum())
        self.scale = float(weights @ means) / self.customers
        self.log_scales = self.customers * float(np.log(self.scale))
        self._weights = weights
        self._counts, self._at = np.unique(counts, return_inverse=True)
        self._with_count = np.bincount(self._at, weights)
        self._means_of = np.bincount(self._at, weights * np.log(means / self.scale))
        self._spent = counts * (means / self.scale)

    def mean_and_gradient(self, logs: Numbers) -> tuple[float, Numbers]:
        """The mean log-likelihood of a customer, and how it changes with each logarithm."""
        p, q, gamma = np.exp(logs)
        n, customers, powers = self._counts, self._with_count, p * self._counts
        total = gamma + self._spent
        totals_of = np.bincount(self._at, self._weights * np.log(total), len(n))
        parts_of = np.bincount(self._at, self._weights / total, len(n))
        value = (
            customers @ (gammaln(powers + q) - gammaln(powers) - gammaln(q) + q * logs[2] + powers * np.log(n))
            + (powers - 1.0) @ self._means_of
            - (powers + q) @ totals_of
        )
        d_p = n @ (customers * (psi(powers + q) - psi(powers) + np.log(n)) + self._means_of - totals_of)
        d_q = customers @ (psi(powers + q) - psi(q) + logs[2]) - totals_of.sum()
        d_gamma = self.customers * q / gamma - (powers + q) @ parts_of
        gradient = np.array([d_p, d_q, d_gamma]) * (p, q, gamma)
        return float(value) / self.customers, gradient / self.customers
