"""Shops whose orders say little: one in which hardly anybody comes again, and one on its opening day."""

import json
from datetime import date, timedelta
from pathlib import Path

from regulars.analytics.clv import CLVService
from regulars.analytics.explained_values import explained_value
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.cli.program import query, run

shops = Path(__file__).parent.parent / "analytics" / "shops"
day = "2026-06-15"


def opened(url: str, name: str) -> str:
    """A database with the orders of a shop."""
    done = run(url, "import", "orders", str(shops / f"{name}.csv"), "--source", "till")
    assert done.returncode == 0, done.stderr
    return url


async def test_a_fit_at_the_bound_of_its_search_gives_way_to_the_formula(own_database_url: str, clock: Clock) -> None:
    url = opened(own_database_url, "onetime")
    by_model = ("score", "all", "--method", "model", "--window-days", "365", "--as-of", day)
    done = run(url, *by_model)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "no model, values are by the formula: the search for parameters ended at its bound (b at 8103)" in done.stdout
    )
    told = json.loads(run(url, *by_model, "--json").stdout)
    assert (told["method"], told["fallback"], told["counts"]["scored"]) == ("seed", "at_bound", 1000)
    assert told["fallback_sentence"] == "the search for parameters ended at its bound (b at 8103)"
    assert all(float(segment["average_clv"]) < 10_000 for segment in told["segments"])
    assert query(url, "SELECT count(*) FROM customer_scores WHERE clv BETWEEN 0 AND 100000") == [(1000,)]
    async with connect(url) as connection:
        service = CLVService(connection, Settings(_env_file=None), clock)
        [(customer_id,)] = query(url, "SELECT customer_id FROM customer_scores ORDER BY clv DESC LIMIT 1")
        value = await service.get_customer_clv(customer_id, operator)
    assert (value.method, value.fallback, value.is_stale) == ("seed", "at_bound", False)
    assert any("ended at its bound (b at 8103)" in line for line in explained_value(value, "EUR").summary)


async def test_a_back_test_of_such_a_shop_says_what_is_missing_and_what_would_help(own_database_url: str) -> None:
    url = opened(own_database_url, "onetime")
    last = date.today() - timedelta(days=30)  # noqa: DTZ011 - the program's own day, too
    for until, window_days, said in (
        ("2026-05-01", "30", "ended at its bound (b at 8103). The orders until another day may say more."),
        ("2024-07-01", "30", f"fewer than 500 customers have ordered. Choose a later day, up to {last}."),
        ("2010-01-01", "3650", "fewer than 500 customers have ordered. Up to"),
    ):
        done = run(url, "backtest", "--calibrate-until", until, "--window-days", window_days)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


async def test_no_later_day_is_advised_to_a_shop_that_is_too_small_on_every_day(own_database_url: str) -> None:
    done = run(opened(own_database_url, "open"), "backtest", "--calibrate-until", "2026-04-01", "--window-days", "30")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "fewer than 500 customers have ordered. No day will do yet: until the shop has more orders" in done.stderr


async def test_who_bought_today_is_not_lost_on_a_day_on_which_nearly_everybody_bought(own_database_url: str) -> None:
    url = opened(own_database_url, "open")
    assert run(url, "score", "all", "--as-of", day).returncode == 0
    found = query(
        url,
        """
        SELECT m.last_order_at::date = %s, s.recency_score, s.segment = 'lost', count(*)
        FROM customer_scores s JOIN customer_metrics m USING (customer_id)
        WHERE m.last_order_at::date = %s OR s.recency_score > 1
        GROUP BY 1, 2, 3
        """,
        day,
        day,
    )
    assert found == [(True, 5, False, 90)]
