"""How often customers will buy again: they buy at a rate of their own until, unseen, they stop.

Two models of the same family. Both let rates differ as a gamma distribution (shape `r`, rate `alpha`) and the chance to
stop after a purchase as a beta distribution (`a`, `b`). With `bgnbd` nobody stops before a second purchase; with
`mbgnbd` that may happen after the first one already, as most one-time customers suggest.

* P. Fader, B. Hardie, K. L. Lee: "Counting Your Customers" the Easy Way, Marketing Science 24 (2005): BG/NBD.
* E. P. Batislam, M. Denizel, A. Filiztekin: Empirical validation and comparison of models for customer base analysis,
  International Journal of Research in Marketing 24 (2007): MBG/NBD.

What is known of a customer: `x` repeat purchase days, `t_x` days from the first purchase to the last one, `T` days from
the first one to today. Days everywhere, as arrays or single numbers; only the parameters count in `unit_days`.
"""

from dataclasses import dataclass
from math import nan
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from regulars.formulas.active_purchases import purchases_if_active
from regulars.formulas.climbing import bounds_reached, climb, curvature_at
from regulars.formulas.purchase_likelihood import PurchaseLikelihood, group_rows

Model: TypeAlias = Literal["mbgnbd", "bgnbd"]
Numbers: TypeAlias = npt.NDArray[np.float64]

rough_days = 30
"""Width of the bins on which a fit begins."""

discount_days = 30
"""Length of the periods by which purchases are discounted."""

days_per_year = 365


