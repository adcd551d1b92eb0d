"""Fits of purchase models beside the package lifetimes: `python -m benchmarks.models --sizes 2357 23570 1000000`.

2,357 and 23,570 customers are CDNOW's first 39 weeks (every tenth of them, and all); larger shops are drawn from the
parameters that were fitted to those. lifetimes 0.11.3 runs in an environment of its own in the scratch folder, once as
its documentation has it and once fed with grouped rows; both sides begin with the same rows of customers, and ours
groups them within its time. Log-likelihoods of all parameters are computed by one exact function of ours.
"""

import argparse
import json
import lzma
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers import add_scratch_option, peers, python_of_peers
from benchmarks.report import Report, reported
from regulars.formulas.buytilldie import Model, fit
from regulars.formulas.purchase_likelihood import PurchaseLikelihood, group_rows

goals = {1_000_000: 25, 23_570: 10}
goal_higher = ">= -0.01"
models: tuple[Model, ...] = ("bgnbd", "mbgnbd")
calibrated_until = date(1997, 9, 30)
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """A row for each customer: repeat purchase days, days to the last one, days to today."""

    x: Numbers
    last: Numbers
    age: Numbers


def cdnow() -> Shop:
    """CDNOW's first 39 weeks."""
    packed = (files("regulars.demo") / "data" / "cdnow.txt.xz").read_bytes()
    days: dict[str, set[date]] = defaultdict(set)
    for line in lzma.decompress(packed).decode("ascii").splitlines()[1:]:
        customer, day, _, _ = line.split()
        if date.fromisoformat(day) <= calibrated_until:
            days[customer].add(date.fromisoformat(day))
    rows = [
        (len(bought) - 1, (max(bought) - min(bought)).days, (calibrated_until - min(bought)).days)
        for bought in days.values()
    ]
    return Shop(*np.array(rows, dtype=np.float64).T)


def drawn(count: int, seed: int) -> Shop:
    """Customers of 27 to 39 weeks who buy and stop as MBG/NBD has it, with parameters like CDNOW's."""
    chance = np.random.default_rng(seed)
    age = chance.integers(189, 273, count).astype(np.float64)
    rate, stop = chance.gamma(0.64, 1 / 7.3, count) / 7, chance.beta(0.81, 1.23, count)
    x, last, now = np.zeros(count), np.zeros(count), np.zeros(count)
    active = np.flatnonzero(chance.random(count) > stop)
    while len(active):
        now[active] += chance.exponential(1 / rate[active])
        active = active[now[active] < age[active]]
        day = np.floor(now[active])
        x[active] += day > last[active]
        last[active] = day
        active = active[chance.random(len(active)) > stop[active]]
    return Shop(x, last, age)


def shop_of(size: int, seed: int) -> Shop:
    """The shop of this size."""
    if size > 23_570:
        return drawn(size, seed)
    every = max(1, 23_570 // size)
    whole = cdnow()
    return Shop(*(column[::every][:size] for column in (whole.x, whole.last, whole.age)))


def fitted_beside(python: Path, shop: Shop) -> dict[str, Any]:
    """What lifetimes makes of the shop."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npz"
        np.savez(rows, x=shop.x, last=shop.last, age=shop.age)
        script = Path(__file__).with_name("beside_lifetimes.py")
        done = subprocess.run([python, script, rows], check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def log_likelihood(shop: Shop, model: Model, parameters: Mapping[str, float]) -> float:
    """Of parameters per week, by the exact function."""
    rows = group_rows(shop.x, shop.last, shop.age, None)
    logs = np.log([parameters[name] for name in ("r", "alpha", "a", "b")])
    return PurchaseLikelihood(rows, model, 7.0).mean_and_gradient(logs)[0] * rows.customers


def tell(report: Report, shop: Shop, model: Model, beside: Mapping[str, Any], rounds: int) -> None:
    """Our CPU seconds, the ratios to lifetimes, and by how much our log-likelihood is higher.

    Ours must not be lower than the other log-likelihood; it may be higher, where that search ended early.
    """
    seconds, ours = [], fit(shop.x, shop.last, shop.age, model=model)
    for _ in range(rounds):
        began = process_time()
        ours = fit(shop.x, shop.last, shop.age, model=model)
        seconds.append(process_time() - began)
    size = len(shop.x)
    about = f"{size:,} customers, {model}"
    report.add(f"{about}: CPU of a fit", [taken * 1000 for taken in seconds], unit="ms")
    for way, found in beside.items():
        goal = f">= {goals[size]}" if way == "documented" and size in goals else ""
        ratios = [found["cpu_seconds"] / taken for taken in seconds]
        report.add(f"{about}: CPU of lifetimes, {way}, beside it", ratios, goal=goal)
        if "failed" in found:
            report.details[f"{about}, lifetimes {way}"] = found["failed"]
            continue
        higher = ours.log_likelihood - log_likelihood(shop, model, found["parameters"])
        report.add(f"{about}: our log-likelihood above that of lifetimes, {way}", [higher], goal=goal_higher)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2357, 23_570])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    add_scratch_option(parser)
    given = parser.parse_args()
    python = python_of_peers(given.scratch)
    with reported("models", __doc__, given) as report:
        report.versions |= peers
        for size in given.sizes:
            shop = shop_of(size, given.seed)
            beside = fitted_beside(python, shop)
            for model in models:
                tell(report, shop, model, beside[model], given.rounds)


if __name__ == "__main__":
    main()
