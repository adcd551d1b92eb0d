"""Pages of searches: `python -m benchmarks.search --customers 1000000 --queries 2000`.

Parts of names, addresses and numbers, filters and sorts, about customers drawn at random; first pages, without the
exact count, each in a transaction of its own. A first round, which fills the caches, does not count. No page may read
a table from end to end.
"""

import argparse
import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, get_args
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.report import Report, percentile, reported
from benchmarks.server import add_server_option, own_database, server_for
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_search import RetailCustomerSearchFilters, SortKey
from regulars.kit.clock import Clock
from regulars.kit.database import connect

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
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    add_server_option(parser)
    given = parser.parse_args()
    with server_for(given.server_url) as server_url, own_database(server_url) as url:
        seed(url, given.customers)
        queries = list(mixed_queries(asyncio.run(sample_customers(url)), given.queries, given.seed))
        with reported("search", __doc__, given, server_url=url) as report:
            scans = sequential_scans(url)
            rounds = [asyncio.run(run(url, queries, given.clients)) for _ in range(given.rounds + 1)][1:]
            tell(report, rounds, sequential_scans(url) - scans, judged=given.customers >= 1_000_000)


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
            for kind, filters in queries[number::clients]:
                start = time.perf_counter()
                async with connection.transaction():
                    await customers.search_customers(filters, clock)
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


def tell(report: Report, rounds: Sequence[Mapping[str, Sequence[float]]], scans: int, *, judged: bool) -> None:
    """The figures of the rounds: of all queries together, then of the slowest kind."""
    whole = [[taken for kind in timings.values() for taken in kind] for timings in rounds]
    report.add("p50 of all", [percentile(taken, 50) for taken in whole], unit="ms")
    report.add("p99 of all", [percentile(taken, 99) for taken in whole], unit="ms", goal="<= 50", judged=judged)
    report.add("tables read from end to end", [scans], goal="<= 0", judged=judged)
    slowest = {kind: median(percentile(timings[kind], 99) for timings in rounds) for kind in rounds[0]}
    report.details["p99 by kind of query, ms"] = {kind: round(taken, 2) for kind, taken in slowest.items()}
    kind = max(slowest, key=slowest.__getitem__)
    report.add(f"p99 of the slowest kind: {kind}", [percentile(timings[kind], 99) for timings in rounds], unit="ms")


if __name__ == "__main__":
    main()
