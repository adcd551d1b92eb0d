"""Pages of searches: `python -m benchmarks.search --customers 1000000 --queries 2000`.

Parts of names, addresses and numbers, filters and sorts, about customers drawn at random; first pages, without the
exact count, each in a transaction of its own. A first round, which fills the caches, does not count. No page may read
a table from end to end.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, get_args
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.imports import own_database
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_search import RetailCustomerSearchFilters, SortKey
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.postgres import EmbeddedPostgres

goal_p99_ms = 50
clock = Clock(ZoneInfo("Europe/Berlin"))
scanned_tables = ["customers", "customer_metrics", "customer_scores"]

# Names and places follow a power law, as they do among people: rank 1 is a thousand times as frequent as rank 1000.
seeding = [
    "SELECT setseed(0.7265)",
    """
    CREATE TEMP TABLE people AS
    SELECT
        position,
        (ARRAY['Anna', 'Ben', 'Clara', 'David', 'Elif', 'Farid', 'Greta', 'Hannes', 'Ines', 'Jonas', 'Karla', 'Luis',
            'Marie', 'Noah', 'Olga', 'Paul', 'Quirin', 'Rosa', 'Samir', 'Thea', 'Uwe', 'Vera', 'Wim', 'Xenia', 'Yara',
            'Zoe'])[1 + floor(power(random(), 2) * 26)::int]
            || (ARRAY['', '', '', '-Lou', '-Mae', 'lina', 'son', 'etta'])[1 + floor(random() * 8)::int] AS first_name,
        (SELECT string_agg((ARRAY['ber', 'mann', 'schu', 'ste', 'in', 'ko', 'wal', 'ski', 'hof', 'er', 'brand', 'ner',
            'lin', 'de', 'gar', 'tor', 'ves', 'mül', 'ack', 'roth'])[1 + (rank >> (4 * digit)) %% 20], '')
            FROM generate_series(0, 2) AS digit) AS last_name,
        1 + floor(power(random(), 3) * 300)::int AS city,
        timestamptz '2023-01-01' + (position / %(customers)s::float8) * interval '1200 days' AS created_at,
        random() AS luck
    FROM (
        SELECT position, floor(exp(random() * ln(8000)))::int AS rank FROM generate_series(1, %(customers)s) AS position
    ) AS ranked
    """,
    """
    INSERT INTO customers (id, customer_number, first_name, last_name, email, phone, city, country, tags,
        email_marketing_consent, created_at, updated_at)
    SELECT uuidv7(created_at - now()),
        format('CUST-%%s-%%s', to_char(created_at, 'YYYYMMDD'), lpad(position::text, 7, '0')),
        first_name, initcap(last_name),
        lower(format('%%s.%%s%%s@%%s.example', first_name, last_name, position, city %% 9)),
        '+49' || 1500000000 + position, 'City ' || city, 'DE',
        CASE WHEN luck < 0.02 THEN ARRAY['vip'] WHEN luck < 0.2 THEN ARRAY['app', 'store-' || city] ELSE '{}' END,
        luck < 0.4, created_at, created_at
    FROM people
    """,
    """
    INSERT INTO customer_identifiers (kind, value, customer_id, created_at)
    SELECT kind, value, id, created_at FROM customers,
        LATERAL (VALUES ('number', customer_number), ('email', email), ('phone', phone)) AS claim (kind, value)
    """,
    """
    INSERT INTO customer_metrics
        (customer_id, total_orders, net_spent, first_order_at, last_order_at, purchase_days, changed_at)
    SELECT id, orders, (orders * (5 + 60 * random()))::numeric(18, 2), created_at,
        created_at + random() * interval '300 days', orders, created_at
    FROM (
        SELECT id, created_at, floor(1 / (0.01 + random()))::int + 1 AS orders FROM customers WHERE random() < 0.85
    ) AS buyers
    """,
    """
    INSERT INTO customer_scores (customer_id, recency_score, frequency_score, monetary_score, segment,
        rfm_scored_at, clv, clv_scored_at, p_buy)
    SELECT customer_id,
        1 + floor(random() * 5)::int, 1 + floor(random() * 5)::int, 1 + floor(random() * 5)::int,
        (ARRAY['champion', 'loyal', 'promising', 'at_risk', 'lost'])[1 + floor(power(random(), 2) * 5)::int],
        now(), net_spent * random() * 3, now(), random()
    FROM customer_metrics
    """,
]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--server-url", help="a superuser's address; otherwise an embedded server is started")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="regulars-bench-"))
        server_url = given.server_url or stack.enter_context(EmbeddedPostgres(Path(folder)))
        url = stack.enter_context(own_database(server_url))
        seed(url, given.customers)
        queries = list(mixed_queries(asyncio.run(sample_customers(url)), given.queries, given.seed))
        scans = sequential_scans(url)
        timings = asyncio.run(run(url, queries, given.clients))
        scans = sequential_scans(url) - scans
    report(timings, customers=given.customers, clients=given.clients, sequential_scans=scans)


def seed(url: str, customers: int) -> None:
    """Fill the tables that a search reads."""
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in seeding:
            connection.execute(statement, {"customers": customers})
        connection.execute("VACUUM ANALYZE")


async def sample_customers(url: str) -> list[tuple[str, ...]]:
    """Some customers to search for: first name, last name, e-mail, phone, number, city."""
    async with connect(url) as connection:
        cursor = await connection.execute("""
            SELECT first_name, last_name, email, phone, customer_number, city
            FROM customers TABLESAMPLE system (10) REPEATABLE (7265) ORDER BY id LIMIT 5000
        """)
        return await cursor.fetchall()


def mixed_queries(
    samples: Sequence[tuple[str, ...]], count: int, seed: int
) -> Iterator[tuple[str, RetailCustomerSearchFilters]]:
    """Queries of every kind in turn, about customers drawn at random."""
    draw = random.Random(seed)  # noqa: S311 - whom to look for is no secret
    sorts: tuple[SortKey, ...] = get_args(SortKey)
    for position in range(count):
        first_name, last_name, email, phone, number, city = draw.choice(samples)
        kinds: Mapping[str, Mapping[str, Any]] = {
            "name": {"q": f"{first_name} {last_name}"},
            "part of name": {"q": last_name[draw.randrange(3) :][:6]},
            "three letters": {"q": last_name[:3]},
            "two letters": {"q": first_name[:2]},
            "part of e-mail": {"q": email.split("@")[0][-9:]},
            "end of phone": {"q": phone[-6:]},
            "part of number": {"q": number[-7:]},
            "no match": {"q": "xq" + last_name[:4] + "qz"},
            "e-mail": {"email": email},
            "phone": {"phone": phone},
            "number": {"customer_number": number},
            "last name": {"last_name": last_name[:4], "sort": "last_name"},
            "first name": {"first_name": first_name[:4], "city": [city]},
            "city by spent": {"city": [city], "sort": "-total_spent"},
            "name by last order": {"q": last_name[:4], "sort": "-last_order_date"},
            "segment by value": {"rfm_segment": ["at_risk", "lost"], "clv_min": "50", "sort": "-clv"},
            "tag": {"tags_any": [f"store-{city.split()[1]}"], "sort": "-clv"},
            "big spenders": {"total_spent_min": "500", "total_orders_min": 10, "sort": "-last_order_date"},
            "never bought": {"has_orders": False, "city": [city]},
            "month": {"created_from": "2024-03-01", "created_to": "2024-03-31", "email_marketing_consent": True},
            "newest": {"offset": draw.randrange(0, 500, 50)},
            "sorted": {"sort": draw.choice(sorts)},
            "sorted in city": {"sort": draw.choice(sorts), "city": [city]},
        }
        kind = list(kinds)[position % len(kinds)]
        yield kind, RetailCustomerSearchFilters.model_validate(kinds[kind], strict=False)


async def run(
    url: str, queries: Sequence[tuple[str, RetailCustomerSearchFilters]], clients: int
) -> dict[str, list[float]]:
    """Milliseconds of each query, by kind."""
    timings: dict[str, list[float]] = defaultdict(list)

    async def client(number: int) -> None:
        async with connect(url) as connection:
            customers = RetailCustomerRepository(connection)
            for counts in (False, True):
                for kind, filters in queries[number::clients]:
                    start = time.perf_counter()
                    async with connection.transaction():
                        await customers.search_customers(filters, clock)
                    if counts:
                        timings[kind].append((time.perf_counter() - start) * 1000)
            await connection.execute("SELECT pg_stat_force_next_flush()")

    await asyncio.gather(*(client(number) for number in range(clients)))
    return timings


def sequential_scans(url: str) -> int:
    """How often the tables have been read from end to end."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        [scans] = connection.execute(
            "SELECT sum(seq_scan)::int FROM pg_stat_user_tables WHERE relname = ANY(%s)", [scanned_tables]
        ).fetchone() or (0,)
        return int(scans)


