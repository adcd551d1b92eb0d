"""Orders over HTTP beside the bare statements of an order: `python -m benchmarks.orders_http --orders 2000 --rounds 3`.

Ours is `POST /api/v1/orders` against `regulars serve` with one worker, several callers at a time: token, session,
checks, order with lines, award, metrics, live score, answer. Beside it stand the very statements that one such order
runs in its transaction, recorded once and sent again by psycopg with other ids, by as many connections at a time, on
the same server and the same database. Rounds are interleaved A B B A after one that is discarded.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import httpx
from psycopg import AsyncCursor

from benchmarks.imports import own_database
from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate, ApiClientCreated
from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.customers.models import CustomerProfile, NewCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.flows.record_purchase import record_purchase
from regulars.kit.database import Connection, Database, connect
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.orders.schemas import OrderCreate

uuid_oid = 2950
secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778"  # noqa: S105 - of a database that lives for minutes
settings = Settings(_env_file=None, jwt_secret=secret)


@dataclass(frozen=True)
class Statement:
    """A statement of an order as it was run, and the ids in the first row that came back."""

    query: Any
    parameters: Any
    ids: Sequence[UUID | None]


@dataclass
class Shop:
    """What both sides sell to whom, and the statements of one sale."""

    url: str
    customers: list[UUID]
    client: ApiClientCreated
    buyer: UUID = field(default_factory=uuid4)
    statements: list[Statement] = field(default_factory=list)


def body_of(customer_id: UUID, external_id: str) -> dict[str, Any]:
    """An order of three lines."""
    lines = [{"sku": f"S{number}", "quantity": 2, "unit_price": "9.95"} for number in range(3)]
    told = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return {
        "source": "bench",
        "external_id": external_id,
        "customer_id": str(customer_id),
        "ordered_at": told,
        "total": "59.70",
        "lines": lines,
    }


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
    now = datetime.now(UTC)
    async with Database(url, size=1) as database:
        async with database.transaction() as connection:
            repository = RetailCustomerRepository(connection)
            people = [
                (await repository.create_customer(NewCustomer(CustomerProfile(first_name="John"), now, now.date()))).id
                for _ in range(customers)
            ]
            wanted = ApiClientCreate(name="bench", source="bench", scopes=["orders:write"])
            client = await ApiClientService(connection, settings, settings.clock).create_client(wanted, by=operator)
            for customer_id in people:
                await sell(connection, customer_id, uuid4().hex)
        async with database.transaction() as connection:
            scoring = RFMService(connection, settings, settings.clock)
            await scoring.score_customers(ScoringRequest("all", settings.clock.today(), "bench"))
        shop = Shop(url, people[1:], client, people[0])
        async with database.transaction() as connection:
            await sell(connection, shop.buyer, "first of the day")
        async with database.transaction() as connection:
            with recorded(shop.statements):
                await sell(connection, shop.buyer, "recorded")
    return shop


async def sell(connection: Connection, customer_id: UUID, external_id: str) -> None:
    """Take in an order below the door."""
    by = Principal(id=UUID(int=1), kind="client", role="service", scopes=frozenset({"orders:write"}), source="bench")
    order = OrderCreate.model_validate(body_of(customer_id, external_id))
    await record_purchase(connection, order, by=by, settings=settings, clock=settings.clock)


async def replay(connection: Connection, shop: Shop, customer_id: UUID, external_id: str) -> None:
    """The statements of a sale to another customer, under another id."""
    known: dict[Any, Any] = {shop.buyer: customer_id, "recorded": external_id}
    async with connection.transaction():
        for statement in shop.statements:
            cursor = await connection.execute(statement.query, replaced(statement.parameters, known))
            if cursor.description:
                found = ids_of(cursor)
                known |= {old: new for old, new in zip(statement.ids, found, strict=False) if old is not None}
                await cursor.fetchall()


async def in_parallel(orders: int, at_once: int, work: Callable[[int, int], Awaitable[None]]) -> float:
    """Orders a second: `work(desk, number)` for each order, so many desks at once."""
    numbers = iter(range(orders))

    async def desk(place: int) -> None:
        for number in numbers:
            await work(place, number)

    started = perf_counter()
    await asyncio.gather(*(desk(place) for place in range(at_once)))
    return orders / (perf_counter() - started)


async def rate_of_http(shop: Shop, base: str, orders: int, at_once: int) -> float:
    """Orders a second over HTTP."""
    mark = uuid4().hex[:8]
    credentials = {"client_id": str(shop.client.id), "client_secret": shop.client.client_secret}
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        form = {"grant_type": "client_credentials"} | credentials
        token = (await client.post("/api/v1/auth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"

        async def post(_: int, number: int) -> None:
            customer_id = shop.customers[number % len(shop.customers)]
            answer = await client.post("/api/v1/orders", json=body_of(customer_id, f"{mark}-{number}"))
            if answer.status_code != 201:
                message = f"an order was not taken in: {answer.status_code} {answer.text}"
                raise RuntimeError(message)

        return await in_parallel(orders, at_once, post)


async def rate_of_statements(shop: Shop, orders: int, at_once: int) -> float:
    """Orders a second by their statements alone."""
    mark = uuid4().hex[:8]
    async with asyncio.timeout(600):
        connections = [connect(shop.url) for _ in range(at_once)]
        desks = [await connection.__aenter__() for connection in connections]
        try:

            async def send(place: int, number: int) -> None:
                customer_id = shop.customers[number % len(shop.customers)]
                await replay(desks[place], shop, customer_id, f"{mark}-{number}")

            return await in_parallel(orders, at_once, send)
        finally:
            for connection in connections:
                await connection.__aexit__(None, None, None)


@asynccontextmanager
async def served(url: str) -> AsyncIterator[str]:
    """The address of `regulars serve` on this database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"REGULARS_DATABASE_URL": url, "REGULARS_JWT_SECRET": secret}
    command = [sys.executable, "-m", "regulars", "serve", "--port", str(port)]
    server = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                try:
                    if (await client.get(f"{base}/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        yield base
    finally:
        server.terminate()
        server.wait(30)


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


async def measure(url: str, arguments: argparse.Namespace) -> dict[str, float | int]:
    """Both sides in turns."""
    shop = await open_shop(url, arguments.customers)
    rates: dict[str, list[float]] = {"http": [], "statements": []}
    async with served(url) as base:
        for number in range(arguments.rounds + 1):
            for side in ("http", "statements") if number % 2 else ("statements", "http"):
                if side == "http":
                    rates[side].append(await rate_of_http(shop, base, arguments.orders, arguments.at_once))
                else:
                    rates[side].append(await rate_of_statements(shop, arguments.orders, arguments.at_once))
    await require_all_earned(url)
    pairs = list(zip(rates["http"][1:], rates["statements"][1:], strict=True))
    return {
        "orders": arguments.orders,
        "at_once": arguments.at_once,
        "statements_per_order": len(shop.statements),
        "http_orders_per_s": round(median(http for http, _ in pairs)),
        "bare_orders_per_s": round(median(bare for _, bare in pairs)),
        "ratio": round(median(http / bare for http, bare in pairs), 3),
        "load_after": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server-url", help="a superuser's address of a PostgreSQL server; default: an embedded one")
    parser.add_argument("--customers", type=int, default=50)
    parser.add_argument("--orders", type=int, default=200, help="per round and side")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        server = arguments.server_url
        if server is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="regulars-bench-"))
            server = stack.enter_context(EmbeddedPostgres(Path(folder)))
        url = stack.enter_context(own_database(server))
        figures = asyncio.run(measure(url, arguments))
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print(json.dumps({"benchmark": "orders_http", **figures}))


if __name__ == "__main__":
    main()
