"""`regulars rebuild`, as the operator runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from psycopg import connect as connect_blocking
from psycopg.conninfo import make_conninfo

from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.repository_search import knows_latin_only
from regulars.kit.settings import Settings
from regulars.migrations import migrate
from tests.cli.program import complaint, regulars, run
from tests.factories.customers import make_customer
from tests.factories.orders import make_order


async def make_shop(url: str, clock: Clock) -> None:
    settings = Settings(_env_file=None)
    async with connect(url) as connection, connection.transaction():
        for number in range(6):
            customer = await make_customer(connection, clock)
            for order in range(number):
                await make_order(connection, clock, customer.id, "10", days_ago=10 * order + number)
        await RFMService(connection, settings, clock).score_customers(ScoringRequest("all", clock.today(), "test"))


async def test_wrong_metrics_are_told_and_put_right(own_database_url: str, clock: Clock) -> None:
    await make_shop(own_database_url, clock)
    checked = run(own_database_url, "rebuild", "metrics", "--check")
    assert (checked.returncode, checked.stdout) == (0, "0 customers whose metrics differ from their orders.\n")
    with connect_blocking(own_database_url) as connection:
        connection.execute("UPDATE customer_metrics SET net_spent = net_spent + 1 WHERE total_orders = 3")
        connection.execute("DELETE FROM customer_metrics WHERE total_orders = 2")
    told = run(own_database_url, "rebuild", "metrics", "--check", "--json")
    assert told.returncode == 1
    found = sorted((json.loads(line)["kept_net"], json.loads(line)["net"]) for line in told.stdout.splitlines())
    assert found == [("0", "20.0000"), ("31.0000", "30.0000")]
    mended = run(own_database_url, "rebuild", "metrics")
    assert mended.returncode == 0
    assert "3 orders on 3 days, 31.0000 in all" in mended.stdout
    assert mended.stdout.endswith("2 customers whose metrics differ from their orders; put right.\n")
    assert run(own_database_url, "rebuild", "metrics", "--check").returncode == 0


async def test_wrong_scores_and_values_are_told_and_put_right(own_database_url: str, clock: Clock) -> None:
    await make_shop(own_database_url, clock)
    assert run(own_database_url, "rebuild", "scores", "--check").returncode == 0
    with connect_blocking(own_database_url) as connection:
        connection.execute("UPDATE customer_scores SET segment = 'champion' WHERE frequency_score = 1")
        connection.execute("UPDATE customer_scores SET clv = clv + 1 WHERE frequency_score = 5")
    told = run(own_database_url, "rebuild", "scores", "--check")
    assert told.returncode == 1
    assert "champion is stored, the orders say" in told.stdout
    mended = run(own_database_url, "rebuild", "scores")
    assert (mended.returncode, mended.stdout.splitlines()[-1].endswith("; put right.")) == (0, True)
    checked = run(own_database_url, "rebuild", "scores", "--check")
    assert (checked.returncode, checked.stdout) == (0, "0 customers whose scores differ from their orders.\n")


@pytest.fixture
def latin_only_url(server_url: str) -> Iterator[str]:
    """A migrated database as those of older installations are: its trigrams know Latin letters alone."""
    name = f"latin_{uuid4().hex[:12]}"
    with connect_blocking(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 LC_CTYPE 'C'".encode())
        url = make_conninfo(server_url, dbname=name)
        migrate(url)
        yield url
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def rows_read_for(url: str, word: str) -> int:
    with connect_blocking(url) as connection:
        connection.execute("SET enable_seqscan = off")
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT FROM customers WHERE search_text LIKE '%{word}%'"
        plan = (connection.execute(explained.encode()).fetchone() or ())[0][0]["Plan"]
    return int(plan["Actual Rows"] + plan.get("Rows Removed by Index Recheck", 0))


async def test_an_older_database_learns_the_letters_of_every_script(latin_only_url: str, clock: Clock) -> None:
    async with connect(latin_only_url) as connection:
        for number in range(20):
            await make_customer(connection, clock, first_name="Γιάννης", last_name=f"Αβ{'γδεζηθ'[number % 6]}ικλμ")
    assert knows_latin_only(latin_only_url)
    assert rows_read_for(latin_only_url, "αβγικλμ") == 20
    with connect_blocking(latin_only_url):
        assert "Stop the other programs" in complaint(regulars(latin_only_url, "rebuild", "search"))
    done = regulars(latin_only_url, "rebuild", "search")
    assert (done.exit_code, done.stdout) == (0, "The index of names knows every script now.\n")
    assert not knows_latin_only(latin_only_url)
    assert rows_read_for(latin_only_url, "αβγικλμ") == 4
    assert regulars(latin_only_url, "rebuild", "search").stdout == "The index of names is made anew.\n"


def test_a_database_with_rules_of_the_system_is_left_alone(server_url: str) -> None:
    name = f"libc_{uuid4().hex[:12]}"
    with connect_blocking(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'".encode())
        url = make_conninfo(server_url, dbname=name)
        migrate(url)
        try:
            assert "docs/reference/database-server.md" in complaint(regulars(url, "rebuild", "search"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_serve_says_what_an_older_database_lacks(latin_only_url: str) -> None:
    environment = {
        "REGULARS_DATABASE_URL": latin_only_url,
        "REGULARS_JWT_SECRET": "f3c1a0d2b4e6978812345678901234567890abcd",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "regulars", "serve", "--port", "0"],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().startswith("regulars answers at")
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert "run `regulars rebuild search`" in said
