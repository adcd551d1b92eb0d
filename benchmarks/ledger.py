"""Speed of the points ledger below the doors: bulk awards, the price of the guards, many lots, the audit.

python -m benchmarks.ledger --server-url 'postgresql://postgres@/postgres?host=/tmp/sockets' --transactions 1000000

Both sides of a comparison run in one run on the same server, interleaved; figures are medians. Without a server's
address the embedded PostgreSQL is used, with durable settings.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from time import perf_counter, process_time
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from regulars.kit.clock import Clock
from regulars.kit.database import Database, connect
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, bulk_earn
from regulars.loyalty.expiry import expire_all
from regulars.loyalty.schemas import LoyaltyPointsEarn, LoyaltyPointsRedeem
from regulars.loyalty.service import LoyaltyService
from regulars.migrations import migrate

noon = Clock(ZoneInfo("Europe/Berlin"), stopped_at=datetime(2026, 6, 15, 10, tzinfo=UTC))
settings = Settings(_env_file=None)
guarded = ("loyalty_transactions", "point_lots", "point_allocations", "point_clawbacks", "loyalty_accounts")


@contextmanager
def fresh_database(server_url: str | None) -> Iterator[str]:
    """A migrated database of its own, dropped at the end."""
    if server_url is None:
        with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder, EmbeddedPostgres(Path(folder)) as url:
            migrate(url)
            yield url
        return
    name = f"bench_ledger_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            url = make_conninfo(server_url, dbname=name)
            migrate(url)
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def make_members(url: str, count: int) -> list[UUID]:
    """Customers without points, by ascending id."""
    ids = sorted(uuid4() for _ in range(count))
    async with connect(url) as connection:
        await connection.execute(
            """
            INSERT INTO customers (id, customer_number, created_at, updated_at)
            SELECT id, 'CUST-20260615-' || lpad(n::text, 9, '0'),
                now(), now()
            FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)
            """,
            [ids],
        )
        await connection.execute("SET ROLE NONE")
        await connection.execute("ANALYZE")
    return ids


async def set_guards(url: str, *, on: bool) -> None:
    """Switch the notes of what was touched, and with them the check at commit."""
    async with connect(url) as connection:
        await connection.execute("SET ROLE NONE")
        for table in guarded:
            for name in ("note_added", "note_changed"):
                if name == "note_added" or table in {"point_lots", "loyalty_accounts"}:
                    action = "ENABLE ALWAYS" if on else "DISABLE"
                    await connection.execute(f"ALTER TABLE {table} {action} TRIGGER {name}")


@dataclass(frozen=True)
class Cost:
    """Seconds of one operation: by the wall, of our CPU, and of the CPU of the server's process."""

    wall: float
    client: float
    server: float

    @property
    def cpu(self) -> float:
        """CPU of both sides."""
        return self.client + self.server


@asynccontextmanager
async def timed(results: list[Cost], backend: psutil.Process, per: int = 1) -> AsyncIterator[None]:
    """Append what the block costs, divided by the operations in it."""

    def now() -> tuple[float, float, float]:
        server = backend.cpu_times()
        return perf_counter(), process_time(), server.user + server.system

    before = now()
    yield
    results.append(Cost(*((after - start) / per for start, after in zip(before, now(), strict=True))))


async def backend_of(database: Database) -> psutil.Process:
    """The server's process behind a pool of one."""
    async with database.transaction() as connection:
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return psutil.Process(row[0] if row else None)


def middle(costs: list[Cost], figure: str) -> float:
    """The median of one figure."""
    return median(getattr(cost, figure) for cost in costs)


async def interleaved(
    url: str, database: Database, rounds: int, per: int, work: Callable[[], Awaitable[object]]
) -> tuple[list[Cost], list[Cost]]:
    """What an operation costs with guards and without, A B B A, the first round thrown away."""
    times: dict[bool, list[Cost]] = {True: [], False: []}
    backend = await backend_of(database)
    for number in range(rounds + 1):
        for on in (True, False) if number % 2 else (False, True):
            await set_guards(url, on=on)
            async with timed(times[on], backend, per):
                await work()
    await set_guards(url, on=True)
    return times[True][1:], times[False][1:]


async def measure_bulk(url: str, members: list[UUID], rounds: int) -> dict[str, float]:
    """Awards through the set-based path, 500 customers in a transaction."""
    lines = [AwardLine(member, 100, expiry_days=365) for member in members]
    async with Database(url, size=1) as database:
        guards, bare = await interleaved(
            url, database, rounds, len(lines), lambda: bulk_earn(database, noon, lines, by=operator)
        )
    async with Database(url, size=2) as database:
        two, _ = await interleaved(
            url, database, rounds, len(lines), lambda: bulk_earn(database, noon, lines, by=operator, at_once=2)
        )
    return {
        "bulk_earn_per_s": round(1 / middle(guards, "wall")),
        "bulk_earn_per_s_without_guards": round(1 / middle(bare, "wall")),
        "bulk_earn_per_s_two_at_once": round(1 / middle(two, "wall")),
        "bulk_earn_per_cpu_s": round(1 / middle(guards, "cpu")),
        "bulk_earn_client_us": round(middle(guards, "client") * 1e6, 1),
        "bulk_earn_server_us": round(middle(guards, "server") * 1e6, 1),
        "bulk_earn_server_us_without_guards": round(middle(bare, "server") * 1e6, 1),
    }


