"""The page of all benchmarks, made of the JSON lines that the programs printed."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import noisy_cores

Line = dict[str, Any]
_how_to_read = f"""\
Each program measures ours beside something else in one run, on the same server, with the same data and the same
durability, in rounds that go forth and back after one that does not count. Figures are medians over the rounds, with
the range in brackets; ratios are made within a round. The load generator's CPU is nobody's. A run is **noisy** when
others used more than {noisy_cores} of a core meanwhile: only its ratios tell, and those with care. Goals speak of a
full run; those that need its size are judged at no other.
"""
_shown_verdicts = {"missed": "**missed**"}


def read_lines(file: Path) -> dict[str, Line]:
    """The lines in a file, by benchmark; none if there is no such file."""
    texts = file.read_text().splitlines() if file.exists() else []
    return {line["benchmark"]: line for line in map(json.loads, texts)}


def write_page(folder: Path, lines: Sequence[Line]) -> None:
    """Write the page and its raw lines into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "benchmarks.md").write_text(page_of(lines))


def page_of(lines: Sequence[Line]) -> str:
    """The page as Markdown."""
    written = "Written by `make bench`; raw lines are in [benchmarks.jsonl](benchmarks.jsonl)."
    head = f"# Benchmarks\n\n{written}\n\n{_how_to_read}"
    return "\n".join([head, *_machines(lines), *_goals(lines), *(part for line in lines for part in _section(line))])


def _machines(lines: Sequence[Line]) -> Iterator[str]:
    yield "## Machine\n"
    facts = ["; ".join(f"{name}: {fact}" for name, fact in line["machine"].items()) for line in lines]
    yield from (f"- {fact}" for fact in dict.fromkeys(facts))
    yield ""


def _goals(lines: Sequence[Line]) -> Iterator[str]:
    yield "## Goals\n"
    yield from _table("benchmark", "figure", "median (range)", "goal", "verdict")
    for line in lines:
        name = f"{line['benchmark']}, noisy" if line["noisy"] else line["benchmark"]
        for figure in line["figures"]:
            if figure["goal"]:
                yield _row(name, figure["name"], _measured(figure), figure["goal"], _verdict(figure))
    yield ""


def _section(line: Line) -> Iterator[str]:
    title, _, about = line["about"].partition("\n\n")
    yield f"## {line['benchmark']}: {title.partition(':')[0].rstrip('.')}\n"
    if about:
        yield f"{' '.join(about.split())}\n"
    yield f"    {line['command']}\n"
    noise = "**Noisy**: others" if line["noisy"] else "Others"
    before, after = line["load"]
    yield f"- {line['began']}, {line['seconds']:,.0f} s; commit {line['commit']}"
    yield f"- {noise} used {line['others_cores']} cores; load {before} before, {after} after"
    for name in ("sizes", "versions", "settings", "details"):
        facts = [f"{key} {_plain(value)}" for key, value in line[name].items() if not isinstance(value, dict)]
        if facts:
            yield f"- {name}: {', '.join(facts)}"
    yield ""
    yield from _table("figure", "median (range)", "goal", "verdict")
    for figure in line["figures"]:
        yield _row(figure["name"], _measured(figure), figure["goal"], _verdict(figure))
    yield ""


def _table(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _measured(figure: Line) -> str:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    spread = f" ({_number(figure['low'])} to {_number(figure['high'])})" if figure["low"] != figure["high"] else ""
    return f"{_number(figure['median'])}{unit}{spread}"


def _number(value: float) -> str:
    return f"{value:,.12g}"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _verdict(figure: Line) -> str:
    verdict = str(figure["verdict"])
    return _shown_verdicts.get(verdict, verdict)
