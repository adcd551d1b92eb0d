"""Order import beside bare COPY: `python -m benchmarks.imports --orders 1000000 --rounds 3`.

Ours is the command `regulars import orders` on a generated CSV: validation, identities, customers, orders, metrics.
Beside it stands COPY of the very rows that it wrote, ready-made and in their physical order, into equal empty tables
with their keys, indexes and foreign keys, on the same server. The third side is the import with `--award`: points for
every order, by the ledger's own bulk path; its ratio is to the same COPY, which writes no points. Rounds run forth and
back after one that is discarded; the figures are the medians of the rounds' ratios of rates: above the goal
is good.
"""

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from regulars.kit.postgres import EmbeddedPostgres
from regulars.migrations import migrate

goal = 0.4
sides: dict[str, list[str]] = {"import": [], "award": ["--award"], "copy": []}
tables = ["customers", "customer_identifiers", "orders", "order_identifiers", "customer_metrics"]


@dataclass(frozen=True)
class Cost:
    """What one side of a round took: wall time, and CPU time of program and server together."""

    seconds: float
    cpu_seconds: float


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


@contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """A migrated, empty database that is dropped at the end."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = make_conninfo(server_url, dbname=name)
        migrate(url)
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


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


def local_server(server_url: str) -> psutil.Process | None:
    """The server's first process, if it runs on this machine."""
    with psycopg.connect(server_url) as connection:
        row = connection.execute("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int").fetchone()
    with suppress(psutil.Error):
        return psutil.Process(row[0] if row else 0)
    return None


def cpu_used(server: psutil.Process | None) -> float:
    """CPU seconds of this program, the server, and everything that they started."""
    total = 0.0
    for process in [psutil.Process(), *([server, *server.children()] if server else [])]:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def measure(server_url: str, orders: Path, rounds: int) -> list[dict[str, Cost]]:
    """What each side costs in each counted round."""
    folder, server = orders.parent / "rows", local_server(server_url)
    folder.mkdir()
    pairs = []
    for number in range(rounds + 1):
        costs = {}
        for side in sides if number % 2 == 0 else reversed(sides):
            with own_database(server_url) as url:
                before = cpu_used(server)
                seconds = time_copy(url, folder) if side == "copy" else time_import(url, orders, *sides[side])
                costs[side] = Cost(seconds, cpu_used(server) - before)
                if number == 0 and side == "import":
                    keep_rows(url, folder)
        print(f"round {number}: {costs}", file=sys.stderr)
        pairs.append(costs)
    return pairs[1:]


def report(rounds: list[dict[str, Cost]], orders: int) -> None:
    """Print the figures, then the same as one JSON line."""
    ratios = [costs["copy"].seconds / costs["import"].seconds for costs in rounds]
    award_ratios = [costs["copy"].seconds / costs["award"].seconds for costs in rounds]
    figures = {
        "benchmark": "imports",
        "orders": orders,
        "rounds": len(rounds),
        "import_rows_per_second": round(orders / median(costs["import"].seconds for costs in rounds)),
        "award_rows_per_second": round(orders / median(costs["award"].seconds for costs in rounds)),
        "award_ratio": round(median(award_ratios), 3),
        "award_cpu_ratio": round(median(costs["copy"].cpu_seconds / costs["award"].cpu_seconds for costs in rounds), 3),
        "copy_rows_per_second": round(orders / median(costs["copy"].seconds for costs in rounds)),
        "ratio": round(median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "cpu_ratio": round(median(costs["copy"].cpu_seconds / costs["import"].cpu_seconds for costs in rounds), 3),
        "import_cpu_seconds": round(median(costs["import"].cpu_seconds for costs in rounds), 2),
        "import_peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "goal": goal,
        "met": median(ratios) >= goal,
    }
    print(f"import     {figures['import_rows_per_second']:>10,} rows/s, peak {figures['import_peak_mb']} MB")
    print(f"and points {figures['award_rows_per_second']:>10,} rows/s, {figures['award_ratio']} of COPY")
    print(f"bare COPY  {figures['copy_rows_per_second']:>10,} rows/s")
    verdict = "met" if figures["met"] else "missed"
    print(f"ratio      {figures['ratio']:>10} (goal {goal}: {verdict}); by CPU time {figures['cpu_ratio']}")
    print(json.dumps(figures))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--orders-per-customer", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--server-url", help="a superuser's address; otherwise an embedded server is started")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        orders = Path(folder) / "orders.csv"
        write_orders(orders, given.orders, given.orders_per_customer, given.seed)
        if given.server_url:
            pairs = measure(given.server_url, orders, given.rounds)
        else:
            with EmbeddedPostgres(Path(folder) / "server") as url:
                pairs = measure(url, orders, given.rounds)
    report(pairs, given.orders)


if __name__ == "__main__":
    main()
