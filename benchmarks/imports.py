"""Order import beside bare COPY: `python -m benchmarks.imports --orders 1000000 --rounds 3`.

Ours is the command `regulars import orders` on a generated CSV: validation, identities, customers, orders, metrics.
Beside it stands COPY of the very rows that it wrote, ready-made and in their physical order, into equal empty tables
with their keys, indexes and foreign keys, on the same server. The third side is the import with `--award`, of fewer
orders because it takes longer: points for every order, by the ledger's own bulk path; its ratio is to the same COPY,
which writes no points. Ratios are those of rates: above the goal is good.
"""

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import psutil
import psycopg
from psycopg import sql

from benchmarks.report import Report, reported, rounds_of
from benchmarks.server import add_server_option, local_server, own_database, server_for, settled_cpu_of

sides = ("import", "award", "copy")  # the first makes the rows of COPY
tables = ["customers", "customer_identifiers", "orders", "order_identifiers", "customer_metrics"]


@dataclass(frozen=True)
class Cost:
    """What one side of a round took: wall time, and CPU time of program and server together."""

    orders: int
    seconds: float
    cpu_seconds: float

    @property
    def per_s(self) -> float:
        """Orders a second."""
        return self.orders / self.seconds

    @property
    def per_cpu_s(self) -> float:
        """Orders for each second of CPU."""
        return self.orders / self.cpu_seconds


def write_orders(path: Path, orders: int, orders_per_customer: int, seed: int) -> None:
    """A CSV of three years of orders as they came in: many customers with one order, few with many."""
    chance = random.Random(seed)  # noqa: S311 - invented orders need no secrets
    customers = max(1, orders // orders_per_customer)
    instant, step = datetime(2023, 1, 1, tzinfo=UTC), timedelta(days=1095) / orders
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "ordered_at", "total", "customer_id", "status", "channel"])
        for number in range(orders):
            # The square of an even draw: the first tenth of the customers makes a third of the orders.
            customer = int(customers * chance.random() ** 2) if chance.random() < 0.8 else number % customers
            total = f"{chance.lognormvariate(3.4, 0.8):.2f}"
            writer.writerow(
                [f"W-{number:08d}", instant.isoformat(timespec="seconds"), total, f"C-{customer:07d}", "paid", "web"]
            )
            instant += step


def time_import(url: str, orders: Path, *options: str) -> float:
    """Seconds of the whole command."""
    started = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "regulars", "import", "orders", str(orders), "--source", "webshop", "--json", *options],
        env={**os.environ, "REGULARS_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return perf_counter() - started


def columns_of(connection: psycopg.Connection, table: str) -> sql.Composed:
    """The columns of a table that are stored as they come, not generated."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        [table],
    ).fetchall()
    return sql.SQL(", ").join(sql.Identifier(name) for (name,) in rows)


def keep_rows(url: str, folder: Path) -> None:
    """Write what the import made of the orders as files for COPY."""
    with psycopg.connect(url) as connection:
        for table in tables:
            statement = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table), columns_of(connection, table))
            with (folder / table).open("wb") as file, connection.cursor().copy(statement) as copy:
                for block in copy:
                    file.write(block)


def time_copy(url: str, folder: Path) -> float:
    """Seconds of bare COPY of the same rows, one transaction for each table."""
    started = perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for table in tables:
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns_of(connection, table))
            with (folder / table).open("rb") as file, connection.cursor().copy(statement) as copy:
                while block := file.read(1 << 20):
                    copy.write(block)
    return perf_counter() - started


@dataclass(frozen=True)
class Orders:
    """A generated file."""

    file: Path
    count: int


def measure(server_url: str, orders: Orders, awarded: Orders, rounds: int) -> list[dict[str, Cost]]:
    """What each side costs in each counted round."""
    folder, server = orders.file.parent / "rows", local_server(server_url)
    folder.mkdir()
    processes = [psutil.Process(), *([server] if server else [])]

    def run(side: str) -> Cost:
        what = awarded if side == "award" else orders
        with own_database(server_url) as url:
            before = settled_cpu_of(*processes)
            if side == "copy":
                seconds = time_copy(url, folder)
            else:
                seconds = time_import(url, what.file, *(["--award"] if side == "award" else []))
            cost = Cost(what.count, seconds, settled_cpu_of(*processes) - before)
            if side == "import" and not any(folder.iterdir()):
                keep_rows(url, folder)
            return cost

    return rounds_of(rounds, sides, run)


def tell(report: Report, rounds: list[dict[str, Cost]], *, judged: bool) -> None:
    """The figures of the rounds."""

    def ratios(side: str, figure: str) -> list[float]:
        return [getattr(costs[side], figure) / getattr(costs["copy"], figure) for costs in rounds]

    report.add("import beside bare COPY", ratios("import", "per_s"), goal=">= 0.4", judged=judged)
    report.add("import beside bare COPY, by CPU", ratios("import", "per_cpu_s"))
    report.add("import with points beside bare COPY", ratios("award", "per_s"))
    report.add("import with points beside bare COPY, by CPU", ratios("award", "per_cpu_s"))
    for side, name in zip(sides, ("import", "import with points", "bare COPY"), strict=True):
        report.add(f"{name}, orders", [costs[side].per_s for costs in rounds], unit="/s")
    report.add("peak memory of an import", [resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024], unit="MB")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--award-orders", type=int, default=20_000, help="of the import with points")
    parser.add_argument("--orders-per-customer", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    add_server_option(parser)
    given = parser.parse_args()
    with server_for(given.server_url) as url, tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        orders = Orders(Path(folder) / "orders.csv", given.orders)
        awarded = Orders(Path(folder) / "awarded.csv", given.award_orders)
        for made in (orders, awarded):
            write_orders(made.file, made.count, given.orders_per_customer, given.seed)
        with reported("imports", __doc__, given, server_url=url) as report:
            rounds = measure(url, orders, awarded, given.rounds)
            tell(report, rounds, judged=given.orders >= 1_000_000)


if __name__ == "__main__":
    main()
