"""The likelihood of buy-till-you-die models over grouped rows, with its gradient.

Logarithms are taken once for each distinct day and gamma functions once for each distinct number of purchases; the rows
themselves only look those up. `tests/formulas` holds the gradient against finite differences.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln, psi

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

_most_table_days = 100_000


@dataclass(frozen=True)
class PurchaseRows:
    """Distinct rows of purchases, and how many customers share each.

    Attributes:
        x: Repeat purchase days.
        t_x: Days from the first purchase to the last.
        T: Days from the first purchase to today.
        weights: Customers.
    """

    x: Numbers
    t_x: Numbers
    T: Numbers
    weights: Numbers

    @cached_property
    def customers(self) -> float:
        """All of them."""
        return float(self.weights.sum())

    @property
    def mean_age(self) -> float:
        """Days from the first purchase to today, on average."""
        return float(self.weights @ self.T) / self.customers

    def rounded_to(self, days: float) -> "PurchaseRows":
        """The rows with their days rounded to multiples."""
        return _grouped(self.x, np.round(self.t_x / days) * days, np.round(self.T / days) * days, self.weights)


def group_rows(
    frequency: npt.ArrayLike, recency: npt.ArrayLike, age: npt.ArrayLike, weights: npt.ArrayLike | None
) -> PurchaseRows:
    """Rows of customers, the equal ones put together.

    Raises:
        ValueError: there are none, or some that no customer can have.
    """
    x, t_x, T = (np.asarray(column, dtype=np.float64) for column in (frequency, recency, age))
    if x.size == 0:
        raise ValueError("there are no rows to fit")
    possible = (x >= 0) & (t_x >= 0) & (t_x <= T) & ((x > 0) | (t_x == 0))
    if not (possible.all() and np.isfinite(T).all()):
        raise ValueError("rows must have 0 <= t_x <= T, and t_x = 0 where x = 0")
    return _grouped(x, t_x, T, None if weights is None else np.asarray(weights, dtype=np.float64))


def _grouped(x: Numbers, t_x: Numbers, T: Numbers, weights: Numbers | None) -> PurchaseRows:
    tables, places = zip(*(_table(column) for column in (x, t_x, T)), strict=True)
    _, days_t, days_T = (len(table) for table in tables)
    key = (places[0] * days_t + places[1]) * days_T + places[2]
    if weights is None:
        distinct, counts = np.unique(key, return_counts=True)
        sums = counts.astype(np.float64)
    else:
        distinct, where = np.unique(key, return_inverse=True)
        sums = _sums(where, weights, len(distinct))
    rest, place_T = np.divmod(distinct, days_T)
    place_x, place_t = np.divmod(rest, days_t)
    return PurchaseRows(tables[0][place_x], tables[1][place_t], tables[2][place_T], sums)


def _table(values: Numbers) -> tuple[Numbers, Places]:
    """A rising table that has every value, and the place of each one in it: for whole numbers, the number itself."""
    whole = values.astype(np.int64)
    high = int(whole.max())
    if high <= _most_table_days and np.array_equal(whole, values):
        return np.arange(high + 1, dtype=np.float64), whole
    table, places = np.unique(values, return_inverse=True)
    return table, places.astype(np.int64)


def _sums(places: Places, values: Numbers, count: int) -> Numbers:
    """By place, the sum of its values."""
    return np.asarray(np.bincount(places, values, count), dtype=np.float64)


class PurchaseLikelihood:
    """The mean log-likelihood of rows by the logarithms of `r`, `alpha`, `a`, `b`.

    With n = r + x, the likelihood of a row is (Fader, Hardie, Lee 2005, equation 6, and Batislam and others 2007,
    equation 4, with their common factors taken out):

        G(n) alpha^r / G(r) x B(a, b + x) / B(a, b) x (alpha + T)^-n
            x (active + stopped ((alpha + T) / (alpha + t_x))^n)

    where for BG/NBD active = 1 and stopped = a / (b + x - 1), nothing for x = 0; and for MBG/NBD
    active = (b + x) / (a + b + x) and stopped = a / (a + b + x).
    """

    def __init__(self, rows: PurchaseRows, model: Literal["mbgnbd", "bgnbd"], unit_days: float) -> None:
        self._model = model
        self._customers = rows.customers
        self._weights = rows.weights
        self._purchases, self._at_x = _table(rows.x)
        self._x_weights = _sums(self._at_x, rows.weights, len(self._purchases))
        last, self._at_last = _table(rows.t_x)
        today, self._at_today = _table(rows.T)
        self._last, self._today = last / unit_days, today / unit_days

    def mean_and_gradient(self, logs: Numbers) -> tuple[float, Numbers]:
        """The mean log-likelihood of a customer, and how it changes with each logarithm."""
        r, alpha, a, b = np.exp(logs)
        x, counted = self._purchases, self._x_weights
        n, active, stopped = r + x, *self._odds(a, b)
        log_today, log_last = np.log(alpha + self._today)[self._at_today], np.log(alpha + self._last)[self._at_last]
        silence = log_today - log_last
        exponent = n[self._at_x] * silence + (np.log(stopped) - np.log(active))[self._at_x]
        # log(1 + e^exponent), and the chance that the customer has stopped, without overflow
        decay = np.exp(-np.abs(exponent))
        gone = np.where(exponent >= 0, 1.0, decay) / (1.0 + decay)
        either = np.maximum(exponent, 0.0) + np.log1p(decay)
        weighted_gone = self._weights * gone
        x_gone = _sums(self._at_x, weighted_gone, len(x))
        x_today = _sums(self._at_x, self._weights * log_today, len(x))
        value = (
            counted @ (gammaln(n) - gammaln(r) + r * logs[1] + betaln(a, b + x) - betaln(a, b) + np.log(active))
            - n @ x_today
            + self._weights @ either
        )
        shared = psi(a + b) - psi(a + b + x)
        d_r = counted @ (psi(n) - psi(r) + logs[1]) - x_today.sum() + weighted_gone @ silence
        d_a = counted @ shared + self._slopes_of_odds_a(a, b, x_gone)
        d_b = counted @ (shared + psi(b + x) - psi(b)) + self._slopes_of_odds_b(a, b, x_gone)
        d_alpha = self._customers * r / alpha + self._slope_of_days(alpha, n, weighted_gone)
        gradient = np.array([d_r, d_alpha, d_a, d_b]) * (r, alpha, a, b)
        return float(value) / self._customers, gradient / self._customers

    def _slope_of_days(self, alpha: float, n: Numbers, weighted_gone: Numbers) -> float:
        """How the powers of alpha + T and alpha + t_x change with alpha."""
        powers = n[self._at_x]
        today = _sums(self._at_today, powers * (weighted_gone - self._weights), len(self._today))
        last = _sums(self._at_last, powers * weighted_gone, len(self._last))
        return float(today @ (1.0 / (alpha + self._today)) - last @ (1.0 / (alpha + self._last)))

    def _odds(self, a: float, b: float) -> tuple[Numbers, Numbers]:
        """By number of purchases: the factors `active` and `stopped`."""
        x = self._purchases
        if self._model == "mbgnbd":
            return (b + x) / (a + b + x), a / (a + b + x)
        return np.ones_like(x), np.where(x > 0, a / np.where(x > 0, b + x - 1.0, 1.0), np.finfo(np.float64).tiny)

    def _slopes_of_odds_a(self, a: float, b: float, x_gone: Numbers) -> float:
        """How the factors change with `a`, given how many of each number of purchases have stopped."""
        slope = x_gone.sum() / a
        if self._model == "mbgnbd":
            slope -= self._x_weights @ (1.0 / (a + b + self._purchases))
        return float(slope)

    def _slopes_of_odds_b(self, a: float, b: float, x_gone: Numbers) -> float:
        """As `_slopes_of_odds_a()`, with `b`."""
        x = self._purchases
        if self._model == "mbgnbd":
            return float((self._x_weights - x_gone) @ (1.0 / (b + x)) - self._x_weights @ (1.0 / (a + b + x)))
        return -float(x_gone[1:] @ (1.0 / (b + x[1:] - 1.0)))
