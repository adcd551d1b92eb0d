"""`regulars rebuild`, as the operator runs it."""

import json

from psycopg import connect as connect_blocking

from regulars.analytics.models import ScoringRequest
from regulars.analytics.rfm import RFMService
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.settings import Settings
from tests.cli.program import run
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
