"""Finding the top of a smooth function of a few parameters, from its value and gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]
Slope: TypeAlias = Callable[[Numbers], tuple[float, Numbers]]
"""A function's value and gradient at a place."""

tolerance = 1e-8
"""A top is where no component of the gradient is larger."""

farthest = 9.0
"""No parameter goes further from 0: as a logarithm, beyond 8,100 times or below an 8,100th."""

_most_steps = 100
_difference = 1e-4
_flattest = 1e-6
_longest_step = 2.0
_most_halvings = 30
_noise = 1e-10
_inside = 1.0 + 1e-9


@dataclass(frozen=True)
class Top:
    """Where a climb ended.

    Attributes:
        place: The parameters.
        value: The function there.
        converged: Whether it is a top; otherwise the climb was given up.
    """

    place: Numbers
    value: float
    converged: bool


def bounds_reached(**parameters: float) -> dict[str, float]:
    """Those of the parameters, no logarithms, that stand where a climb may not go further."""
    least, most = np.exp(-farthest), np.exp(farthest)
    return {name: value for name, value in parameters.items() if not least * _inside < value < most / _inside}


def curvature_at(slope: Slope, place: Numbers) -> Numbers:
    """The inverse of the (negative) second derivatives, from differences of the gradient.

    Where the function is not curved like a hill, as it should be near a top, it is taken for a flat one.
    """
    steps = np.eye(len(place)) * _difference
    bends = np.array([(slope(place - step)[1] - slope(place + step)[1]) / (2 * _difference) for step in steps])
    powers, directions = np.linalg.eigh((bends + bends.T) / 2)
    return np.asarray(directions / np.maximum(powers, _flattest) @ directions.T)


def climb(slope: Slope, place: Numbers, curvature: Numbers) -> Top:
    """Quasi-Newton steps (Broyden, Fletcher, Goldfarb, Shanno) until the gradient vanishes.

    The climb stays within `farthest`. Where the function still rises there, the edge is its top: parameters that would
    go on for ever say that something never happens, such as that a customer stops. It is for the caller to decide
    whether those can be used; `bounds_reached()` names them.

    Args:
        slope: The function.
        place: Where to begin.
        curvature: The inverse of the (negative) second derivatives around there, roughly; the steps improve it.
    """
    value, gradient = slope(place)
    is_fresh = False
    for _ in range(_most_steps):
        free = (np.abs(place) < farthest) | (gradient * place < 0)
        if np.abs(gradient[free]).max(initial=0.0) < tolerance:
            return Top(place, value, converged=True)
        step = np.zeros_like(place)
        step[free] = _among(free, curvature) @ gradient[free]
        found = _uphill(slope, place, value, step * min(1.0, _longest_step / float(np.abs(step).max())))
        if found is None:
            if is_fresh:
                break
            curvature, is_fresh = np.eye(len(place)), True
            continue
        higher, value, steeper = found
        curvature, is_fresh = _updated(curvature, higher - place, gradient - steeper), False
        place, gradient = higher, steeper
    return Top(place, value, converged=False)


def _among(free: npt.NDArray[np.bool_], curvature: Numbers) -> Numbers:
    """The inverse of the second derivatives by the free parameters, while the others stand still at the edge."""
    return np.asarray(np.linalg.inv(np.linalg.inv(curvature)[np.ix_(free, free)]))


def _uphill(slope: Slope, place: Numbers, value: float, step: Numbers) -> tuple[Numbers, float, Numbers] | None:
    """The place after a step, halved until it does not lead down, and the function there. None if it always does."""
    for _ in range(_most_halvings):
        higher = np.clip(place + step, -farthest, farthest)
        height, gradient = slope(higher)
        if height >= value - _noise:
            return higher, height, gradient
        step = step / 2
    return None


def _updated(curvature: Numbers, step: Numbers, change: Numbers) -> Numbers:
    """The curvature after what a step has shown of it; as before where the function is not curved that way."""
    bend = float(step @ change)
    if bend <= 0:
        return curvature
    left = np.eye(len(step)) - np.outer(step, change) / bend
    return np.asarray(left @ curvature @ left.T + np.outer(step, step) / bend)
