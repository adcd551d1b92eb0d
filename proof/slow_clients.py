"""Slow, silent and unreading clients, from the address of the honest ones: these notice nothing.

`python -m proof.slow_clients --size short|long --seed N --keep`, all on this machine. 70 connections send a byte of a
body and wait, 66 ask for a long answer and do not read it, 70 begin to upload orders and hang; whoever is hung up on
comes back. Honest clients award points meanwhile, half of them on a fresh connection each time, and are compared with
themselves when they were alone.
"""

import asyncio
import json
import random
import socket
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

import httpx
from benchmarks.report import percentile

from proof.result import CannotRunError, Findings, run_program
from proof.servers import Installation
from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate
from regulars.kit.database import connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings

bars = {"p99_ratio": "<= 2", "shed": "== 0", "failed": "== 0", "hostile": ">= 200"}
seconds_of = {"short": 15, "long": 60}
shortest_p99_ms = 50.0
"""A p99 below this counts as this: it stands on the ten slowest of a thousand requests, and one pause of an idle
machine doubles it. Whoever waits behind a slow client waits for seconds."""
senders, readers, uploaders = 70, 66, 70
honest, pause_seconds = 4, 0.03
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Shop:
    """Whom the honest clients serve, and what everybody signs in with."""

    host: str
    port: int
    token: str
    members: list[UUID]

    def head(self, method: str, path: str, *more: str) -> bytes:
        """The head of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", f"Authorization: Bearer {self.token}", *more]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def connect(self, *, small: bool = False) -> Client:
        """A connection; a small one takes in little that nobody reads."""
        made = socket.socket()
        made.setblocking(False)  # noqa: FBT003
        if small:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(made, (self.host, self.port))
        return await asyncio.open_connection(sock=made, limit=4096 if small else 1 << 16)


@dataclass
class Taken:
    """What honest clients saw: how long answers took, and how those that are no success began."""

    seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


async def open_shop(installation: Installation) -> Shop:
    """Members, and an API client that may award points and import orders."""
    settings, members = Settings(_env_file=None), [uuid4() for _ in range(200)]
    async with connect(installation.database_url) as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO customers (id, customer_number, created_at, updated_at)"
            " SELECT id, 'CUST-20260615-' || lpad(n::text, 4, '0'), now(), now()"
            " FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)",
            [members],
        )
        wanted = ApiClientCreate(name="till", source="till", scopes=["loyalty:earn", "orders:import", "orders:write"])
        client = await ApiClientService(connection, settings, settings.clock).create_client(wanted, by=operator)
    form = {"grant_type": "client_credentials", "client_id": str(client.id), "client_secret": client.client_secret}
    async with httpx.AsyncClient(base_url=installation.address, timeout=30) as http:
        answer = await http.post("/api/v1/auth/token", data=form)
    if answer.status_code != 200:
        raise CannotRunError("nobody can sign in")
    address = httpx.URL(installation.address)
    return Shop(address.host, address.port or 80, answer.json()["access_token"], members)


async def award(shop: Shop, client: Client, draw: random.Random) -> bytes:
    """Award a point; the first line of the answer."""
    body = json.dumps({"customer_id": str(draw.choice(shop.members)), "points": 1, "description": "honest"}).encode()
    json_type, length = "Content-Type: application/json", f"Content-Length: {len(body)}"
    reader, writer = client
    writer.write(shop.head("POST", "/api/v1/retail-customers/loyalty/earn", json_type, length) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    await reader.readexactly(lengths[0])
    return head.partition(b"\r\n")[0]


async def be_honest(shop: Shop, taken: Taken, until: float, draw: random.Random, *, afresh: bool) -> None:
    """Award points one after the other; on one connection, or on a fresh one each time."""
    client = await shop.connect()
    while perf_counter() < until:
        started = perf_counter()
        try:
            client = await shop.connect() if afresh else client
            line = await award(shop, client, draw)
        except (OSError, asyncio.IncompleteReadError) as error:
            taken.refused[type(error).__name__] += 1
            client = await shop.connect()
        else:
            taken.seconds.append(perf_counter() - started)
            if b" 201 " not in line:
                taken.refused[line.decode()] += 1
        if afresh:
            client[1].close()
        await asyncio.sleep(draw.uniform(0, 2 * pause_seconds))
    client[1].close()


async def be_hostile(shop: Shop, request: bytes, *, reads: bool, opened: Counter[str]) -> None:
    """Send a request and wait; read nothing, or only to see whether the other side hangs up. Then come back."""
    while True:
        client = await shop.connect(small=not reads)
        try:
            opened["connections"] += 1
            client[1].write(request)
            with suppress(OSError):
                while reads and await client[0].read(4096):
                    pass
                await asyncio.sleep(0 if reads else 30)
        finally:
            client[1].close()
        await asyncio.sleep(1)


async def measure(shop: Shop, seconds: float, draw: random.Random) -> Taken:
    """What honest clients see for so long."""
    taken, until = Taken(), perf_counter() + seconds
    draws = [random.Random(draw.random()) for _ in range(honest)]  # noqa: S311 - a seed makes it repeatable
    await asyncio.gather(
        *(be_honest(shop, taken, until, each, afresh=bool(number % 2)) for number, each in enumerate(draws))
    )
    return taken


async def compare(installation: Installation, seconds: float, draw: random.Random) -> tuple[Taken, Taken, int]:
    """What honest clients see when they are alone, and among the others; how many connections these opened."""
    shop, opened = await open_shop(installation), Counter[str]()
    for _ in range(12):  # each process writes the contract once, which takes it a second
        async with httpx.AsyncClient(base_url=installation.address, timeout=60) as http:
            await http.get("/api/v1/openapi.json")
    await measure(shop, 3, draw)
    alone = await measure(shop, seconds, draw)
    body, csv = ["Content-Type: application/json", "Content-Length: 900"], ["Content-Type: text/csv"]
    hostile = partial(be_hostile, shop, opened=opened)
    others = [
        *[hostile(shop.head("POST", "/api/v1/orders", *body) + b"{", reads=True) for _ in range(senders)],
        *[hostile(shop.head("GET", "/api/v1/openapi.json") * 20, reads=False) for _ in range(readers)],
        *[
            hostile(shop.head("POST", "/api/v1/orders/import", *csv, "Content-Length: 9000") + b"order_id", reads=True)
            for _ in range(uploaders)
        ],
    ]
    tasks = [asyncio.create_task(other) for other in others]
    await asyncio.sleep(3)  # until all of them are there
    among = await measure(shop, seconds, draw)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return alone, among, opened["connections"]


def prove(folder: Path, size: str, seed: int) -> Findings:
    """Measure before and during."""
    installation = Installation(folder, processes=2)
    draw = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    with installation.running():
        alone, among, opened = asyncio.run(compare(installation, seconds_of[size], draw))
    findings = Findings(evidence=[f"{what}: {count}" for what, count in among.refused.items()])
    p99 = [percentile(taken.seconds, 99) * 1000 for taken in (alone, among)]
    shed = sum(count for what, count in among.refused.items() if " 503 " in what)
    findings.figures = {
        "requests_alone": len(alone.seconds),
        "requests_among": len(among.seconds),
        "hostile": senders + readers + uploaders,
        "connections_opened": opened,
        "p99_alone_ms": round(p99[0], 1),
        "p99_among_ms": round(p99[1], 1),
        "p99_ratio": round(p99[1] / max(p99[0], shortest_p99_ms), 2),
        "shed": shed,
        "failed": sum(among.refused.values()) - shed,
    }
    return findings


if __name__ == "__main__":
    sys.exit(run_program("slow_clients", bars, (__doc__ or "").splitlines()[0], prove))