def report(timings: Mapping[str, Sequence[float]], *, customers: int, clients: int, sequential_scans: int) -> None:
    """Print the figures by kind of query, then all as one JSON line."""
    print(f"{'':<20}{'queries':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for kind, taken in timings.items():
        print(f"{kind:<20}{len(taken):>10}{median(taken):>10.2f}{percentile(taken, 99):>10.2f}")
    every = [taken for kind in timings.values() for taken in kind]
    figures = {
        "benchmark": "search",
        "customers": customers,
        "queries": len(every),
        "clients": clients,
        "p50_ms": round(median(every), 2),
        "p99_ms": round(percentile(every, 99), 2),
        "goal_p99_ms": goal_p99_ms,
        "sequential_scans": sequential_scans,
        "met": percentile(every, 99) <= goal_p99_ms and sequential_scans == 0,
    }
    print(f"{'all':<20}{len(every):>10}{figures['p50_ms']:>10}{figures['p99_ms']:>10}")
    print(f"sequential scans: {sequential_scans}")
    met = "met" if figures["met"] else "missed"
    print(f"goal at 1,000,000 customers: p99 {goal_p99_ms} ms without sequential scans: {met}")
    print(json.dumps(figures))


def percentile(values: Sequence[float], share: int) -> float:
    """The value that `share` per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


if __name__ == "__main__":
    main()
