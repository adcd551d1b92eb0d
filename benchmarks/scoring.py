"""Scoring beside bare SQL: `python -m benchmarks.scoring --customers 1000000 --orders 8 --rounds 3 --method model`.

Ours is the command `regulars score all` on a generated shop: facts, edges, scores and lifetime values, the rows and the
history of segments, the record of the run, the table of segments. Beside it stands what the same scores need at the
least: plain SQL that aggregates, scores and writes customer_scores, on the same server and the same orders. Both begin
with no scores, so that both write every row. The run of the next day goes over the rows of the first: what a shop waits
for every night. Another scores only the 5 % of the customers who have ordered since. With `--method model` values are
made by models. The other sides are what is usual without us, reading from the same server and writing to it: pandas and
lifetimes as their pages show them (read_sql, lifetimes' own summary, a row for each customer, to_sql), and tuned by
hand (COPY and Arrow, grouped rows, COPY back). They write into an empty table and keep no history.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from typing import LiteralString, TypeAlias, get_args

import psutil
import psycopg

from benchmarks.peers import add_scratch_option, peers, python_of_peers
from benchmarks.report import Report, reported, rounds_of
from benchmarks.server import add_server_option, local_server, own_database, server_for, settled_cpu_of
from regulars.analytics.models import Method, ScoringRequest
from regulars.analytics.runs import ScoringService
from regulars.formulas.clv import CLVRules
from regulars.formulas.rfm import segment_table
from regulars.kit.database import connect
from regulars.kit.settings import Settings

Seconds: TypeAlias = dict[str, float]
peak, cpu = "peak MB", "CPU"
today = date(2025, 6, 15)
pandas_ways = {"documented": "pandas and lifetimes as documented", "tuned": "pandas and lifetimes tuned by hand"}

# Even draws from 0 to 1 that depend on nothing but two numbers and the seed.
_draw: LiteralString = """
    CREATE FUNCTION pg_temp.draw(number bigint, salt bigint) RETURNS double precision IMMUTABLE LANGUAGE sql AS $$
        SELECT ((hashint8extended(number, salt) & 4503599627370495) + 0.5) / 4503599627370496.0
    $$
