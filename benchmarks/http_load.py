"""Load on POST /loyalty/earn, in a process of its own: `python -m benchmarks.http_load --address ... --token ...`.

Each connection sends its next award when the last one is answered. Prints one JSON line: awards, those that
were shed, seconds, latencies.
"""

import argparse
import asyncio
import json
import random
from time import perf_counter
from uuid import UUID

from benchmarks.search import percentile


def request_bytes(host: str, token: str, customer: int, order: int) -> bytes:
    """One award as it goes over the wire; ids are made of the two numbers."""
    award = {"customer_id": str(id_of(customer)), "points": 5, "order_id": str(id_of(order))}
    body = json.dumps(award).encode()
    head = (
        f"POST /api/v1/retail-customers/loyalty/earn HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: key-{order}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def id_of(number: int) -> UUID:
    """The number as an id, digit by digit, as SQL can make it too."""
    return UUID(f"{number:032d}")


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head.split(b" ")[1]), await reader.readexactly(length)


async def load(given: argparse.Namespace) -> tuple[list[float], int]:
    """Send awards over all connections for so many seconds; the seconds that each took, and how many were shed."""
    host, _, port = given.address.rpartition(":")
    until = perf_counter() + given.seconds
    taken: list[float] = []
    shed = 0

    async def send(number: int) -> None:
        nonlocal shed
        draw = random.Random(f"{given.seed}-{number}")  # noqa: S311 - whom to award is no secret
        reader, writer = await asyncio.open_connection(host, int(port))
        while (started := perf_counter()) < until:
            customer, order = draw.randrange(given.customers), draw.randrange(1, 2**62)
            writer.write(request_bytes(given.address, given.token, customer, order))
            status, body = await answer(reader)
            if status == 503:  # the pool stood still, as when others take the machine: not an award, not a failure
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
    parser.add_argument("--address", required=True, help="host:port")
    parser.add_argument("--token", required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", required=True)
    given = parser.parse_args()
    started = perf_counter()
    taken, shed = asyncio.run(load(given))
    figures = {
        "awards": len(taken),
        "shed": shed,
        "seconds": perf_counter() - started,
        "p50_ms": percentile(taken, 50) * 1000,
        "p99_ms": percentile(taken, 99) * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
