"""`regulars score`, as the operator runs it."""

import json
import re

import pytest
from psycopg import connect as connect_blocking

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.analytics.test_runs import shop_of
from tests.cli.program import run
from tests.factories.shops import make_many_customers


@pytest.fixture
async def shop_url(own_database_url: str, clock: Clock) -> str:
    async with connect(own_database_url) as connection:
        await shop_of(connection, clock)
    return own_database_url


async def test_the_table_shows_every_segment_with_its_customers(shop_url: str) -> None:
    done = run(shop_url, "score", "--as-of", "2026-06-15")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Champion +│ +1 │ +16.7% │ +60.00 │ +28.6% │ +486.67", done.stdout)
    assert "6 customers scored, 6 changed, 6 in another segment" in done.stdout


async def test_json_is_one_object_and_what_it_tells_is_committed(shop_url: str) -> None:
    done = run(shop_url, "score", "rfm", "--as-of", "2026-06-15", "--history-days", "35", "--json")
    told = json.loads(done.stdout)
    assert (told["kind"], told["coverage"], told["as_of"], told["history_days"]) == ("rfm", "full", "2026-06-15", 35)
    assert told["edges"]["basis"] == "quintiles"
    assert len(told["segments"]) == 12
    with connect_blocking(shop_url) as connection:
        [[run_id, window_days]] = connection.execute("SELECT id::text, window_days FROM scoring_runs").fetchall()
        assert (run_id, window_days) == (told["run_id"], None)


async def test_few_customers_are_said_to_be_scored_by_fixed_thresholds(own_database_url: str) -> None:
    assert "fixed thresholds were used" in run(own_database_url, "score").stdout


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-02-30", "'2026-02-30' is no day. Write it as YYYY-MM-DD."),
        ("yesterday", "'yesterday' is no day. Write it as YYYY-MM-DD."),
        ("20260615", "'20260615' is no day. Write it as YYYY-MM-DD."),
        ("9999-12-31", "9999-12-31 has not happened yet."),
    ],
)
async def test_an_impossible_day_is_one_line_and_exit_code_2(own_database_url: str, day: str, said: str) -> None:
    done = run(own_database_url, "score", "--as-of", day)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


@pytest.fixture
async def large_shop_url(own_database_url: str, clock: Clock) -> str:
    async with connect(own_database_url) as connection:
        await make_many_customers(connection, clock, 900)
    return own_database_url


async def test_values_by_a_model_and_what_becomes_of_them(large_shop_url: str) -> None:
    options = ("--as-of", "2026-06-15", "--method", "blend", "--window-days", "90", "--margin", "0.5", "--json")
    told = json.loads(run(large_shop_url, "score", *options).stdout)
    assert (told["method"], told["fallback"], told["window_days"]) == ("blend", None, 90)
    assert "model 0" in run(large_shop_url, "score", "--as-of", "2026-06-15", "--method", "model").stdout


@pytest.mark.parametrize("option", ["--margin", "--discount"])
def test_the_formula_takes_no_terms_of_models(own_database_url: str, option: str) -> None:
    done = run(own_database_url, "score", "--method", "seed", option, "0.5")
    assert done.returncode == 2
    assert "knows no margin and no discount" in done.stderr


async def test_a_shop_that_cannot_carry_a_model_is_told_so(shop_url: str) -> None:
    done = run(shop_url, "score", "--as-of", "2026-06-15", "--method", "model")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no model, values are by the formula: fewer than 500 customers have ordered" in done.stdout
