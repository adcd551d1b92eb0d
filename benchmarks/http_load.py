"""Load on one endpoint, in a process of its own: `python -m benchmarks.http_load --kind earn --address ...`.

Each connection sends its next request when the last one is answered. Prints one JSON line: transactions, those that
were shed, seconds, latencies.
"""

import argparse
import asyncio
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import Any, Literal, get_args
from uuid import UUID

import uvloop

from benchmarks.report import percentile

Kind = Literal["earn", "order"]
made_before_per_second = 1500


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


class Caller(asyncio.Protocol):
    """One connection that sends its requests one after the other.

    Attributes:
        taken: Seconds from each request to its answer.
        shed: Requests that were refused because of load.
        ended: Done when the time is over; fails with the first answer that nobody expected.
    """

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self.taken: list[float] = []
        self.shed = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._until = requests, until
        self._answer, self._started = b"", 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # it is a TCP connection
        """Send the first one."""
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Note the answer, once all of it is there, and send the next."""
        self._answer += data
        head, _, body = self._answer.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if length is None or len(body) < int(length[1]):
            return
        status, self._answer = head.split(b" ", 2)[1], b""
        if status == b"201":
            self.taken.append(perf_counter() - self._started)
        elif status == b"503":  # the pool stood still, as when others take the machine: not done, not a failure
            self.shed += 1
        else:
            self.ended.set_exception(AssertionError(f"{status!r}: {body!r}"))
            self._transport.close()
            return
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; before its time, that is a fault."""
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionResetError("the API hung up"))

    def _send(self) -> None:
        self._started = perf_counter()
        if self._started < self._until:
            self._transport.write(next(self._requests))
        else:
            self.ended.set_result(None)
            self._transport.close()


def requests_of(given: argparse.Namespace, number: int) -> Iterator[bytes]:
    """Requests without end, of one connection; of a customer by a seed, of an order that comes once."""
    draw, fresh = random.Random(number), random.SystemRandom()  # noqa: S311 - whom to choose is no secret
    while True:
        customer, order = draw.randrange(given.customers), fresh.randrange(1, 2**62)
        yield request_bytes(given.kind, given.address, given.token, customer, order)


async def load(given: argparse.Namespace) -> dict[str, float]:
    """Send requests over all connections for so many seconds; what came of them.

    Most requests are made before: the load shares a machine with what it loads, and is to take the least of it.
    """
    each = int(given.seconds * made_before_per_second / given.connections)
    streams = [requests_of(given, number) for number in range(given.connections)]
    made = [chain(list(islice(stream, each)), stream) for stream in streams]
    host, _, port = given.address.rpartition(":")
    loop, started = asyncio.get_running_loop(), perf_counter()
    until = started + given.seconds
    callers = [
        (await loop.create_connection(partial(Caller, requests, until), host, int(port)))[1] for requests in made
    ]
    await asyncio.gather(*(caller.ended for caller in callers))
    seconds = perf_counter() - started
    taken = [taken for caller in callers for taken in caller.taken]
    return {
        "transactions": len(taken),
        "shed": sum(caller.shed for caller in callers),
        "seconds": seconds,
        "p50_ms": percentile(taken, 50) * 1000,
        "p99_ms": percentile(taken, 99) * 1000,
    }


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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(load(given))))


if __name__ == "__main__":
    main()
