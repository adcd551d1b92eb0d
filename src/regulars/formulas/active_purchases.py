"""How many purchases to expect of a customer who is active: one integral, computed in two ways.

With p the chance to stop after a purchase, a beta variable with parameters `a` and `stays`, and n = r + x:

    E = mean over p of g(p),    g(p) = (1 - (1 + p reach)^-n) / p,    reach = horizon / (alpha + T)

The literature writes it by a hypergeometric function (2005, equation 10; 2007, equation 6), which is fast and, among
ordinary parameters, exact to nine digits. Far from there it loses all of them. There the integral is summed up as it
stands; `tests/formulas/reference` holds exact values from everywhere in the box that a fit may search.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import hyp2f1

Numbers: TypeAlias = npt.NDArray[np.float64]

# Within these bounds the power series of the hypergeometric function was compared with the integral at 400,000 places:
# it is right to 2e-9 where at least so much is left of the one from which it is subtracted.
_most_r, _most_a, _most_b, _most_share = 10.0, 10.0, 100.0, 0.9
_least_left = 1e-5

_points = 96
_depth = 24.0
"""Logarithm of the largest term of the sum over those with which it begins and ends."""

_newton_steps = 12
_rows_at_once = 4096


def purchases_if_active(r: float, a: float, b: float, x: Numbers, stays: Numbers, reach: Numbers) -> Numbers:
    """Purchases to expect within the horizon.

    Args:
        r: Shape of the purchase rates.
        a: First parameter of the chances to stop.
        b: Second one, before any purchase.
        x: Repeat purchases.
        stays: The second one of customers who have made those and have not stopped.
        reach: The horizon over `alpha + T`.
    """
    x, stays, reach = np.broadcast_arrays(x, stays, reach)
    found = np.full(x.shape, np.nan)
    if r <= _most_r and a <= _most_a and b <= _most_b:
        found = _by_series(r, a, x, stays, reach)
    open_ = np.isnan(found)
    if open_.any():
        # T and x decide: among a shop's customers few are alone with theirs
        kinds, first, kind_of = np.unique(x[open_] + 1j * reach[open_], return_index=True, return_inverse=True)
        found[open_] = _by_sum(r + kinds.real, a, stays[open_][first], kinds.imag)[kind_of.reshape(-1)]
    return found


def _by_series(r: float, a: float, x: Numbers, stays: Numbers, reach: Numbers) -> Numbers:
    """By the hypergeometric function, where that can be trusted; elsewhere not a number.

    It is taken after Euler's transformation, in which the purchases stand in one argument only: the series then
    converges fast however many there are.
    """
    scale, share = a + stays - 1.0, reach / (1.0 + reach)
    with np.errstate(all="ignore"):
        series = hyp2f1(scale - r - x, a - 1.0, scale, np.minimum(share, _most_share))
        left = 1.0 - (1.0 - share) ** (a - 1.0) * series
        found = scale / np.float64(a - 1.0) * left
    return np.where((np.abs(left) >= _least_left) & (share <= _most_share), found, np.nan)


def _by_sum(n: Numbers, a: float, stays: Numbers, reach: Numbers) -> Numbers:
    """By the trapezoidal rule in v = log(p / (1 - p)).

    So that both ends fall off fast whatever the parameters, the mean is first taken, by parts, over the chances of a
    beta distribution with `a + 1` and `stays + 1`. With k(p) = p g(p) and c = a + stays + 1 it is then that of

        g (a / c + stays / (a + stays)) + a k' / ((a + stays) c) - stays (1 - p) g' / ((a + stays) c)

    in which no term is below 0, so that no digits are lost. The function is analytic up to pi from the real line, and
    the rule converges exponentially.
    """
    found = np.zeros(n.shape)
    for start in range(0, len(n), _rows_at_once):
        now = slice(start, start + _rows_at_once)
        found[now] = _summed(n[now], a, stays[now], reach[now])
    return found


def _summed(n: Numbers, a: float, stays: Numbers, reach: Numbers) -> Numbers:
    both, c = a + stays, a + stays + 1.0
    of_g, of_slope, of_k = a / c + stays / both, stays / (both * c), a / (both * c)
    place, end = _ends(n, a, stays, reach)
    step = (end - place) / (_points - 1)
    top = _log_weight(np.log((a + 1.0) / (stays + 1.0)), a, stays)
    total, weights = np.zeros(n.shape), np.zeros(n.shape)
    for _ in range(_points):
        odds = np.exp(place)
        rest = 1.0 / (1.0 + odds)
        p = odds * rest
        weight = np.exp(_log_weight(place, a, stays) - top)
        silent = n * np.log1p(p * reach)
        g = -np.expm1(-silent) / p
        k_slope = n * reach * np.exp(-silent) / (1.0 + p * reach)
        total += weight * (g * of_g + k_slope * of_k + np.maximum(g - k_slope, 0.0) / p * rest * of_slope)
        weights += weight
        place = place + step
    return total / weights


def _log_weight(v: Numbers, a: float, stays: Numbers) -> Numbers:
    """Of p^(a + 1) (1 - p)^(stays + 1), which is highest at log((a + 1) / (stays + 1))."""
    return np.asarray((a + 1.0) * v - (a + stays + 2.0) * np.logaddexp(0.0, v))


def _ends(n: Numbers, a: float, stays: Numbers, reach: Numbers) -> tuple[Numbers, Numbers]:
    """Where the terms of the sum are `_depth` below the highest.

    On the right the weight alone falls off faster than the terms do. On the left, for p above 1 / ((n + 1) reach) they
    may still grow, by the square of 1 / p at the most.
    """
    steepness = (n + 1.0) * reach
    middle = np.log((a + 1.0) / (stays + 1.0))
    top = _log_weight(middle, a, stays)
    with np.errstate(divide="ignore"):
        bend = np.minimum(middle, -np.log(steepness))
    highest = np.maximum(
        top - 2.0 * np.log1p(steepness / (1.0 + np.exp(-middle))), _log_weight(bend, a, stays) - 2.0 * np.log(2.0)
    )
    low, high = (highest - _depth) / (a + 1.0), (_depth - top) / (stays + 1.0)
    for _ in range(_newton_steps):  # from outside, on curves that bend down: they never overshoot
        low = low - _fall(low, a, stays, steepness, highest - _depth)
        high = high - _fall(high, a, stays, 0.0 * steepness, top - _depth)
    return low, high


def _fall(v: Numbers, a: float, stays: Numbers, steepness: Numbers, level: Numbers) -> Numbers:
    """Newton's step to where the logarithm of the terms has a level."""
    p = 1.0 / (1.0 + np.exp(-v))
    value = _log_weight(v, a, stays) - 2.0 * np.log1p(steepness * p)
    slope = (a + 1.0) - (a + stays + 2.0) * p - 2.0 * steepness * p * (1.0 - p) / (1.0 + steepness * p)
    return np.asarray((value - level) / slope)