"""
# Three years of orders, 41 % of the buyers with a single one, few with hundreds; more than half stop at some time, or
# no model would find how fast they do; 5 % never bought; 1 % is refunded, half of that in full.
_shop: dict[str, LiteralString] = {
    "customers": """
        INSERT INTO customers (id, customer_number, first_name, last_name, created_at, updated_at)
        SELECT ('01980000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               'CUST-20220616-' || lpad(n::text, 9, '0'), 'John', 'Doe', %(today)s, %(today)s
        FROM generate_series(1, %(customers)s::bigint) n
    """,
    "orders": """
        INSERT INTO orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
            refunded_total, content_hash, created_at, updated_at)
        SELECT ('01980000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               ('01990000-0000-7000-8000-' || lpad(to_hex(n * 1000 + k), 12, '0'))::uuid,
               'till', n || '-' || k, CASE WHEN part = 1 THEN 'refunded' WHEN part > 0 THEN 'partially_refunded'
               ELSE 'paid' END, 'EUR', day, day, total, round(total * part::numeric, 2), '', day, day
        FROM generate_series(1, %(customers)s::bigint) n
        CROSS JOIN LATERAL (
            SELECT CASE WHEN pg_temp.draw(n, %(seed)s) < 0.05 THEN 0
                   ELSE least(900, 1 + floor(%(orders)s * pow(-ln(pg_temp.draw(n, %(seed)s + 1)), 2) / 2))::integer
                   END AS orders,
                   floor(1095 * pg_temp.draw(n, %(seed)s + 2))::integer AS age_days,
                   20 * exp(1.2 * (pg_temp.draw(n, %(seed)s + 3) - 0.5)) AS basket,
                   least(1, 1.6 * pg_temp.draw(n, %(seed)s + 7)) AS stayed
        ) buyer
        CROSS JOIN LATERAL generate_series(1, orders) k
        CROSS JOIN LATERAL (
            SELECT %(today)s::date - floor(age_days * CASE WHEN k = 1 THEN 1
                   ELSE 1 - stayed * pg_temp.draw(n * 1000 + k, %(seed)s + 4) END)::integer AS day,
                   round((basket * (0.5 - ln(pg_temp.draw(n * 1000 + k, %(seed)s + 5))))::numeric, 2) AS total,
                   pg_temp.draw(n * 1000 + k, %(seed)s + 6) AS fate
        ) sale
        CROSS JOIN LATERAL (SELECT CASE WHEN fate < 0.005 THEN 1 WHEN fate < 0.01 THEN 0.5 ELSE 0 END AS part) back
        ORDER BY n, k
    """,
    "refunds": """
        INSERT INTO refunds (customer_id, order_id, refund_id, amount, refunded_at, refunded_on, created_at)
        SELECT customer_id, id, 'R1', refunded_total, ordered_at, least(ordered_on + 10, %(today)s::date), ordered_at
        FROM orders WHERE refunded_total > 0
    """,
    "metrics": """
        INSERT INTO customer_metrics (customer_id, total_orders, net_spent, first_order_at, last_order_at,
            purchase_days, changed_at)
        SELECT customer_id, count(*), sum(total - refunded_total), min(ordered_at), max(ordered_at),
               count(DISTINCT ordered_on), %(today)s
        FROM orders WHERE refunded_total < total GROUP BY customer_id
    """,
}

_change_some: tuple[LiteralString, ...] = (
    """
    INSERT INTO orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
        refunded_total, content_hash, created_at, updated_at)
    SELECT id, uuidv7(), 'till', uuidv7()::text, 'paid', 'EUR', %(day)s, %(day)s, 25, 0, '', %(now)s, %(now)s
    FROM customers WHERE hashint8extended(uuid_hash(id), 3) %% 20 = 0
    """,
    """
    INSERT INTO customer_metrics (customer_id, total_orders, net_spent, first_order_at, last_order_at, purchase_days,
        changed_at)
    SELECT id, 1, 25, %(day)s, %(day)s, 1, %(now)s
    FROM customers WHERE hashint8extended(uuid_hash(id), 3) %% 20 = 0
    ON CONFLICT (customer_id) DO UPDATE
    SET total_orders = customer_metrics.total_orders + 1, net_spent = customer_metrics.net_spent + 25,
        last_order_at = excluded.last_order_at, purchase_days = customer_metrics.purchase_days + 1,
        changed_at = excluded.changed_at
    """,
)

_bare: dict[str, LiteralString] = {
    "facts": """
        CREATE TEMPORARY TABLE facts AS
        SELECT customer_id, count(*) AS orders, sum(total - refunded_total) AS net,
               %(today)s::date - max(ordered_on) AS recency, %(today)s::date - min(ordered_on) AS age
        FROM orders WHERE cancelled_on IS NULL AND refunded_total < total AND ordered_on <= %(today)s::date
        GROUP BY customer_id
    """,
    "edges": """
        CREATE TEMPORARY TABLE edges AS
        SELECT percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY recency DESC) AS r,
               percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY orders) AS f,
               percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY net) AS m
        FROM facts
    """,
    "write": """
        INSERT INTO customer_scores (customer_id, recency_score, frequency_score, monetary_score, segment, clv,
            clv_method, rfm_scored_at, clv_scored_at)
        SELECT customer_id, cell.r, cell.f, cell.m, segment, greatest(net * lifespan / greatest(age, 90), 0),
               'seed', now(), now()
        FROM facts CROSS JOIN edges JOIN cells cell
          ON cell.r = 1 + (recency < edges.r[1])::int + (recency < edges.r[2])::int + (recency < edges.r[3])::int
                        + (recency < edges.r[4])::int
         AND cell.f = 1 + (orders > edges.f[1])::int + (orders > edges.f[2])::int + (orders > edges.f[3])::int
                        + (orders > edges.f[4])::int
         AND cell.m = 1 + (net > edges.m[1])::int + (net > edges.m[2])::int + (net > edges.m[3])::int
                        + (net > edges.m[4])::int
    """,
}


def open_shop(url: str, size: Mapping[str, int]) -> int:
    """Fill an empty database; answers the number of orders."""
    options = "-c session_replication_role=replica -c synchronous_commit=off -c jit=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute(_draw)
        rows = {
            name: connection.execute(statement, {**size, "today": today}).rowcount for name, statement in _shop.items()
        }
        connection.execute("VACUUM ANALYZE")
    return rows["orders"]


def forget_scores(url: str) -> None:
    """Leave the shop as if it had never been scored, with nothing left to write back.

    Autovacuum has then no reason either to look at these tables while a run fills them: it would tell the planner that
    they are long and empty.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE customer_scores, segment_history, scoring_runs")
        connection.execute("VACUUM ANALYZE customer_scores, segment_history, scoring_runs")
        connection.execute("CHECKPOINT")


