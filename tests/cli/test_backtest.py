"""`regulars backtest`, as the operator runs it."""

import json

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.cli.program import run
from tests.factories.shops import make_many_customers


async def test_the_tables_compare_every_method(own_database_url: str, clock: Clock) -> None:
    async with connect(own_database_url) as connection:
        await make_many_customers(connection, clock, 900)
    done = run(own_database_url, "backtest", "--calibrate-until", "2026-02-15", "--window-days", "120")
    assert (done.returncode, done.stderr) == (0, "")
    for heading in ("customers as of 2026-02-15, the 120 days after it", "Chance to buy", "Multipliers", "model: r "):
        assert heading in done.stdout
    options = ("--calibrate-until", "2026-02-15", "--window-days", "120", "--json")
    told = json.loads(run(own_database_url, "backtest", *options).stdout)
    assert f"{told['methods'][0]['mae']}" in done.stdout
    assert f"{told['methods'][0]['gini']:.3f}" in done.stdout


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ("2026-13-01", "is no day"),
        ("9999-01-01", "has not happened yet"),
        ("2026-06-15", "have not passed"),
        ("2020-01-01", "fewer than 500 customers have ordered"),
    ],
)
async def test_what_cannot_be_tested_is_one_line_and_exit_code_2(own_database_url: str, day: str, said: str) -> None:
    done = run(own_database_url, "backtest", "--calibrate-until", day, "--window-days", "365")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr
