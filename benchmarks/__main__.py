"""Every benchmark, one after the other: `python -m benchmarks [--size toy|small|full]`.

`toy` only shows that they run, two at a time; `small` takes a few minutes; `full` is what the goals speak of and takes
half an hour. Writes benchmarks.md and benchmarks.jsonl; with `--only`, what others found before stays there.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.machine import machine, root
from benchmarks.page import read_lines, write_page

Size = Literal["toy", "small", "full"]

programs: dict[str, dict[Size, str]] = {
    "earn_http": {
        "toy": "--customers 200 --rounds 0 --seconds 1",
        "small": "--customers 5000 --rounds 2 --seconds 3",
        "full": "--customers 10000 --rounds 5 --seconds 10",
    },
    "imports": {
        "toy": "--orders 1000 --award-orders 1000 --rounds 0",
        "small": "--orders 50000 --award-orders 5000 --rounds 3",
        "full": "--orders 1000000 --award-orders 100000 --rounds 2",
    },
    "ledger": {
        "toy": "--customers 200 --rounds 1 --singles 100 --lots 20 --transactions 1000",
        "small": "--customers 5000 --rounds 3 --singles 200 --transactions 100000",
        "full": "--customers 20000 --rounds 5 --singles 1000 --transactions 1000000",
    },
    "models": {
        "toy": "--sizes 2357 --rounds 1",
        "small": "--sizes 2357 23570 --rounds 3",
        "full": "--sizes 2357 23570 1000000 --rounds 5",
    },
    "orders_http": {
        "toy": "--customers 20 --seconds 1 --rounds 0",
        "small": "--customers 200 --seconds 3 --rounds 3",
        "full": "--customers 2000 --seconds 10 --rounds 5 --at-once 8",
    },
    "scoring": {
        "toy": "--customers 2000 --orders 3 --rounds 0 --method model",
        "small": "--customers 30000 --orders 8 --rounds 2 --method model",
        "full": "--customers 1000000 --orders 8 --rounds 1 --method model",
    },
    "search": {
        "toy": "--customers 2000 --queries 60 --rounds 1",
        "small": "--customers 50000 --queries 500 --rounds 3",
        "full": "--customers 1000000 --queries 2000 --rounds 5",
    },
}


def main() -> None:
    """Run them and write the page; end with an error if one of them does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=get_args(Size), default="small")
    parser.add_argument("--only", nargs="+", choices=list(programs), default=list(programs), metavar="PROGRAM")
    parser.add_argument("--into", type=Path, default=root / "docs", help="the folder of the page")
    given = parser.parse_args()
    found = read_lines(given.into / "benchmarks.jsonl") if given.only != list(programs) else {}
    told, failed = machine(), []
    with ThreadPoolExecutor(max_workers=2 if given.size == "toy" else 1) as runners:
        for program, line in runners.map(lambda name: (name, run(name, programs[name][given.size])), given.only):
            if line is None:
                failed.append(program)
                continue
            found[program] = {**line, "machine": told}
            write_page(given.into, [found[name] for name in programs if name in found])
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(program: str, arguments: str) -> dict[str, Any] | None:
    """Run one and show what it prints; its last line, or None if it failed."""
    command = [sys.executable, "-m", f"benchmarks.{program}", *arguments.split()]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    *shown, last = done.stdout.splitlines() or [""]
    print(f"\n== {program} {arguments}", *shown, sep="\n", flush=True)
    if done.returncode:
        return None
    line: dict[str, Any] = json.loads(last)
    return line


if __name__ == "__main__":
    main()
