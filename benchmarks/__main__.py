"""Every benchmark, one after the other: `python -m benchmarks [--size toy|small|full]`.

`toy` only shows that they run; `small` takes a few minutes; `full` is what the goals speak of.
"""

import argparse
import subprocess
import sys
from typing import Literal, get_args

Size = Literal["toy", "small", "full"]

programs: dict[str, dict[Size, str]] = {
    "earn_http": {
        "toy": "--customers 200 --rounds 1 --seconds 1",
        "small": "--customers 5000 --rounds 3 --seconds 5",
        "full": "--customers 10000 --rounds 5 --seconds 10 --processes 2",
    },
    "imports": {
        "toy": "--orders 2000 --rounds 1",
        "small": "--orders 100000 --rounds 3",
        "full": "--orders 1000000 --rounds 5",
    },
    "ledger": {
        "toy": "--customers 200 --rounds 1 --singles 20 --lots 20 --transactions 1000",
        "small": "--customers 5000 --rounds 3 --singles 300 --transactions 100000",
        "full": "--customers 20000 --rounds 5 --singles 1000 --transactions 1000000",
    },
    "models": {
        "toy": "--sizes 2357 --rounds 1",
        "small": "--sizes 2357 23570 --rounds 3",
        "full": "--sizes 2357 23570 1000000 --rounds 3",
    },
    "orders_http": {
        "toy": "--customers 20 --orders 100 --rounds 1",
        "small": "--customers 1000 --orders 2000 --rounds 3 --at-once 8",
        "full": "--customers 10000 --orders 20000 --rounds 5 --at-once 16",
    },
    "scoring": {
        "toy": "--customers 2000 --orders 3 --rounds 1 --method model",
        "small": "--customers 50000 --orders 8 --rounds 3 --method model",
        "full": "--customers 1000000 --orders 8 --rounds 3 --method model",
    },
    "search": {
        "toy": "--customers 2000 --queries 60",
        "small": "--customers 50000 --queries 1000",
        "full": "--customers 1000000 --queries 2000",
    },
}


def main() -> None:
    """Run them; end with an error if one of them does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=get_args(Size), default="small")
    size: Size = parser.parse_args().size
    failed = []
    for program, arguments in programs.items():
        print(f"\n== {program} {arguments[size]}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{program}", *arguments[size].split()]
        if subprocess.run(command, check=False).returncode:
            failed.append(program)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
