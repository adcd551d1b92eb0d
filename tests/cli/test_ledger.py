"""`regulars ledger` and `regulars import points`, as the operator runs them."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from psycopg import connect as connect_blocking

from regulars.kit.clock import Clock
from regulars.kit.database import connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService
from tests.cli.program import run
from tests.factories.loyalty import make_members

number = "CUST-20260615-10000"


async def with_points(url: str, clock: Clock, folder: Path) -> subprocess.CompletedProcess[str]:
    """One customer with 70 points that never expire, by way of an import."""
    async with connect(url) as connection:
        await make_members(connection, clock, 1)
    claims = "INSERT INTO customer_identifiers SELECT 'number', customer_number, id, created_at FROM customers"
    with connect_blocking(url) as connection:
        connection.execute(claims)
    file = folder / "points.csv"
    file.write_text(f"customer_number,points,expires_on\n{number},50,\n{number},20,\nCUST-20200101-0001,5,\n")
    return run(url, "import", "points", str(file))


async def test_points_are_imported_explained_and_audited(own_database_url: str, clock: Clock, tmp_path: Path) -> None:
    imported = await with_points(own_database_url, clock, tmp_path)
    assert imported.returncode == 2
    assert imported.stdout.startswith("2 portions of points created, 0 updated, 0 unchanged in ")
    assert "\n70 points brought in.\n1 lines were rejected: correct them in " in imported.stdout
    assert (tmp_path / "points.csv.rejects.csv").read_text().splitlines() == [
        "line,code,message,customer_number,points,expires_on,raw",
        "4,customer-unknown,the line names nobody who is known,CUST-20200101-0001,5,,",
    ]
    again = run(own_database_url, "import", "points", str(tmp_path / "points.csv"), "--json")
    assert (json.loads(again.stdout)["unchanged"], json.loads(again.stdout)["points"]) == (2, 0)
    told = run(own_database_url, "ledger", "explain", number)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("70 points can be spent.\n")
    assert "70 points added by hand (opening_balance)" in told.stdout
    with connect_blocking(own_database_url) as connection:
        connection.execute(
            "WITH c AS (UPDATE customers SET email = 'ann@example.com' RETURNING id)"
            " INSERT INTO customer_identifiers SELECT 'email', 'ann@example.com', id, now() FROM c"
        )
        [[customer_id]] = connection.execute("SELECT id FROM customers").fetchall()
    for identifier in ("Ann@Example.com", str(customer_id), number.lower()):
        assert run(own_database_url, "ledger", "explain", identifier).stdout == told.stdout
    audited = run(own_database_url, "ledger", "audit", "--json")
    assert (audited.returncode, json.loads(audited.stdout)["violations"]) == (0, 0)
    assert json.loads(audited.stdout)["transactions"] == 1


async def test_a_ledger_that_does_not_add_up_is_told_with_exit_code_1(
    own_database_url: str, clock: Clock, tmp_path: Path
) -> None:
    await with_points(own_database_url, clock, tmp_path)
    with connect_blocking(own_database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("ALTER TABLE loyalty_accounts DISABLE TRIGGER ALL")
        connection.execute("UPDATE loyalty_accounts SET balance = 71")
        connection.execute("ALTER TABLE loyalty_accounts ENABLE TRIGGER ALL")
    told = run(own_database_url, "ledger", "audit")
    assert told.returncode == 1
    assert "broken: account, 1 times" in told.stdout
    assert "1 customers may not redeem; 0 may again." in told.stdout
    assert json.loads(run(own_database_url, "ledger", "audit", "--json").stdout)["counts"]["account"] == 1


async def test_what_has_expired_is_written_off(own_database_url: str, clock: Clock) -> None:
    async with connect(own_database_url) as connection, connection.transaction():
        [member] = await make_members(connection, clock, 1)
        long_ago = replace(clock, stopped_at=clock.now() - timedelta(days=400))
        award = LoyaltyPointsEarn(customer_id=member, points=30, expiry_days=1)
        await LoyaltyService(connection, Settings(_env_file=None), long_ago).earn_loyalty_points(award, by=operator)
    told = run(own_database_url, "ledger", "expire").stdout
    assert told == "30 points of 1 customers written off, 1 lots.\n"
    assert run(own_database_url, "ledger", "expire").stdout == "0 points of 0 customers written off, 0 lots.\n"


async def test_a_number_of_nobody_is_an_error_of_the_operator(own_database_url: str) -> None:
    for text, why in (
        ("CUST-20200101-0001", "There is no such customer."),
        ("nobody@example.com", "There is no such customer."),
        ("nonsense", "This identifies no customer."),
    ):
        told = run(own_database_url, "ledger", "explain", text)
        assert (told.returncode, told.stdout) == (2, "")
        assert why in told.stderr
