"""The demo, checked against the raw data by other means than those that it uses."""

import json
import lzma
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg

from regulars.demo.load import DemoReport, load_demo
from regulars.demo.shop import datasets, demo_orders
from regulars.formulas.clv import CLVRules, customer_lifetime_value
from regulars.formulas.rfm import rfm_edges
from regulars.formulas.tiers import LoyaltyTier, TierThresholds, tier_for
from regulars.kit.database import Database, connect
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from tests.factories.soundness import require_sound_purchases

cdnow = datasets["cdnow"]


def purchases() -> dict[str, tuple[str, date, Decimal]]:
    """Customer, day and amount by the order's id, straight from the file."""
    packed = (files("regulars.demo") / "data" / "cdnow.txt.xz").read_bytes()
    found, seen = {}, Counter[tuple[str, str]]()
    for line in lzma.decompress(packed).decode().splitlines()[1:]:
        customer, day, _, amount = line.split()
        seen[customer, day] += 1
        found[f"{customer}-{day}-{seen[customer, day]}"] = (customer, date.fromisoformat(day), Decimal(amount))
    return found


Connection = psycopg.Connection[tuple[Any, ...]]


async def test_cdnow_gets_the_scores_and_points_of_the_formulas_and_loading_it_again_changes_nothing(
    own_database_url: str,
) -> None:
    report = await load_demo(own_database_url, Settings(), cdnow, shifted=False)
    assert report.as_of == date(1998, 6, 30)
    with psycopg.connect(own_database_url) as connection:
        refunds = dict(
            connection.execute(
                "SELECT external_id, amount FROM refunds JOIN orders USING (customer_id) WHERE orders.id = order_id"
            ).fetchall()
        )
        require_scores_of_the_formulas(connection, report.as_of, refunds)
        require_points_of_the_formulas(connection, refunds)
        require_plausible_ledger(connection, report)
    async with connect(own_database_url) as connection, connection.transaction():
        audit = await AuditService(connection).audit_ledger()
    assert (audit.violations, audit.counts) == (0, dict.fromkeys(audit.counts, 0))
    again = await load_demo(own_database_url, Settings(), cdnow, shifted=False)
    assert (again.imported.created, again.imported.updated, again.imported.customers_created) == (0, 0, 0)
    assert again.imported.unchanged == 69_659
    assert again.points.moved == report.points.moved
    async with Database(own_database_url) as database:
        await require_sound_purchases(database, Settings(), Settings().clock)


def require_scores_of_the_formulas(connection: Connection, as_of: date, refunds: dict[str, Decimal]) -> None:
    bought: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    for order_id, (customer, day, total) in purchases().items():
        refunded = refunds.get(order_id, Decimal(0))
        if total == 0 or refunded < total:
            bought[customer].append((day, total - refunded))
    measures = {
        customer: ((as_of - max(day for day, _ in orders)).days, len(orders), sum(total for _, total in orders))
        for customer, orders in bought.items()
    }
    edges, rules = rfm_edges(measures.values()), CLVRules()
    expected = {}
    for customer, (recency_days, orders, net) in measures.items():
        scores = edges.score(recency_days, orders, net)
        age_days = (as_of - min(day for day, _ in bought[customer])).days
        value = customer_lifetime_value(net, orders, age_days, scores.segment, rules).value
        expected[customer] = (scores.recency, scores.frequency, scores.monetary, scores.segment, round(value, 2))
    found = connection.execute("""
        SELECT i.value, recency_score, frequency_score, monetary_score, segment, round(clv, 2)
        FROM customer_scores s JOIN customer_identifiers i ON i.customer_id = s.customer_id AND i.kind = 'ext:cdnow'
        WHERE recency_score IS NOT NULL
    """).fetchall()
    assert len(found) == len(expected) > 23_500
    differences = {row[0]: (row[1:], expected[row[0]]) for row in found if row[1:5] != expected[row[0]][:4]}
    assert not differences
    assert all(abs(value - expected[customer][4]) <= Decimal("0.01") for customer, *_, value in found)


def require_points_of_the_formulas(connection: Connection, refunds: dict[str, Decimal]) -> None:
    """Each order earned ten points for each unit, rounded down, once; refunds took back their share, rounded down."""
    raw = purchases()
    awards = connection.execute("""
        SELECT external_id, points, t.created_at = ordered_at FROM loyalty_transactions AS t
        JOIN orders ON orders.customer_id = t.customer_id AND orders.id = t.order_id WHERE transaction_type = 'EARNED'
    """).fetchall()
    earned = {order_id: math.floor(total * 10) for order_id, (_, _, total) in raw.items() if total > 0}
    assert len(awards) == len(earned)
    assert {order_id: points for order_id, points, _ in awards} == earned
    assert all(is_at_purchase for _, _, is_at_purchase in awards)
    due = dict(
        connection.execute("""
            SELECT external_id, due FROM point_clawbacks AS c
            JOIN orders ON orders.customer_id = c.customer_id AND orders.id = c.order_id
        """).fetchall()
    )
    assert due == {id_: math.floor(earned[id_] * amount / raw[id_][2]) for id_, amount in refunds.items()}
    assert 200 < len(refunds) < 500
    assert any(amount < raw[order_id][2] for order_id, amount in refunds.items())


def require_plausible_ledger(connection: Connection, report: DemoReport) -> None:
    moved = report.points.moved
    assert sum(moved.values()) == report.points.totals.outstanding - report.points.totals.owed
    assert moved["REDEEMED"] < -1_000_000 > moved["EXPIRED"]
    kinds = connection.execute("""
        SELECT transaction_type, min(created_at)::date, max(created_at)::date FROM loyalty_transactions
        GROUP BY transaction_type
    """).fetchall()
    assert {kind for kind, _, _ in kinds} == {"EARNED", "REDEEMED", "EXPIRED", "REFUND_CLAWBACK"}
    assert all(date(1997, 1, 1) <= first <= last <= report.as_of for _, first, last in kinds)
    backwards = connection.execute("""
        SELECT count(*) FROM (
            SELECT created_at < lag(created_at) OVER (PARTITION BY customer_id ORDER BY seq) AS is_backwards
            FROM loyalty_transactions
        ) AS t WHERE is_backwards
    """).fetchone()
    assert backwards == (0,)
    tiers = connection.execute("SELECT tier, lifetime_points FROM loyalty_accounts").fetchall()
    thresholds = TierThresholds(2_000, 5_000, 10_000)
    assert all(LoyaltyTier(tier).rank >= tier_for(points, thresholds).rank for tier, points in tiers)
    assert {tier for tier, _ in tiers} == set(LoyaltyTier)


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
    assert (report["customers"], report["orders"], report["net_spent"]) == (23_570, 69_659, "2490784.50")
    assert sum(report["segments"].values()) == 23_570
    assert set(report["tiers"]) == {"bronze", "silver", "gold", "platinum"}
    assert report["points"]["EARNED"] > 24_000_000
    assert set(report["seconds"]) == {"import", "points", "score", "report"}
    assert not (tmp_path / "demo" / "postgres" / "postmaster.pid").exists()


def test_an_unknown_shop_is_one_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--data", "enron")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cdnow" in done.stderr
