"""The demo, checked against the raw data by other means than those that it uses."""

import json
import lzma
import os
import subprocess
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import psycopg

from regulars.demo.load import load_demo
from regulars.demo.shop import datasets, demo_orders
from regulars.formulas.clv import CLVRules, customer_lifetime_value
from regulars.formulas.rfm import rfm_edges
from regulars.kit.database import Database
from regulars.kit.settings import Settings
from tests.factories.soundness import require_sound_purchases

cdnow = datasets["cdnow"]


def purchases() -> dict[str, list[tuple[date, Decimal]]]:
    """Days and amounts by customer, straight from the file."""
    packed = (files("regulars.demo") / "data" / "cdnow.txt.xz").read_bytes()
    found = defaultdict(list)
    for line in lzma.decompress(packed).decode().splitlines()[1:]:
        customer, day, _, amount = line.split()
        found[customer].append((date.fromisoformat(day), Decimal(amount)))
    return found


async def test_every_score_and_value_of_cdnow_is_the_one_of_the_formulas(own_database_url: str) -> None:
    report = await load_demo(own_database_url, Settings(), cdnow, shifted=False)
    assert report.as_of == date(1998, 6, 30)
    bought = purchases()
    measures = {
        customer: ((report.as_of - max(day for day, _ in orders)).days, len(orders), sum(total for _, total in orders))
        for customer, orders in bought.items()
    }
    edges, rules = rfm_edges(measures.values()), CLVRules()
    expected = {}
    for customer, (recency_days, orders, net) in measures.items():
        scores = edges.score(recency_days, orders, net)
        age_days = (report.as_of - min(day for day, _ in bought[customer])).days
        value = customer_lifetime_value(net, orders, age_days, scores.segment, rules).value
        expected[customer] = (scores.recency, scores.frequency, scores.monetary, scores.segment, round(value, 2))
    with psycopg.connect(own_database_url) as connection:
        found = connection.execute("""
            SELECT i.value, recency_score, frequency_score, monetary_score, segment, round(clv, 2)
            FROM customer_scores s JOIN customer_identifiers i ON i.customer_id = s.customer_id AND i.kind = 'ext:cdnow'
        """).fetchall()
    assert len(found) == 23_570
    differences = {row[0]: (row[1:], expected[row[0]]) for row in found if row[1:5] != expected[row[0]][:4]}
    assert not differences
    assert all(abs(value - expected[customer][4]) <= Decimal("0.01") for customer, *_, value in found)


async def test_loading_the_same_shop_again_changes_nothing(own_database_url: str) -> None:
    await load_demo(own_database_url, Settings(), cdnow, shifted=True)
    again = await load_demo(own_database_url, Settings(), cdnow, shifted=True)
    assert (again.imported.created, again.imported.updated, again.imported.customers_created) == (0, 0, 0)
    assert again.imported.unchanged == 69_659
    async with Database(own_database_url) as database:
        await require_sound_purchases(database, Settings(), Settings().clock)


def test_the_last_order_of_the_shifted_shop_was_yesterday_and_none_is_lost() -> None:
    today = date(2026, 6, 15)
    orders = demo_orders(cdnow, shift=today - timedelta(days=1) - cdnow.last_day)
    place = orders.columns.index("ordered_at")
    days = [datetime.fromisoformat(row.values[place]).date() for row in orders.rows]
    assert max(days) == date(2026, 6, 14)
    assert len(days) == 69_659


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "REGULARS_DATA_DIR": str(folder)}
    environment.pop("REGULARS_DATABASE_URL", None)
    command = [sys.executable, "-m", "regulars", "demo", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_prints_one_json_object_and_leaves_no_server_behind(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--no-serve", "--json", "--no-shift")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["customers"], report["orders"], report["net_spent"]) == (23_570, 69_659, "2500315.63")
    assert sum(report["segments"].values()) == 23_570
    assert set(report["seconds"]) == {"import", "score", "report"}
    assert not (tmp_path / "demo" / "postgres" / "postmaster.pid").exists()


def test_an_unknown_shop_is_one_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--data", "enron")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cdnow" in done.stderr
