"""Load on one endpoint, in a process of its own: `python -m benchmarks.http_load --kind earn --address ...`.

Each connection sends its next request when the last one is answered. Prints one JSON line: transactions, those that
were shed, seconds, latencies.
"""

import argparse
import asyncio
import json
import random
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal, get_args
from uuid import UUID

import uvloop

from benchmarks.report import percentile

Kind = Literal["earn", "order"]


def request_bytes(kind: Kind, host: str, token: str, customer: int, order: int) -> bytes:
    """One request as it goes over the wire; ids are made of the two numbers."""
    path, key, data = _award(customer, order) if kind == "earn" else _order(customer, order)
    body = json.dumps(data).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{key}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _award(customer: int, order: int) -> tuple[str, str, dict[str, Any]]:
    data = {"customer_id": str(id_of(customer)), "points": 5, "order_id": str(id_of(order))}
    return "/api/v1/retail-customers/loyalty/earn", f"Idempotency-Key: key-{order}\r\n", data


def _order(customer: int, order: int) -> tuple[str, str, dict[str, Any]]:
    return "/api/v1/orders", "", order_of(id_of(customer), str(order))


def order_of(customer_id: UUID, external_id: str) -> dict[str, Any]:
    """An order of three lines, made now."""
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


def id_of(number: int) -> UUID:
    """The number as an id, digit by digit, as SQL can make it too."""
    return UUID(f"{number:032d}")


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split(b" ")[1]), await reader.readexactly(length)


async def load(given: argparse.Namespace) -> tuple[list[float], int]:
    """Send requests over all connections for so many seconds; the seconds that each took, and how many were shed."""
    host, _, port = given.address.rpartition(":")
    until = perf_counter() + given.seconds
    taken: list[float] = []
    shed = 0

    async def send(number: int) -> None:
        nonlocal shed
        draw, fresh = random.Random(number), random.SystemRandom()  # noqa: S311 - whom to choose is no secret
        reader, writer = await asyncio.open_connection(host, int(port))
        while (started := perf_counter()) < until:
            customer, order = draw.randrange(given.customers), fresh.randrange(1, 2**62)  # orders come once
            writer.write(request_bytes(given.kind, given.address, given.token, customer, order))
            status, body = await answer(reader)
            if status == 503:  # the pool stood still, as when others take the machine: not done, not a failure
                shed += 1
                continue
            if status != 201:
                message = f"status {status}: {body!r}"
                raise AssertionError(message)
            taken.append(perf_counter() - started)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(given.connections):
            group.create_task(send(number))
    return taken, shed


def main() -> None:
    """Load and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_load", description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=get_args(Kind), required=True)
    parser.add_argument("--address", required=True, help="host:port")
    parser.add_argument("--token", required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    given = parser.parse_args()
    started = perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # takes the least of a machine that it shares
        taken, shed = runner.run(load(given))
    figures = {
        "transactions": len(taken),
        "shed": shed,
        "seconds": perf_counter() - started,
        "p50_ms": percentile(taken, 50) * 1000,
        "p99_ms": percentile(taken, 99) * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