@dataclass(frozen=True)
class Fitted:
    """The parameters of a model.

    Attributes:
        r: Shape of the purchase rates.
        alpha: Rate parameter of the purchase rates, in units.
        a: First parameter of the chances to stop.
        b: Second one.
        log_likelihood: Of the data that were fitted, with time in units.
        converged: Whether a fit ended at a maximum, which may lie at a bound of the search.
        model: Whose parameters these are.
        unit_days: Length of the unit in days; 7 for parameters per week, as in the literature.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = nan
    converged: bool = True
    model: Model = "mbgnbd"
    unit_days: float = 7.0

    @property
    def bounds_reached(self) -> dict[str, float]:
        """The parameters that stand at the bound of the search: the orders do not say what they are."""
        return bounds_reached(r=self.r, alpha=self.alpha, a=self.a, b=self.b)


class Parameters(Protocol):
    """What the formulas read of the parameters: a `Fitted`, or anything of this shape."""

    @property
    def r(self) -> float:
        """Shape of the purchase rates."""

    @property
    def alpha(self) -> float:
        """Rate parameter of the purchase rates, in units."""

    @property
    def a(self) -> float:
        """First parameter of the chances to stop."""

    @property
    def b(self) -> float:
        """Second one."""

    @property
    def model(self) -> Model:
        """Whose parameters these are."""

    @property
    def unit_days(self) -> float:
        """Length of the unit in days."""


def fit(
    frequency: npt.ArrayLike,
    recency: npt.ArrayLike,
    age: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    model: Model = "mbgnbd",
    unit_days: float = 7.0,
) -> Fitted:
    """The parameters under which the data are likeliest.

    The search begins on days rounded to `rough_days`, where it is cheap, and takes the place and the curvature it finds
    there to the exact rows: few steps are left to take over those.

    Args:
        frequency: `x` of each row: repeat purchase days.
        recency: `t_x` of each row, in days.
        age: `T` of each row, in days.
        weights: How many customers a row stands for; 1 each if not given.
        model: Which one to fit.
        unit_days: Length of the unit of the parameters, in days.

    Raises:
        ValueError: there are no rows, or rows that no customer can have: 0 <= t_x <= T, and t_x = 0 if x = 0.
    """
    rows = group_rows(frequency, recency, age, weights)
    rough = PurchaseLikelihood(rows.rounded_to(rough_days), model, unit_days)
    exact = PurchaseLikelihood(rows, model, unit_days)
    anywhere = np.log([1.0, rows.mean_age / unit_days + 1.0, 1.0, 2.0])
    start = climb(rough.mean_and_gradient, anywhere, np.eye(4)).place
    top = climb(exact.mean_and_gradient, start, curvature_at(rough.mean_and_gradient, start))
    r, alpha, a, b = np.exp(top.place).tolist()
    return Fitted(r, alpha, a, b, top.value * rows.customers, top.converged, model, unit_days)


def expected_purchases(
    params: Parameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
) -> Numbers:
    """How many purchases to expect in the next days (2005, equation 10; 2007, equation 6)."""
    x, ahead = _numbers(x), _numbers(horizon) / params.unit_days
    reach = ahead / (params.alpha + _numbers(T) / params.unit_days)
    stays = params.b + x + (params.model == "mbgnbd")
    active = purchases_if_active(params.r, params.a, params.b, x, stays, reach)
    return _numbers(probability_alive(params, x, t_x, T) * active)


def discounted_purchases(
    params: Parameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: float,
    yearly_rate: float,
) -> Numbers:
    """As `expected_purchases()`, each purchase worth less by a rate for every year it lies ahead.

    Purchases count as made in the middle of the month (of `discount_days`) in which they are expected.
    """
    if yearly_rate == 0:
        return expected_purchases(params, x, t_x, T, horizon)
    total, before = _numbers(0.0), _numbers(0.0)
    for start in np.arange(0.0, horizon, discount_days):
        end = min(start + discount_days, horizon)
        so_far = expected_purchases(params, x, t_x, T, end)
        total = total + (so_far - before) * (1.0 + yearly_rate) ** (-(start + end) / 2 / days_per_year)
        before = so_far
    return total


def probability_alive(
    params: Parameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
) -> Numbers:
    """The chance that a customer has not stopped (2005, in equation 10; 2007, equation 5).

    No measure of churn: under `bgnbd` it is 1 for everyone who bought once. See `probability_of_purchase()`.
    """
    x, last = _numbers(x), _numbers(t_x) / params.unit_days
    silent = _numbers(T) / params.unit_days - last
    silence = (params.r + x) * np.log1p(silent / (params.alpha + last))
    stops = params.b + x if params.model == "mbgnbd" else np.where(x > 0, params.b + (x - 1.0), np.inf)
    return _numbers(expit(np.log(stops) - np.log(params.a) - silence))


def probability_of_purchase(
    params: Parameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
) -> Numbers:
    """The chance of a purchase in the next days: active, and the next one comes in time. One minus the churn risk."""
    age, ahead = _numbers(T) / params.unit_days, _numbers(horizon) / params.unit_days
    comes = -np.expm1((params.r + _numbers(x)) * -np.log1p(ahead / (params.alpha + age)))
    return _numbers(probability_alive(params, x, t_x, T) * comes)


def median_wait(params: Parameters, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Numbers:
    """Days in which a customer who is active buys with a chance of one half; infinite beyond what a float can hold.

    When the last purchase was (`t_x`) tells whether the customer is active, and for one who is nothing more.
    """
    _, x, T = np.broadcast_arrays(t_x, x, T)
    with np.errstate(over="ignore"):
        factor = np.expm1(np.log(2.0) / (params.r + _numbers(x)))
    return _numbers(params.unit_days * (params.alpha + _numbers(T) / params.unit_days) * factor)


def wait_for_purchase(
    params: Parameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    chance: float = 0.5,
) -> Numbers:
    """Days after which a customer has bought with this chance; infinite if that is not to be expected at all.

    It is to be expected only of those who are active with a greater chance than that.
    """
    left = 1.0 - chance / np.maximum(probability_alive(params, x, t_x, T), chance)
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.expm1(-np.log(left) / (params.r + _numbers(x)))
    return _numbers(params.unit_days * (params.alpha + _numbers(T) / params.unit_days) * factor)


def _numbers(values: Any) -> Numbers:  # noqa: ANN401 - what NumPy takes for an array
    return np.asarray(values, dtype=np.float64)
