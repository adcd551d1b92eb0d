"""Orders over HTTP beside the bare statements of an order: `python -m benchmarks.orders_http --seconds 10 --rounds 5`.

Ours is `POST /api/v1/orders` against `regulars serve` with one worker, several callers at a time: token, session,
checks, order with lines, award, metrics, live score, answer. Beside it stand the very statements that one such order
runs in its transaction, recorded once and sent again by psycopg with other ids, by as many connections at a time, on
the same server and the same database.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import psutil
from psycopg import AsyncCursor

from benchmarks.api import Api, Cost, Load, add_client, add_customers, load_api, serving, settings
from benchmarks.http_load import id_of, order_of
from benchmarks.report import Report, reported, rounds_of
from benchmarks.server import add_server_option, cpu_of, local_server, own_database, server_for, settled_cpu_of
from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.flows.record_purchase import record_purchase
from regulars.kit.database import Connection, Database, connect
from regulars.kit.security import Principal
from regulars.orders.schemas import OrderCreate

uuid_oid = 2950


@dataclass(frozen=True)
class Statement:
    """A statement of an order as it was run, and the ids in the first row that came back."""

    query: Any
    parameters: Any
    ids: Sequence[UUID | None]


@dataclass
class Shop:
    """What both sides sell to whom, and the statements of one sale, which is to the first customer."""

    url: str
    customers: int
    client: dict[str, str]
    statements: list[Statement] = field(default_factory=list)


def ids_of(cursor: AsyncCursor[Any]) -> list[UUID | None]:
    """The ids in the first row of a result, by column."""
    result = cursor.pgresult
    if result is None or not cursor.description or not result.ntuples:
        return []
    values = (result.get_value(0, place) for place in range(result.nfields))
    return [
        UUID(value.decode()) if value is not None and column.type_code == uuid_oid else None
        for value, column in zip(values, cursor.description, strict=True)
    ]


@contextmanager
def recorded(statements: list[Statement]) -> Iterator[None]:
    """Keep the statements that the block runs."""
    execute = AsyncCursor.execute

    async def keeping(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401
        done = await execute(cursor, query, params, **options)
        statements.append(Statement(query, params, ids_of(cursor)))
        return done

    AsyncCursor.execute = keeping  # type: ignore[method-assign]
    try:
        yield
    finally:
        AsyncCursor.execute = execute  # type: ignore[method-assign]


def replaced(value: Any, known: dict[Any, Any]) -> Any:  # noqa: ANN401 - any parameter
    """Parameters with the ids of another order."""
    if isinstance(value, dict):
        return {name: replaced(part, known) for name, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, known) for part in value]
    return known.get(value, value) if isinstance(value, UUID | str) else value


async def open_shop(url: str, customers: int) -> Shop:
    """Customers who have bought once, a full run over them, an API client, and the statements of a sale."""
    async with Database(url, size=1) as database:
        async with database.transaction() as connection:
            people = [id_of(number) for number in range(customers)]
            await add_customers(connection, people)
            shop = Shop(url, customers, await add_client(connection, "orders:write"))
            for customer_id in people:
                await sell(connection, customer_id, uuid4().hex)
        async with database.transaction() as connection:
            scoring = RFMService(connection, settings, settings.clock)
            await scoring.score_customers(ScoringRequest("all", settings.clock.today(), "bench"))
        async with database.transaction() as connection:
            await sell(connection, id_of(0), "first of the day")
        async with database.transaction() as connection:
            with recorded(shop.statements):
                await sell(connection, id_of(0), "recorded")
    return shop


async def sell(connection: Connection, customer_id: UUID, external_id: str) -> None:
    """Take in an order below the door."""
    by = Principal(id=UUID(int=1), kind="client", role="service", scopes=frozenset({"orders:write"}), source="bench")
    order = OrderCreate.model_validate(order_of(customer_id, external_id))
    await record_purchase(connection, order, by=by, settings=settings, clock=settings.clock)


async def replay(connection: Connection, shop: Shop, customer_id: UUID, external_id: str) -> None:
    """The statements of a sale to another customer, under another id."""
    known: dict[Any, Any] = {id_of(0): customer_id, "recorded": external_id}
    async with connection.transaction():
        for statement in shop.statements:
            cursor = await connection.execute(statement.query, replaced(statement.parameters, known))
            if cursor.description:
                found = ids_of(cursor)
                known |= {old: new for old, new in zip(statement.ids, found, strict=False) if old is not None}
                await cursor.fetchall()


async def replay_for(shop: Shop, seconds: float, at_once: int) -> int:
    """Send the statements of sales over so many connections for so many seconds; answers the sales."""
    mark, done = uuid4().hex[:8], 0
    async with AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(connect(shop.url)) for _ in range(at_once)]
        until = perf_counter() + seconds

        async def desk(connection: Connection) -> None:
            nonlocal done
            while perf_counter() < until:
                done += 1
                await replay(connection, shop, id_of(done % shop.customers), f"{mark}-{done}")

        await asyncio.gather(*map(desk, desks))
    return done


def run_statements(shop: Shop, server: psutil.Process, seconds: float, at_once: int) -> Cost:
    """The statements alone for the seconds of a round."""
    program = psutil.Process()
    started, own, database = perf_counter(), sum(program.cpu_times()[:2]), cpu_of(server)
    done = asyncio.run(replay_for(shop, seconds, at_once))
    taken = perf_counter() - started
    return Cost(done, taken, sum(program.cpu_times()[:2]) - own, settled_cpu_of(server) - database)


def measure(shop: Shop, api: Api, server: psutil.Process, given: argparse.Namespace) -> list[dict[str, Cost]]:
    """What each side cost in each counted round."""

    def run(side: str) -> Cost:
        if side == "statements":
            return run_statements(shop, server, given.seconds, given.at_once)
        return load_api(api, server, Load("order", shop.customers, given.seconds, given.at_once))

    return rounds_of(given.rounds, ["http", "statements"], run)


def tell(report: Report, rounds: list[dict[str, Cost]]) -> None:
    """The figures of the rounds."""
    over_http, bare = [costs["http"] for costs in rounds], [costs["statements"] for costs in rounds]
    pairs = list(zip(over_http, bare, strict=True))
    report.add("rate over HTTP beside the statements alone", [whole.per_s / part.per_s for whole, part in pairs])
    report.add("CPU of an order, API and server, beside them", [whole.cpu_us / part.cpu_us for whole, part in pairs])
    report.add("orders over HTTP", [cost.per_s for cost in over_http], unit="/s")
    report.add("orders over HTTP, p50", [cost.p50_ms for cost in over_http], unit="ms")
    report.add("orders over HTTP, p99", [cost.p99_ms for cost in over_http], unit="ms")
    report.add("orders by their statements alone", [cost.per_s for cost in bare], unit="/s")
    report.add("CPU of API for an order", [cost.program_us for cost in over_http], unit="µs")
    report.add("CPU of the server for an order by API", [cost.server_us for cost in over_http], unit="µs")


async def require_all_earned(url: str) -> None:
    """Neither side may have left anything out: every order has its award, and every customer the right metrics."""
    async with connect(url) as connection:
        cursor = await connection.execute(
            """
            SELECT (SELECT count(*) FROM orders) = (SELECT count(*) FROM loyalty_transactions)
                AND (SELECT sum(total_orders) FROM customer_metrics) = (SELECT count(*) FROM orders)
            """
        )
        if await cursor.fetchone() != (True,):
            message = "some orders have no award, or are missing in the metrics"
            raise RuntimeError(message)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orders_http", description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of a round of one side")
    parser.add_argument("--at-once", type=int, default=4)
    add_server_option(parser)
    given = parser.parse_args()
    with server_for(given.server_url) as server_url, own_database(server_url) as url:
        shop = asyncio.run(open_shop(url, given.customers))
        with reported("orders_http", __doc__, given, server_url=url) as report:
            report.details["statements of an order"] = len(shop.statements)
            server = local_server(url)
            if server is None:
                parser.error("the server has to run on this machine: its CPU is part of the figures")
            with serving(url, 1, shop.client) as api:
                tell(report, measure(shop, api, server, given))
            asyncio.run(require_all_earned(url))


if __name__ == "__main__":
    main()