async def measure_single(url: str, members: list[UUID], rounds: int, count: int) -> dict[str, float]:
    """Awards one by one, each in a transaction; and the guards' share of the server's CPU."""
    async with Database(url, size=1) as database:

        async def earn() -> None:
            for number in range(count):
                async with database.transaction() as connection:
                    service = LoyaltyService(connection, settings, noon)
                    award = LoyaltyPointsEarn(customer_id=members[number % len(members)], points=5, order_id=uuid4())
                    await service.earn_loyalty_points(award, by=operator)

        guards, bare = await interleaved(url, database, rounds, count, earn)
    return {
        "earn_client_us": round(middle(guards, "client") * 1e6),
        "earn_server_us": round(middle(guards, "server") * 1e6),
        "earn_server_us_without_guards": round(middle(bare, "server") * 1e6),
        "earn_guard_share": round(1 - middle(bare, "server") / middle(guards, "server"), 3),
    }


async def measure_redeem(url: str, member_one: UUID, member_many: UUID, rounds: int, lots: int) -> dict[str, float]:
    """Redemptions: from one lot, from one of many, and from many at once."""
    async with Database(url, size=1) as database:
        lines = [AwardLine(member_many, 10, expiry_days=1 + number) for number in range(lots)]
        lines.append(AwardLine(member_one, 10 * lots, expiry_days=1))
        costs: dict[str, list[Cost]] = {"one": [], "held": [], "used": []}
        backend = await backend_of(database)

        async def redeem(member: UUID, points: int, results: list[Cost]) -> None:
            async with timed(results, backend), database.transaction() as connection:
                redemption = LoyaltyPointsRedeem(customer_id=member, points=points)
                await LoyaltyService(connection, settings, noon).redeem_loyalty_points(redemption, by=operator)

        for _ in range(rounds * 12):
            await bulk_earn(database, noon, lines, by=operator)
            await redeem(member_one, 10, costs["one"])
            await redeem(member_many, 10, costs["held"])
            await redeem(member_one, 10 * lots - 10, costs["one"])
            await redeem(member_many, 10 * lots - 10, costs["used"])
    one, held, used = (fmean(cost.cpu for cost in costs[name][4:]) for name in ("one", "held", "used"))
    return {
        "redeem_from_1_lot_cpu_us": round(one * 1e6),
        f"redeem_beside_{lots}_lots_cpu_us": round(held * 1e6),
        f"redeem_from_{lots}_lots_cpu_us": round(used * 1e6),
        "ratio_beside": round(held / one, 2),
        "ratio_from": round(used / one, 2),
    }


async def measure_audit(url: str, members: list[UUID], transactions: int) -> dict[str, float]:
    """Fill up with an award and the expiry of another for each customer and month, then audit everything."""
    async with Database(url, size=1) as database, connect(url) as connection:
        written: int = (await AuditService(connection).audit_ledger()).transactions
        month = 0
        while written < transactions:
            clock = Clock(noon.store_timezone, stopped_at=noon.now() + timedelta(days=30 * month))
            lines = [AwardLine(member, 100, expiry_days=365) for member in members]
            written += len(await bulk_earn(database, clock, lines, by=operator))
            written += (await expire_all(database, clock, by=operator)).customers
            month += 1
        await connection.execute("SET ROLE NONE")
        await connection.execute("ANALYZE")
        start = perf_counter()
        audit = await AuditService(connection).audit_ledger()
        seconds = perf_counter() - start
    if audit.violations:
        message = f"the ledger is not sound: {audit.counts}"
        raise AssertionError(message)
    return {"audited_transactions": audit.transactions, "audit_s": round(seconds, 2)}


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, float | str]:
    """All figures, on one database."""
    members = await make_members(url, arguments.customers)
    async with connect(url) as connection:
        (durable,) = await (await connection.execute("SELECT current_setting('fsync')")).fetchone() or ("",)
    figures: dict[str, float | str] = {"fsync": durable, "load_before": round(os.getloadavg()[0], 2)}
    figures |= await measure_bulk(url, members, arguments.rounds)
    async with connect(url) as connection:
        await connection.execute("SET ROLE NONE")
        await connection.execute("VACUUM ANALYZE")  # as autovacuum would within a minute: plans need to know the tables
    figures |= await measure_single(url, members, arguments.rounds, arguments.singles)
    figures |= await measure_redeem(url, members[0], members[1], arguments.rounds, arguments.lots)
    if arguments.transactions:
        figures |= await measure_audit(url, members, arguments.transactions)
    return figures | {"load_after": round(os.getloadavg()[0], 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server-url", help="a superuser's address of a PostgreSQL server")
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=300, help="single awards per round")
    parser.add_argument("--lots", type=int, default=200)
    parser.add_argument("--transactions", type=int, default=100_000, help="size of the audited ledger; 0 skips it")
    arguments = parser.parse_args()
    with fresh_database(arguments.server_url) as url:
        figures = asyncio.run(measure(url, arguments))
    for name, value in figures.items():
        print(f"{name:34} {value}")
    print(json.dumps({"benchmark": "ledger", **figures}))


if __name__ == "__main__":
    main()
