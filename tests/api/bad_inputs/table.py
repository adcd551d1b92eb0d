"""The table, what its cases stand on, and where they register.

@case("6c")
async def body_without_type(world: World) -> httpx.Response:
    return await (await world.staff()).post(f"{base}/search", content=b"{}")
"""

import csv
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from regulars.api.limits import Limits
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, TokenFor
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer

base, json_type = "/api/v1/retail-customers", {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Row:
    id: str
    request: str
    status: str
    slug: str
    note: str

    @property
    def target(self) -> tuple[str, str] | None:
        """Method and path that a row names; None where it names none."""
        found = re.match(r"(GET|POST|PUT|DELETE) (/api/v1/[^\s;?]*)", self.request)
        return (found[1], found[2]) if found else None


def read_rows() -> dict[str, Row]:
    with (Path(__file__).parents[2] / "spec" / "bad_inputs.csv").open(newline="") as file:
        rows = [
            Row(line["id"], line["request"], line["expected_status"], line["problem_type"], line["note"])
            for line in csv.DictReader(file)
        ]
    return {row.id: row for row in rows}


rows = read_rows()


@dataclass(frozen=True)
class World:
    """What the cases need: the application, callers of every role, and a customer."""

    anonymous: httpx.AsyncClient
    as_role: AsRole
    token_for: TokenFor
    connection: Connection
    database: RolledBackDatabase
    settings: Settings
    clock: Clock
    monkeypatch: pytest.MonkeyPatch

    async def staff(self) -> httpx.AsyncClient:
        return await self.as_role("staff")

    async def customer_url(self) -> str:
        customer = await make_customer(self.connection, self.clock)
        return f"{base}/{customer.id}"

    async def bearing(self, token: str, path: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.anonymous.get(path or await self.customer_url(), headers=headers)

    def app_with(self, limits: Limits) -> FastAPI:
        return create_app(self.settings, database=self.database, clock=self.clock, limits=limits)


Answers = httpx.Response | list[httpx.Response]
Case = Callable[[World], Awaitable[Answers]]
cases: dict[str, Case] = {}


def case(*ids: str) -> Callable[[Case], Case]:
    def register(make: Case) -> Case:
        cases.update(dict.fromkeys(ids, make))
        return make

    return register
