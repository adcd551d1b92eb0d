"""What a process measures of itself, and figures in the text form that Prometheus reads.

Labels are words of ours: route templates, states, kinds. Never an id, an address or a text that somebody sent.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

media_type: Final = "text/plain"
seconds_up_to: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
known_methods: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Labels: TypeAlias = Mapping[str, str]
Kind: TypeAlias = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Figure:
    """One measure with its values.

    Attributes:
        name: Without the `regulars_` that all begin with.
        kind: A gauge goes up and down, a counter only up until the process ends.
        help: What it is, with its unit.
        values: By labels; of a histogram with the suffix of the line before the labels.
    """

    name: str
    kind: Kind
    help: str
    values: Iterable[tuple[str, Labels, float]]


def gauge(name: str, help_: str, value: float) -> Figure:
    """A measure with one value."""
    return Figure(name, "gauge", help_, [("", {}, value)])


def gauges(name: str, help_: str, label: str, values: Mapping[str, float]) -> Figure:
    """A measure with a value for each word of one label."""
    return Figure(name, "gauge", help_, [("", {label: word}, value) for word, value in values.items()])


def of_this_process(figures: Iterable[Figure]) -> list[Figure]:
    """The same figures with the process in a label: behind one port there may be several, and each counts its own."""
    own = {"process": str(os.getpid())}
    return [
        replace(figure, values=[(suffix, {**labels, **own}, value) for suffix, labels, value in figure.values])
        for figure in figures
    ]


def exposition(figures: Iterable[Figure]) -> str:
    """The figures as text, version 0.0.4."""
    return "".join(f"{line}\n" for figure in figures for line in _lines(figure))


@dataclass
class _Durations:
    """How long requests of one sort took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(seconds_up_to) + 1))
    total: float = 0.0


class RequestMeasures:
    """How long the requests of this process took, by method, route and status."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, int], _Durations] = {}

    def count(self, *, method: str, route: str | None, status: int, seconds: float) -> None:
        """Add a request that was answered."""
        sort = (method if method in known_methods else "other", route or "none", status)
        durations = self._durations.setdefault(sort, _Durations())
        durations.counts[bisect_left(seconds_up_to, seconds)] += 1
        durations.total += seconds

    def figures(self, *, in_flight: int, shed: int) -> list[Figure]:
        """What was counted."""
        return [
            Figure("request_seconds", "histogram", "Time from a request to the end of its answer.", self._buckets()),
            Figure("requests_in_flight", "gauge", "Requests at work.", [("", {}, in_flight)]),
            Figure("requests_shed_total", "counter", "Requests refused because of load.", [("", {}, shed)]),
        ]

    def _buckets(self) -> Iterator[tuple[str, Labels, float]]:
        for (method, route, status), durations in sorted(self._durations.items()):
            labels = {"method": method, "route": route, "status": str(status)}
            reached = 0
            for limit, count in zip([*map(str, seconds_up_to), "+Inf"], durations.counts, strict=True):
                reached += count
                yield "_bucket", {**labels, "le": limit}, reached
            yield "_sum", labels, round(durations.total, 6)
            yield "_count", labels, reached


def _lines(figure: Figure) -> Iterator[str]:
    name = f"regulars_{figure.name}"
    yield f"# HELP {name} {figure.help}"
    yield f"# TYPE {name} {figure.kind}"
    for suffix, labels, value in figure.values:
        told = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
        labelled = f"{{{told}}}" if told else ""
        yield f"{name}{suffix}{labelled} {int(value) if value == int(value) else round(value, 6)}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