def score(url: str, as_of: date, method: str) -> Seconds:
    """Seconds of the whole command, and by stage of the run; and the command's peak memory."""
    began = perf_counter()
    command = [sys.executable, "-m", "regulars", "score", "all", "--as-of", as_of.isoformat(), "--method", method]
    environment = {**os.environ, "REGULARS_DATABASE_URL": url}
    with subprocess.Popen([*command, "--json"], env=environment, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("the run failed")
    whole = {"command": round(perf_counter() - began, 2), peak: used.ru_maxrss / 1024}
    return {**whole, **json.loads(told)["seconds"]}


def score_changed(url: str, as_of: date, method: Method) -> dict[str, float]:
    """Seconds by stage of a run that values every twentieth customer, who have just ordered."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _change_some:
            connection.execute(statement, {"day": as_of, "now": datetime.now(UTC)})
    return asyncio.run(_score_stale(url, as_of, method))


async def _score_stale(url: str, as_of: date, method: Method) -> dict[str, float]:
    request = ScoringRequest("all", as_of, "benchmark", recalculate=False, method=method)
    async with connect(url) as connection, connection.transaction():
        run = await ScoringService(connection, Settings(_env_file=None)).score_customers(request)
    return dict(run.seconds)


def score_bare(url: str) -> dict[str, float]:
    """Seconds of plain SQL for the same scores, by stage and in total."""
    lifespan_of = CLVRules().lifespan_of
    cells = [
        (cell.recency, cell.frequency, cell.monetary, name, lifespan_of(name)) for cell, name in segment_table().items()
    ]
    with psycopg.connect(url, options="-c work_mem=256MB -c jit=off") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE cells (r int, f int, m int, segment text, lifespan numeric)")
        cursor.executemany("INSERT INTO cells VALUES (%s, %s, %s, %s, %s)", cells)
        began, seconds = perf_counter(), {}
        for stage, statement in _bare.items():
            stage_began = perf_counter()
            cursor.execute(statement, {"today": today} if "today" in statement else None)
            seconds[stage] = round(perf_counter() - stage_began, 2)
        connection.commit()
        return seconds | {"total": round(perf_counter() - began, 2)}


def score_by_pandas(way: str, url: str, python: Path) -> Seconds:
    """Seconds of pandas and lifetimes for scores of the same kind, by stage and in total."""
    with NamedTemporaryFile("w", prefix="regulars-bench-", suffix=".csv") as file:
        cells = [f"{cell.recency},{cell.frequency},{cell.monetary},{name}" for cell, name in segment_table().items()]
        file.write("\n".join(["recency_score,frequency_score,monetary_score,segment", *cells]))
        file.flush()
        script = Path(__file__).with_name("beside_pandas.py")
        command = [python, script, way, url, today.isoformat(), file.name]
        began = perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {"command": round(perf_counter() - began, 2), **json.loads(done.stdout)}


def measure(url: str, rounds: int, method: Method, python: Path) -> list[dict[str, Seconds]]:
    """Seconds of each counted round."""
    tomorrow, server = today + timedelta(days=1), local_server(url)
    processes = [psutil.Process(), *([server] if server else [])]

    def costing(work: Callable[[], Seconds]) -> Seconds:
        before = settled_cpu_of(*processes)
        return {**work(), cpu: settled_cpu_of(*processes) - before}

    def run(side: str) -> dict[str, Seconds]:
        forget_scores(url)
        if side == "bare":
            return {"bare": costing(lambda: score_bare(url))}
        if side in pandas_ways:
            return {side: costing(lambda: score_by_pandas(side, url, python))}
        return {
            "first": costing(lambda: score(url, today, method)),
            "next day": costing(lambda: score(url, tomorrow, method)),
            "changed": score_changed(url, tomorrow, method),
        }

    found = rounds_of(rounds, ["ours", "bare", *pandas_ways], run)
    return [{kind: seconds for side in done.values() for kind, seconds in side.items()} for done in found]


def tell(report: Report, rounds: list[dict[str, Seconds]], *, judged: bool) -> None:
    """The figures of the rounds."""

    def totals(kind: str) -> list[float]:
        return [seconds[kind]["total"] for seconds in rounds]

    report.add("first run over everyone", totals("first"), unit="s", goal="<= 30", judged=judged)
    report.add("run of the next day over everyone", totals("next day"), unit="s", goal="<= 30", judged=judged)
    report.add("5 % changed", totals("changed"), unit="s")
    shares = [changed / whole for changed, whole in zip(totals("changed"), totals("next day"), strict=True)]
    report.add("5 % changed beside the run over everyone", shares, goal="<= 0.25", judged=judged)
    ratios = [ours / bare for ours, bare in zip(totals("first"), totals("bare"), strict=True)]
    report.add("first run beside bare SQL", ratios)
    for way, name in pandas_ways.items():
        for kind, run, goal in (("next day", "run of the next day", ">= 3"), ("first", "first run", "")):
            whole = [seconds[way]["command"] / seconds[kind]["command"] for seconds in rounds]
            label = f"{name} beside the {run}, whole commands"
            report.add(label, whole, goal=goal if way == "documented" else "", judged=judged)
        by_cpu = [seconds[way][cpu] / seconds["next day"][cpu] for seconds in rounds]
        report.add(f"{name} beside the run of the next day, by CPU", by_cpu)
    peaks = [max(seconds["first"][peak], seconds["next day"][peak]) for seconds in rounds]
    report.add("peak memory of a run", peaks, unit="MB", goal="<= 1500", judged=judged)
    names = {"first": "first run", "next day": "next day", "changed": "5 % changed", "bare": "bare SQL"}
    for kind, name in {**names, **pandas_ways}.items():
        for stage in rounds[0][kind]:
            if stage != peak and (stage != "total" or kind in {"bare", *pandas_ways}):
                report.add(f"{name}: {stage}", [seconds[kind][stage] for seconds in rounds], unit="s")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=8, help="mean number of each customer's orders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--method", choices=get_args(Method), default="seed", help="of lifetime values")
    add_server_option(parser)
    add_scratch_option(parser)
    given = parser.parse_args()
    python = python_of_peers(given.scratch)
    size = {"customers": given.customers, "orders": given.orders, "seed": given.seed}
    with server_for(given.server_url) as server_url, own_database(server_url) as url:
        orders = open_shop(url, size)
        with reported("scoring", __doc__, given, server_url=url) as report:
            report.details["orders"] = orders
            report.versions |= peers
            rounds = measure(url, given.rounds, given.method, python)
            tell(report, rounds, judged=given.customers >= 1_000_000)


if __name__ == "__main__":
    main()
