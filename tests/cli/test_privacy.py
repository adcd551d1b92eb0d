"""`regulars privacy`, `regulars customers erase` and `export-data`, as the operator types them."""

import asyncio
import json
import stat
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import psycopg
import pytest

from regulars.customers.models import RetailCustomer
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.cli.program import complaint, query, regulars
from tests.factories.accounts import make_user
from tests.factories.customers import make_customer


@pytest.fixture
def customer(own_database_url: str, clock: Clock) -> RetailCustomer:
    async def make() -> RetailCustomer:
        async with connect(own_database_url) as connection:
            return await make_customer(connection, clock, first_name="Ann")

    return asyncio.run(make())


def is_erased(url: str) -> bool:
    return query(url, "SELECT erased_at IS NOT NULL FROM customers") == [(True,)]


def test_the_operator_erases_a_person_after_typing_the_number(own_database_url: str, customer: RetailCustomer) -> None:
    wrong = regulars(own_database_url, "customers", "erase", str(customer.email), typed="CUST-1\n")
    assert "not the number" in complaint(wrong)
    assert not is_erased(own_database_url)
    done = regulars(own_database_url, "customers", "erase", str(customer.email), typed=f"{customer.customer_number}\n")
    assert done.exit_code == 0, done.output
    assert "erased: " in done.output
    assert is_erased(own_database_url)
    again = regulars(own_database_url, "customers", "erase", str(customer.id), "--yes")
    assert "was erased" in complaint(again)


def test_the_operator_writes_a_persons_data_to_a_file(
    own_database_url: str, customer: RetailCustomer, tmp_path: Path
) -> None:
    to = tmp_path / "ann.zip"
    assert regulars(own_database_url, "customers", "export-data", str(customer.id), "--to", str(to)).exit_code == 0
    with ZipFile(to) as archive:
        told = json.loads(archive.read("customer.json"))
    assert told["sections"]["customers"][0]["first_name"] == "Ann"
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert "such a file" in complaint(
        regulars(own_database_url, "customers", "export-data", str(customer.id), "--to", str(to))
    )


def test_a_file_that_cannot_be_written_is_said(own_database_url: str, customer: RetailCustomer, tmp_path: Path) -> None:
    to = tmp_path / "nowhere" / "ann.zip"
    done = regulars(own_database_url, "customers", "export-data", str(customer.id), "--to", str(to))
    assert complaint(done) == f"{to} cannot be written (No such file or directory). Name another with --to."


def test_an_export_that_breaks_off_leaves_no_file(
    own_database_url: str, customer: RetailCustomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(self: object, customer_id: object, into: IO[bytes], *, by: object) -> None:
        into.write(b"PK")
        raise RuntimeError

    monkeypatch.setattr(CustomerDataExports, "write_zip", break_off)
    to = tmp_path / "ann.zip"
    done = regulars(own_database_url, "customers", "export-data", str(customer.id), "--to", str(to))
    assert isinstance(done.exception, RuntimeError)
    assert not to.exists()


def test_the_operator_is_told_who_looked_at_a_person(
    own_database_url: str, customer: RetailCustomer, clock: Clock
) -> None:
    async def look() -> None:
        async with connect(own_database_url) as connection:
            user = await make_user(connection, clock, email="sam@shop.test")
            entry = "(now(), 'user', %s, %s, 'customer', %s, %s, %s)"
            await connection.execute(
                "INSERT INTO audit_log"
                " (occurred_at, actor_kind, actor_id, action, object_kind, object_id, fields, facts)"
                f" VALUES {entry}, {entry}, {entry}, {entry}",
                [
                    *(user.id, "get_customer", customer.id, [], "{}"),
                    *(user.id, "search_customers", None, ["city"], json.dumps({"customer_ids": [str(customer.id)]})),
                    *(user.id, "search_customers", None, ["q"], json.dumps({"customer_ids": [str(user.id)]})),
                    *(user.id, "export_customers", None, [], '{"rows": 7}'),
                ],
            )

    asyncio.run(look())
    done = regulars(own_database_url, "privacy", "access-report", str(customer.id), "--json")
    told = [json.loads(line) for line in done.output.splitlines()]
    assert {(one["action"], one["actor"], *one["fields"], one["is_certain"]) for one in told} == {
        ("get_customer", "sam@shop.test", True),
        ("search_customers", "sam@shop.test", "city", True),
        ("export_customers", "sam@shop.test", False),
    }
    table = regulars(own_database_url, "privacy", "access-report", customer.customer_number)
    assert "perhaps of this one" in table.output


def test_a_restored_backup_forgets_again(own_database_url: str, customer: RetailCustomer, tmp_path: Path) -> None:
    """The log that was kept beside the backup is replayed over it."""
    before = query(own_database_url, "SELECT * FROM customers")[0]
    assert before
    with psycopg.connect(own_database_url) as connection:
        connection.execute("CREATE SCHEMA backup")
        for table in ("customers", "customer_identifiers"):
            connection.execute(f"CREATE TABLE backup.{table} AS TABLE public.{table}")
    assert regulars(own_database_url, "customers", "erase", str(customer.id), "--yes").exit_code == 0
    log = tmp_path / "erasures.ndjson"
    log.write_text(regulars(own_database_url, "privacy", "erasure-log").stdout)
    with psycopg.connect(own_database_url) as connection:
        connection.execute("TRUNCATE erasure_log")
        connection.execute(
            "UPDATE customers c SET erased_at = NULL, deleted_at = NULL, first_name = b.first_name, email = b.email,"
            " customer_number = b.customer_number FROM backup.customers b"
        )
        connection.execute("INSERT INTO customer_identifiers SELECT * FROM backup.customer_identifiers")
        connection.execute("DROP SCHEMA backup CASCADE")
    done = regulars(own_database_url, "privacy", "replay-erasures", str(log))
    assert done.output == "erased again: 1 people\n"
    assert is_erased(own_database_url)
    assert query(own_database_url, "SELECT first_name, email FROM customers") == [(None, None)]
    assert query(own_database_url, "SELECT * FROM customer_identifiers") == []
    kept = json.loads(log.read_text())
    assert query(own_database_url, "SELECT encode(proof, 'hex') FROM erasure_log") == [(kept["proof"],)]


def test_a_file_that_is_no_log_is_refused(own_database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "erasures.ndjson"
    log.write_text('{"customer_id": "1"}\n')
    assert "Line 1" in complaint(regulars(own_database_url, "privacy", "replay-erasures", str(log)))
