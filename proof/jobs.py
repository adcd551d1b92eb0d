"""Kill the workers while they run jobs: each job ends well, and does what it does once.

`python -m proof.jobs --size short|long --seed N --keep`. Both workers are killed, the one of `regulars worker` and the
one inside `regulars serve`, while they expire points, score, import, change and export.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg

from proof.crash import audit
from proof.result import CannotRunError, Findings, run_program
from proof.servers import Installation
from regulars.accounts.enrolment import Enrolment
from regulars.accounts.passwords import PasswordHashing
from regulars.kit.database import connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService

bars = {
    "unfinished": "== 0",
    "failed": "== 0",
    "doing_over_60_s": "== 0",
    "orders_differ": "== 0",
    "expired_differ": "== 0",
    "tags_differ": "== 0",
    "jobs_without_cause": "== 0",
    "causes_without_job": "== 0",
    "audit": "== 0",
    "settled_s": "<= 120",
}
kills_of = {"short": 8, "long": 50}
victims = ("worker", "serve")
members, orders_per_file, points = 100, 3_000, 25
base = "/api/v1/retail-customers"
email, password = "admin@example.com", uuid4().hex
as_job = {"Prefer": "respond-async"}


@dataclass
class Shop:
    """What is asked for, and what was promised.

    Attributes:
        promised: The kind of each job that was answered with 202.
        files: How many files of orders were sent.
    """

    address: str
    url: str
    members: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(members)])
    promised: dict[str, str] = field(default_factory=dict)
    files: int = 0
    _token: str = ""

    async def open(self) -> None:
        """Make an admin, and members whose points expired a month ago and are not written off."""
        settings = Settings(_env_file=None)
        past = replace(settings.clock, stopped_at=settings.clock.now() - timedelta(days=395))
        async with connect(self.url) as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO customers (id, customer_number, created_at, updated_at)"
                " SELECT id, 'CUST-20260615-' || lpad(n::text, 4, '0'), now(), now()"
                " FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)",
                [self.members],
            )
            hashed = await PasswordHashing().hash(password)
            await Enrolment(connection, settings.clock).create_user(email, hashed, role="admin")
            loyalty = LoyaltyService(connection, settings, past)
            for member in self.members:
                award = LoyaltyPointsEarn(customer_id=member, points=points, description="a year ago", expiry_days=365)
                await loyalty.earn_loyalty_points(award, by=operator)

    async def sign_in(self) -> None:
        """Get a token.

        Raises:
            CannotRunError: the admin is not let in.
        """
        form = {"grant_type": "password", "username": email, "password": password}
        async with httpx.AsyncClient(base_url=self.address, timeout=30) as client:
            answer = await client.post("/api/v1/auth/token", data=form)
        if answer.status_code != 200:
            raise CannotRunError(f"the admin cannot sign in: {answer.text}")
        self._token = answer.json()["access_token"]

    async def ask_for_all(self) -> None:
        """Start a job of each kind; what is not promised was not asked for."""
        ids = [str(member) for member in self.members]
        wishes: list[tuple[str, dict[str, Any]]] = [
            (f"{base}/loyalty/expire-points", {"json": {}}),
            (f"{base}/analytics/rfm/calculate", {"json": {"recalculate": True}}),
            (f"{base}/analytics/clv/calculate", {"json": {"recalculate": True}}),
            (f"{base}/bulk/tags", {"json": {"customer_ids": ids, "add": [f"round {self.files}"]}}),
            (f"{base}/export", {"json": {}}),
            (
                "/api/v1/orders/import?source=web",
                {"content": self._next_file(), "headers": {"Content-Type": "text/csv"}},
            ),
        ]
        async with httpx.AsyncClient(base_url=self.address, timeout=30) as client:
            for path, wish in wishes:
                headers = {**wish.pop("headers", {}), **as_job, "Authorization": f"Bearer {self._token}"}
                answer = await client.post(path, headers=headers, **wish)
                if answer.status_code != 202:
                    raise CannotRunError(f"{path} answers {answer.status_code}: {answer.text}")
                self.promised[answer.json()["id"]] = answer.json()["kind"]

    def _next_file(self) -> str:
        self.files += 1
        lines = [
            f"{self.files}-{number},2026-01-{number % 28 + 1:02},{number % 90 + 1}.50,buyer{number % 500}@example.com"
            for number in range(orders_per_file)
        ]
        return "\n".join(["order_id,ordered_at,total,email", *lines])


async def kill_under_jobs(installation: Installation, shop: Shop, kills: int, draw: random.Random) -> float:
    """Start jobs and kill a worker, so many times; returns when the last one was killed."""
    killed_at = 0.0
    for number in range(kills):
        await shop.ask_for_all()
        await asyncio.sleep(draw.uniform(0.1, 3))
        victim = victims[number % len(victims)]
        killed_at = time.monotonic()
        await asyncio.to_thread(installation.kill, victim, draw)
        await asyncio.to_thread(installation.wait_until_ready)
        print(f"killed {victim}, {len(shop.promised)} jobs promised", file=sys.stderr, flush=True)
    return killed_at


def settle(url: str, promised: dict[str, str], *, since: float) -> tuple[float, Counter[str]]:
    """Wait until all that was promised has ended, for 150 seconds at most; the seconds, and how many ended how."""
    while True:
        with psycopg.connect(url) as owner:
            rows = owner.execute(
                "SELECT state, count(*) FROM jobs WHERE id = ANY(%s::uuid[]) GROUP BY state", [list(promised)]
            ).fetchall()
        states = Counter(dict(rows))
        waited = time.monotonic() - since
        if waited > 150 or states["succeeded"] + states["failed"] == len(promised):
            return waited, states
        time.sleep(0.5)


def compare(url: str, shop: Shop) -> tuple[dict[str, int], list[str]]:
    """What jobs did beside what they were to do once, and queue beside causes."""
    questions: dict[str, tuple[str, list[object], int]] = {
        "orders_differ": ("SELECT count(*) FROM orders WHERE source = 'web'", [], shop.files * orders_per_file),
        "expired_differ": (
            "SELECT -coalesce(sum(points), 0)::int FROM loyalty_transactions WHERE transaction_type = 'EXPIRED'",
            [],
            members * points,
        ),
        "tags_differ": (
            "SELECT coalesce(sum(cardinality(tags)), 0)::int FROM customers WHERE id = ANY(%s)",
            [shop.members],
            members * shop.files,
        ),
        "doing_over_60_s": (
            "SELECT count(*) FROM procrastinate_jobs j WHERE status = 'doing' AND now() - interval '60 seconds' >"
            " (SELECT max(at) FROM procrastinate_events e WHERE e.job_id = j.id AND e.type = 'started')",
            [],
            0,
        ),
        "jobs_without_cause": (
            "SELECT count(*) FROM procrastinate_jobs q WHERE task_name = 'run_job'"
            " AND NOT EXISTS (SELECT FROM jobs WHERE id::text = q.args ->> 'job_id')",
            [],
            0,
        ),
        "causes_without_job": (
            "SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM procrastinate_jobs q"
            " WHERE q.task_name = 'run_job' AND q.args ->> 'job_id' = j.id::text)",
            [],
            0,
        ),
    }
    figures: dict[str, int] = {}
    evidence = []
    with psycopg.connect(url) as owner:
        [(figures["taken_over"],)] = owner.execute("SELECT count(*) FROM jobs WHERE attempts > 1").fetchall()
        for name, (question, parameters, expected) in questions.items():
            [(found,)] = owner.execute(question.encode(), parameters).fetchall()
            figures[name] = abs(found - expected)
            evidence.append(f"{name}: found {found}, expected {expected}")
        unhappy = "SELECT id, kind, state, attempts, error FROM jobs WHERE state <> 'succeeded'"
        evidence += [str(row) for row in owner.execute(unhappy.encode()).fetchall()]
    return figures, evidence


def prove(folder: Path, size: str, seed: int) -> Findings:
    """Ask, kill, wait, compare."""
    draw = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    installation = Installation(folder)
    shop = Shop(installation.address, installation.database_url)
    with installation.running():
        asyncio.run(shop.open())
        asyncio.run(shop.sign_in())
        killed_at = asyncio.run(kill_under_jobs(installation, shop, kills_of[size], draw))
        settled, states = settle(installation.database_url, shop.promised, since=killed_at)
        figures, evidence = compare(installation.database_url, shop)
        violations, audit_said = audit(installation)
    findings = Findings(evidence=[*evidence, audit_said])
    findings.figures = {
        "kills": kills_of[size],
        "jobs": len(shop.promised),
        "kinds": len(set(shop.promised.values())),
        "unfinished": len(shop.promised) - states["succeeded"] - states["failed"],
        "failed": states["failed"],
        **figures,
        "audit": violations,
        "settled_s": round(settled, 1),
    }
    return findings


if __name__ == "__main__":
    sys.exit(run_program("jobs", bars, (__doc__ or "").splitlines()[0], prove))
