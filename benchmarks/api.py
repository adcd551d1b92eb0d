"""`regulars serve` on a shop of a benchmark, and the load on it."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

import psutil

from benchmarks.http_load import Kind
from benchmarks.server import cpu_of
from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings

settings = Settings(_env_file=None)
noon = Clock(ZoneInfo("Europe/Berlin"), stopped_at=datetime(2026, 6, 15, 10, tzinfo=UTC))


@dataclass(frozen=True)
class Api:
    """A running API: its first process, where it listens, a token that it takes."""

    process: psutil.Process
    address: str
    token: str


@dataclass(frozen=True)
class Cost:
    """What a round of one side came to: transactions, seconds, and CPU seconds of the program and of the server.

    Of several that were committed together each counts; `commits` are the server's, where they were counted.
    """

    transactions: int
    seconds: float
    program: float
    server: float
    p50_ms: float = 0
    p99_ms: float = 0
    shed: int = 0
    commits: int = 0

    @property
    def per_s(self) -> float:
        """Transactions a second."""
        return self.transactions / self.seconds

    @property
    def program_us(self) -> float:
        """Microseconds of the program's CPU for one transaction."""
        return self.program / self.transactions * 1e6

    @property
    def server_us(self) -> float:
        """Microseconds of the server's CPU for one transaction."""
        return self.server / self.transactions * 1e6

    @property
    def cpu_us(self) -> float:
        """Both together."""
        return self.program_us + self.server_us


async def add_customers(connection: Connection, ids: Sequence[UUID]) -> None:
    """Customers of whom nothing is known."""
    await connection.execute(
        """
        INSERT INTO customers (id, customer_number, created_at, updated_at)
        SELECT id, 'CUST-20260615-' || lpad(n::text, 9, '0'), now(), now()
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)
        """,
        [ids],
    )


async def add_client(connection: Connection, scope: str) -> dict[str, str]:
    """An API client with one scope: what it signs in with."""
    data = ApiClientCreate(name="bench", source="bench", scopes=[scope])
    client = await ApiClientService(connection, settings, noon).create_client(data, by=operator)
    return {"client_id": str(client.id), "client_secret": client.client_secret}


@contextmanager
def serving(url: str, processes: int, client: dict[str, str]) -> Iterator[Api]:
    """`regulars serve` on a free port."""
    command = [sys.executable, "-m", "regulars", "serve", "--port", "0", "--workers", str(processes)]
    ours = {"REGULARS_DATABASE_URL": url, "REGULARS_JWT_SECRET": token_hex(32), "REGULARS_DRAIN_SECONDS": "0"}
    ours |= {"REGULARS_CLIENT_REQUESTS_PER_MINUTE": "0", "REGULARS_LONG_REQUESTS_PER_MINUTE": "0"}
    with subprocess.Popen(
        command,
        env={**os.environ, **ours, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            found = re.search(r"http://(\S+)", server.stdout.readline())
            if found is None:
                raise SystemExit("regulars serve did not start")
            yield Api(psutil.Process(server.pid), found[1], _token(found[1], client))
        finally:
            server.terminate()


def _token(address: str, client: dict[str, str]) -> str:
    connection = http.client.HTTPConnection(address, timeout=10)
    form = urlencode({"grant_type": "client_credentials", **client})
    connection.request("POST", "/api/v1/auth/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    answer: dict[str, Any] = json.load(connection.getresponse())
    return str(answer["access_token"])


@dataclass(frozen=True)
class Load:
    """Requests of a kind, about so many customers, for so many seconds, over so many connections."""

    kind: Kind
    customers: int
    seconds: float
    connections: int


def load_api(api: Api, server: psutil.Process, load: Load) -> Cost:
    """Send the load from a process whose CPU does not count."""
    command = [sys.executable, "-m", "benchmarks.http_load", "--address", api.address, "--token", api.token]
    for name, value in asdict(load).items():
        command += [f"--{name}", str(value)]
    program, database = cpu_of(api.process), cpu_of(server)
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    program, database = cpu_of(api.process) - program, cpu_of(server) - database
    return Cost(**json.loads(said.stdout), program=program, server=database)
