"""The points ledger below the doors: `python -m benchmarks.ledger --customers 20000 --transactions 1000000`.

Awards to 500 customers in a transaction, and one by one, each with the ledger's guards and without; redemptions from
many lots beside those from a single one; an audit of everything.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean
from time import perf_counter, process_time
from uuid import UUID, uuid4

import psutil

from benchmarks.api import add_customers, noon, settings
from benchmarks.report import Report, reported
from benchmarks.server import add_server_option, fine_cpu_of, own_database, server_for
from regulars.kit.clock import Clock
from regulars.kit.database import Database, connect
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, bulk_earn
from regulars.loyalty.expiry import expire_all
from regulars.loyalty.schemas import LoyaltyPointsEarn, LoyaltyPointsRedeem
from regulars.loyalty.service import LoyaltyService

guarded = ("loyalty_transactions", "point_lots", "point_allocations", "point_clawbacks", "loyalty_accounts")


async def make_members(url: str, count: int) -> list[UUID]:
    """Customers without points, by ascending id."""
    ids = sorted(uuid4() for _ in range(count))
    async with connect(url) as connection:
        await add_customers(connection, ids)
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
        return perf_counter(), process_time(), fine_cpu_of(backend)

    before = now()
    yield
    results.append(Cost(*((after - start) / per for start, after in zip(before, now(), strict=True))))


async def backend_of(database: Database) -> psutil.Process:
    """The server's process behind a pool of one."""
    async with database.transaction() as connection:
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return psutil.Process(row[0] if row else None)


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


async def measure_bulk(report: Report, url: str, members: list[UUID], rounds: int) -> None:
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
    full = len(members) >= 20_000
    rates = [1 / cost.wall for cost in guards]
    report.add("bulk awards", rates, unit="/s", goal=">= 10000", judged=full)
    report.add("bulk awards, two transactions at once", [1 / cost.wall for cost in two], unit="/s")
    report.add("bulk awards without guards", [1 / cost.wall for cost in bare], unit="/s")
    report.add("bulk awards a CPU second", [1 / cost.cpu for cost in guards], unit="/s")
    report.add("program's CPU for a bulk award", [cost.client * 1e6 for cost in guards], unit="µs")
    report.add("server's CPU for a bulk award", [cost.server * 1e6 for cost in guards], unit="µs")


async def measure_single(report: Report, url: str, members: list[UUID], rounds: int, count: int) -> None:
    """Awards one by one, each in a transaction; and the guards' share of the server's CPU."""
    async with Database(url, size=1) as database:

        async def earn() -> None:
            for number in range(count):
                async with database.transaction() as connection:
                    service = LoyaltyService(connection, settings, noon)
                    award = LoyaltyPointsEarn(customer_id=members[number % len(members)], points=5, order_id=uuid4())
                    await service.earn_loyalty_points(award, by=operator)

        guards, bare = await interleaved(url, database, rounds, count, earn)
    report.add("program's CPU for an award", [cost.client * 1e6 for cost in guards], unit="µs")
    report.add("server's CPU for an award", [cost.server * 1e6 for cost in guards], unit="µs")
    pairs = zip(guards, bare, strict=True)
    report.add("guards' share of it", [1 - without.server / whole.server for whole, without in pairs])


async def measure_redeem(report: Report, url: str, members: list[UUID], rounds: int, lots: int) -> None:
    """Redemptions: from one lot, from one of many, and from many at once; CPU of both sides, twelve in a round."""
    one, many = members[:2]
    lines = [AwardLine(many, 10, expiry_days=1 + number) for number in range(lots)]
    lines.append(AwardLine(one, 10 * lots, expiry_days=1))
    found: dict[str, list[float]] = {"one": [], "held": [], "used": []}
    async with Database(url, size=1) as database:
        backend = await backend_of(database)

        async def redeem(member: UUID, points: int, results: list[Cost]) -> None:
            async with timed(results, backend), database.transaction() as connection:
                redemption = LoyaltyPointsRedeem(customer_id=member, points=points)
                await LoyaltyService(connection, settings, noon).redeem_loyalty_points(redemption, by=operator)

        for _ in range(rounds + 1):
            costs: dict[str, list[Cost]] = {name: [] for name in found}
            for _ in range(12):
                await bulk_earn(database, noon, lines, by=operator)
                await redeem(one, 10, costs["one"])
                await redeem(many, 10, costs["held"])
                await redeem(one, 10 * lots - 10, costs["one"])
                await redeem(many, 10 * lots - 10, costs["used"])
            for name, taken in costs.items():
                found[name].append(fmean(cost.cpu for cost in taken) * 1e6)
    single, held, used = (taken[1:] for taken in found.values())
    report.add("CPU of a redemption from a single lot", single, unit="µs")
    ratios = [whole / part for whole, part in zip(held, single, strict=True)]
    report.add(f"redemption from one of {lots} lots beside it", ratios)
    ratios = [whole / part for whole, part in zip(used, single, strict=True)]
    report.add(f"redemption from {lots} lots beside it", ratios, goal="<= 2", judged=lots >= 200)


async def measure_audit(report: Report, url: str, members: list[UUID], transactions: int) -> None:
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
        audit, taken = await AuditService(connection).audit_ledger(), []
        for _ in range(3):
            start = perf_counter()
            audit = await AuditService(connection).audit_ledger()
            taken.append(perf_counter() - start)
    if audit.violations:
        message = f"the ledger is not sound: {audit.counts}"
        raise AssertionError(message)
    judged = audit.transactions >= 1_000_000
    report.add(f"audit of {audit.transactions:,} transactions", taken, unit="s", goal="<= 60", judged=judged)


async def measure(report: Report, url: str, given: argparse.Namespace) -> None:
    """All figures, on one database."""
    members = await make_members(url, given.customers)
    await measure_bulk(report, url, members, given.rounds)
    async with connect(url) as connection:
        await connection.execute("SET ROLE NONE")
        await connection.execute("VACUUM ANALYZE")  # as autovacuum would within a minute: plans need to know the tables
    await measure_single(report, url, members, given.rounds, given.singles)
    await measure_redeem(report, url, members, given.rounds, given.lots)
    await measure_audit(report, url, members, given.transactions)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=300, help="single awards per round")
    parser.add_argument("--lots", type=int, default=200)
    parser.add_argument("--transactions", type=int, default=100_000, help="size of the audited ledger")
    add_server_option(parser)
    given = parser.parse_args()
    with (
        server_for(given.server_url) as server_url,
        own_database(server_url) as url,
        reported("ledger", __doc__, given, server_url=url) as report,
    ):
        asyncio.run(measure(report, url, given))


if __name__ == "__main__":
    main()
