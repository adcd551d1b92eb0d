"""The purchases of CDNOW as the models take them; the sample of the literature is `tests/spec/cdnow_sample.txt`."""

import lzma
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

calibrated_until = date(1997, 9, 30)


@dataclass(frozen=True)
class Shop:
    """One row for each customer: repeat purchase days, days to the last, days to the end, mean of the repeat days."""

    x: npt.NDArray[np.float64]
    t_x: npt.NDArray[np.float64]
    T: npt.NDArray[np.float64]
    mean_repeat: npt.NDArray[np.float64]


def cdnow(*, sample: bool) -> Shop:
    """The first 39 weeks of all customers, or of the sample's."""
    packed = files("regulars.demo") / "data" / "cdnow.txt.xz"
    lines = lzma.decompress(packed.read_bytes()).decode("ascii").splitlines()[1:]
    wanted = _sample() if sample else None
    days: dict[int, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for line in lines:
        customer, day, _, amount = line.split()
        if wanted is None or int(customer) in wanted:
            days[int(customer)][date.fromisoformat(day)] += float(amount)
    return Shop(*np.array([_row(bought) for bought in days.values()]).T)


def _sample() -> set[int]:
    text = (Path(__file__).parent.parent / "spec" / "cdnow_sample.txt").read_text(encoding="ascii")
    return {int(number) for number in text.split()}


def _row(bought: dict[date, float]) -> tuple[float, float, float, float]:
    first, *repeats = sorted(day for day in bought if day <= calibrated_until)
    last = repeats[-1] if repeats else first
    mean = _mean(bought[day] for day in repeats)
    return len(repeats), (last - first).days, (calibrated_until - first).days, mean


def _mean(amounts: Iterable[float]) -> float:
    found = list(amounts)
    return sum(found) / len(found) if found else 0.0
