"""What every benchmark says at its end: a table for people, then one JSON line of the same for the page.

A program measures inside of `with reported(...) as report`, and adds each figure with its value in every round.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any, Literal, TypeVar

import psutil

from benchmarks.machine import commit, our_versions
from benchmarks.server import cpu_of, local_server, settings_of
from regulars.kit.collector import collect_less_often

noisy_cores = 0.25
Verdict = Literal["", "met", "missed", "not judged at this size"]
Cost = TypeVar("Cost")


@dataclass(frozen=True)
class Figure:
    """The median of a figure over the rounds, its range, and what it should be.

    Attributes:
        goal: Reads `>= 0.4` or `<= 30`; empty where nothing is promised.
        verdict: Whether the median meets the goal; a goal that speaks of another size is not judged.
    """

    name: str
    median: float
    low: float
    high: float
    unit: str = ""
    goal: str = ""
    verdict: Verdict = ""


def figure(name: str, values: Sequence[float], *, unit: str = "", goal: str = "", judged: bool = True) -> Figure:
    """The figure of these rounds. Judged by the median itself, not by what is left of it in print."""
    middle = median(values)
    verdict: Verdict = ""
    if goal:
        verdict = "not judged at this size"
        if judged:
            verdict = "met" if meets(middle, goal) else "missed"
    return Figure(name, _short(middle), _short(min(values)), _short(max(values)), unit, goal, verdict)


def meets(value: float, goal: str) -> bool:
    """Whether a value is what a goal says: `>= 0.4`, `<= 30`."""
    comparison, _, wanted = goal.partition(" ")
    return {">=": value >= float(wanted), "<=": value <= float(wanted)}[comparison]


def _short(value: float) -> float:
    """Four digits, or all before the point; no more than six behind it."""
    return round(float(f"{value:.4g}"), 6) + 0.0 if abs(value) < 1000 else round(value)


@dataclass
class Report:
    """The figures of a run so far, and what else is worth keeping of it."""

    figures: list[Figure] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, values: Sequence[float], *, unit: str = "", goal: str = "", judged: bool = True) -> None:
        """Add a figure with its value in each round."""
        self.figures.append(figure(name, values, unit=unit, goal=goal, judged=judged))


def rounds_of(rounds: int, sides: Sequence[str], run: Callable[[str], Cost]) -> list[dict[str, Cost]]:
    """Run the sides in turns, forth and back: A B B A. The first round warms up; alone, it has to do."""
    found = []
    for number in range(rounds + 1):
        order = sides if number % 2 == 0 else tuple(reversed(sides))
        done = {side: run(side) for side in order}
        print(f"round {number}: {done}", file=sys.stderr)
        found.append(done)
    return found[1:] or found


@contextmanager
def reported(
    name: str, about: str | None, given: argparse.Namespace, *, server_url: str | None = None
) -> Iterator[Report]:
    """Watch the machine while the block measures; print what it found.

    Args:
        name: Of the program.
        about: Its docstring.
        given: Its arguments; they are the sizes.
        server_url: The server that it measures on.
    """
    collect_less_often()  # as every process of the product does
    report, began, load = Report(), datetime.now(UTC), _load()
    server = local_server(server_url) if server_url else None
    start, used, busy = perf_counter(), _ours(server), _everybody()
    yield report
    seconds = perf_counter() - start
    others = max(0.0, (_everybody() - busy) - (_ours(server) - used)) / seconds
    settings = settings_of(server_url) if server_url else {}
    postgres = {"PostgreSQL": settings.pop("server_version")} if settings else {}
    line = {
        "benchmark": name,
        "about": about or "",
        "began": began.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "command": command_of(name, sys.argv[1:]),
        "commit": commit(),
        "versions": our_versions() | postgres | report.versions,
        "settings": settings,
        "sizes": {key: value for key, value in vars(given).items() if key not in {"server_url", "scratch"}},
        "load": [load, _load()],
        "others_cores": round(others, 2),
        "noisy": others > noisy_cores,
        "figures": [asdict(one) for one in report.figures],
        "details": report.details,
    }
    print_figures(line)
    print(json.dumps(line, default=str), flush=True)


def command_of(name: str, arguments: Sequence[str]) -> str:
    """The command that does it again, without the server that happened to be used."""
    kept: list[str] = []
    following = iter(arguments)
    for argument in following:
        if argument == "--server-url":
            next(following, None)
        else:
            kept.append(argument)
    return " ".join(["python -m", f"benchmarks.{name}", *kept])


def print_figures(line: Mapping[str, Any]) -> None:
    """The figures as a table."""
    width = max((len(one["name"]) for one in line["figures"]), default=0)
    for one in line["figures"]:
        shown = f"{one['median']:>12,} {one['unit']:<5}"
        goal = f"   goal {one['goal']}: {one['verdict']}" if one["goal"] else ""
        print(f"{one['name']:<{width}} {shown} ({one['low']:,} to {one['high']:,}){goal}")
    noise = "noisy: " if line["noisy"] else ""
    print(f"{noise}others used {line['others_cores']} cores; load {line['load'][0]} before, {line['load'][1]} after")


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _ours(server: psutil.Process | None) -> float:
    """CPU seconds of this program, of its server and of all that they started."""
    return cpu_of(psutil.Process()) + (cpu_of(server) if server is not None else 0.0)


def _everybody() -> float:
    """CPU seconds that the machine has worked, or was kept from it by its host."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def percentile(values: Sequence[float], share: int) -> float:
    """The value that `share` per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
