"""Between which amounts a customer's spending in the next days lies, with a given chance.

Given that a customer is active, the number of purchases ahead follows from what the two models know of them: at least y
are made if the rate allows y of them and the customer does not stop after any of the first y - 1,

    P(Y >= y) = I(z; y, r + x) B(a, b' + y - 1) / B(a, b'),    z = horizon / (alpha + T + horizon)

with I the regularised incomplete beta function and b' = b + x, for MBG/NBD b + x + 1. Given y, the amount is that of a
gamma variable of shape p y over one of shape p n + q, times gamma plus what the n purchases so far came to (gamma-gamma
model; n = x + 1). Both are drawn at the same evenly spread points for everyone, so that a range depends on
nothing but the customer; that the parameters themselves are estimates is left out.
"""

from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaln, ndtri

from regulars.formulas.buytilldie import Parameters, probability_alive
from regulars.formulas.gammagamma import ValueParameters

Numbers: TypeAlias = npt.NDArray[np.float64]

_draws = 512
_exact_purchases = 20.0
_rows_at_once = 1000
_step = 0.03
_least_rate = 1e-150  # a draw from a gamma of a tiny shape is 0 to the last digit of a float
_most_steps = 10_000.0
_single_purchases, _purchase_step, _most_purchases = 64, 0.05, 1e6


def spending_range(
    purchases: Parameters,
    values: ValueParameters,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: float,
    share: float = 0.8,
) -> tuple[Numbers, Numbers]:
    """The lower and the upper end, each to be multiplied by `gamma` plus the customer's spending so far.

    Outside lie the lowest and the highest amounts, equally likely. Most customers of most shops have a good chance to
    spend nothing, so that many ranges begin, and some end, at 0. To have few kinds of customers, alpha + T, and x above
    20, are rounded to three percent.
    """
    x, t_x, age = np.broadcast_arrays(*(np.asarray(column, dtype=np.float64) for column in (x, t_x, T)))
    alive = probability_alive(purchases, x, t_x, age)
    bought, steps = _rounded(x), np.round(np.log(purchases.alpha + age / purchases.unit_days) / np.log1p(_step))
    low_step = steps.min() if steps.size else 0.0
    keys, kind_of = np.unique(bought * _most_steps + (steps - low_step), return_inverse=True)
    kinds = np.stack([keys // _most_steps, keys % _most_steps + low_step], axis=-1)
    kind_of = kind_of.reshape(x.shape)
    low, high = np.zeros(x.shape), np.zeros(x.shape)
    for first in range(0, len(kinds), _rows_at_once):
        now = (kind_of >= first) & (kind_of < first + _rows_at_once)
        some = kinds[first : first + _rows_at_once]
        drawn = _amounts_if_alive(purchases, values, some[:, 0], np.exp(some[:, 1] * np.log1p(_step)), horizon)
        low[now] = _quantile(drawn, kind_of[now] - first, alive[now], (1 - share) / 2)
        high[now] = _quantile(drawn, kind_of[now] - first, alive[now], (1 + share) / 2)
    return low, high


def _rounded(x: Numbers) -> Numbers:
    """Small numbers as they are, larger ones in steps."""
    steps = np.round(np.log(np.maximum(x, _exact_purchases) / _exact_purchases) / np.log1p(_step))
    return np.where(x <= _exact_purchases, x, np.round(_exact_purchases * (1.0 + _step) ** steps))


def _quantile(drawn: Numbers, kinds: npt.NDArray[np.int64], alive: Numbers, level: float) -> Numbers:
    """The amount below which spending lies with this chance, those who have stopped spending nothing."""
    among_alive = 1.0 - (1.0 - level) / np.maximum(alive, 1e-300)
    places = np.ceil(among_alive * drawn.shape[1]) - 1
    found = drawn[kinds, np.clip(places, 0, drawn.shape[1] - 1).astype(np.int64)]
    return np.where(among_alive > 0, found, 0.0)


def _amounts_if_alive(
    purchases: Parameters, values: ValueParameters, x: Numbers, alpha_and_age: Numbers, horizon: float
) -> Numbers:
    """Rising draws of the amount, one row for each kind of customer."""
    counts, amount, worth, boost = _points()
    bought = _purchases_if_alive(purchases, x, alpha_and_age, horizon, counts)
    orders = values.p * (x[:, None] + 1.0) + values.q
    rates = np.maximum(_gamma(orders, worth, boost), _least_rate)
    drawn = _gamma(values.p * np.maximum(bought, 1.0), amount, boost) / rates
    return np.sort(np.where(bought > 0, drawn, 0.0), axis=1)


def _purchases_if_alive(
    params: Parameters, x: Numbers, alpha_and_age: Numbers, horizon: float, chances: Numbers
) -> Numbers:
    """How many purchases each chance stands for: the largest y that is reached with at least that chance."""
    ahead = horizon / params.unit_days
    z = (ahead / (alpha_and_age + ahead))[:, None]
    stays = (params.b + x + (params.model == "mbgnbd"))[:, None]
    numbers = _numbers_of_purchases()
    reached = np.zeros((len(x), len(numbers)))
    for some in np.array_split(np.arange(len(numbers)), len(numbers) // 16):
        known = numbers[some]
        lasts = np.exp(betaln(params.a, stays + known - 1.0) - betaln(params.a, stays))
        reached[:, some] = betainc(known, params.r + x[:, None], z) * lasts
        if reached[:, some[-1]].max() < chances.min():
            break
    places = np.stack([np.searchsorted(-row, -chances, side="right") for row in reached])
    return np.concatenate([[0.0], numbers])[places]


def _gamma(shape: Numbers, normals: Numbers, uniforms: Numbers) -> Numbers:
    """Gamma variables from normal ones (Wilson, Hilferty 1931); below shape 1 by way of shape + 1, which is exact."""
    small = shape < 1
    lifted = np.where(small, shape + 1.0, shape)
    cube = 1.0 - 1.0 / (9.0 * lifted) + normals / (3.0 * np.sqrt(lifted))
    drawn = lifted * np.maximum(cube, 0.0) ** 3
    return np.asarray(np.where(small, drawn * uniforms ** (1.0 / np.minimum(shape, 1.0)), drawn))


@cache
def _points() -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Evenly spread points: for purchases, for their amount, for the customer's worth, for small shapes.

    Halton's sequence: the numbers 1, 2, 3, ... to the bases 2, 3, 5, 7, mirrored at the point.
    """
    counts, amount, worth, boost = (_mirrored(np.arange(1, _draws + 1), base) for base in (2, 3, 5, 7))
    return counts, ndtri(amount), ndtri(worth), boost


def _mirrored(numbers: npt.NDArray[np.int64], base: int) -> Numbers:
    digits = base ** np.arange(1, 13)
    return np.asarray((numbers[:, None] * base // digits % base / digits).sum(axis=1))


@cache
def _numbers_of_purchases() -> Numbers:
    """1, 2, 3, ..., then steps of five percent."""
    steps = np.log(_most_purchases / _single_purchases) / np.log1p(_purchase_step)
    tail = _single_purchases * (1.0 + _purchase_step) ** np.arange(1, int(steps) + 1)
    return np.concatenate([np.arange(1.0, _single_purchases + 1), np.round(tail)])
