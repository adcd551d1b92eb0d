"""One server for all contract tests of a worker, as `regulars serve` runs it, with a shop in it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

login = {"username": "owner@example.com", "password": "correct horse battery staple"}
people = "/api/v1/retail-customers"


@dataclass
class Shop:
    """A running server, and the ids of things that are there."""

    url: str
    client: httpx.Client
    data_dir: Path
    ids: dict[str, str] = field(default_factory=dict)

    def token(self) -> str:
        """A fresh token of the owner; the tests also sign out and close sessions."""
        answer = self.client.post("/api/v1/auth/token", data={"grant_type": "password", **login})
        return str(answer.raise_for_status().json()["access_token"])

    def headers(self) -> dict[str, str]:
        """Of a request by the owner."""
        return {"Authorization": f"Bearer {self.token()}"}

    def add(self, name: str, path: str, body: dict[str, Any], token: str) -> None:
        """Make a thing, and remember its id."""
        answer = self.client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        self.ids[name] = answer.raise_for_status().json()["id"]


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    with running_shop() as shop:
        yield shop


@contextmanager
def running_shop(**settings: str) -> Iterator[Shop]:
    """A server with these settings, `store_timezone="America/Los_Angeles"`, and what every shop has."""
    given = {f"REGULARS_{name.upper()}": value for name, value in settings.items()}
    with tempfile.TemporaryDirectory(prefix="regulars-contract-") as base:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
        environment = {**inherited, "REGULARS_DATA_DIR": str(Path(base) / "data"), "REGULARS_REGISTER_PER_HOUR": "9999"}
        # Tests ask faster than any caller should; what they are to meet is the operation, not its rate.
        environment |= {f"REGULARS_{who}_REQUESTS_PER_MINUTE": "0" for who in ("CUSTOMER", "STAFF", "CLIENT", "LONG")}
        environment |= given
        command = [sys.executable, "-m", "regulars"]
        create = [*command, "users", "create", "--email", login["username"], "--role", "admin", "--password-stdin"]
        subprocess.run(create, env=environment, cwd=base, input=login["password"], text=True, check=True)
        log = Path(base) / "log"
        with log.open("w") as output:
            serve = [*command, "serve", "--port", "0"]
            server = subprocess.Popen(serve, env=environment, cwd=base, stdout=output, stderr=output)
            try:
                url = _address(log)
                with httpx.Client(base_url=url, timeout=30) as client:
                    yield _filled(Shop(url, client, Path(base) / "data"))
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(60)


def _address(log: Path) -> str:
    for _ in range(600):
        if found := re.search(r"http://\S+:\d+", log.read_text()):
            return found[0]
        time.sleep(0.1)
    pytest.fail(log.read_text())


def _filled(shop: Shop) -> Shop:
    token = shop.token()
    person = {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com", "phone": "+493012345678"}
    shop.add("customer_id", f"{people}/", person, token)
    points = {"customer_id": shop.ids["customer_id"], "points": 500, "description": "Welcome"}
    shop.add("transaction_id", f"{people}/loyalty/earn", points, token)
    order = {
        "external_id": "A-1",
        "source": "till",
        "customer_id": shop.ids["customer_id"],
        "ordered_at": "2026-01-05T10:00:00Z",
        "total": "24.90",
    }
    shop.add("order_id", "/api/v1/orders", order, token)
    shop.ids |= {"customer_number": "CUST-20260101-0001", "email": "ann@example.com", "sku": "sku-1"}
    return shop
