"""`regulars import consents` and `regulars customers suppressions`, as the operator types them."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

from regulars.customers.identifiers import Email, Phone
from regulars.kit.clock import Clock
from regulars.kit.database import connect
from tests.cli.program import regulars
from tests.factories.customers import make_customer, set_columns


async def _fill(url: str, clock: Clock) -> None:
    async with connect(url) as connection:
        people = {
            name: await make_customer(
                connection, clock, first_name=name, email=Email(f"{name.lower()}@example.com"), phone=phone
            )
            for name, phone in {"Ann": Phone("+4930123456"), **dict.fromkeys(("Bob", "Eve", "Moe", "Sue"))}.items()
        }
        await set_columns(connection, people["Eve"], is_active=False)
        await connection.execute(
            "INSERT INTO customer_engagement (customer_id, bounced_email, bounced_at) VALUES (%s, %s, %s)",
            [people["Moe"].id, "moe@example.com", clock.now()],
        )
        gone = await make_customer(connection, clock, email=Email("gone@example.com"))
        await set_columns(connection, gone, erased_at=clock.now())


@pytest.fixture
def shop(own_database_url: str, clock: Clock, tmp_path: Path) -> tuple[str, Path]:
    """Five customers, of whom all but Sue allowed mail once, and a file that says so."""
    asyncio.run(_fill(own_database_url, clock))
    file = tmp_path / "consents.csv"
    grants = [f"{name}@example.com,email,granted,2020-01-01T00:00:00Z" for name in ("ann", "bob", "eve", "moe")]
    lines = ["email,channel,action,occurred_at", *grants, "bob@example.com,email,withdrawn,2020-02-01T00:00:00Z"]
    file.write_text("\n".join(lines), encoding="utf-8")
    return own_database_url, file


def test_a_file_is_imported_and_whoever_must_not_be_mailed_is_listed(shop: tuple[str, Path]) -> None:
    url, file = shop
    done = regulars(url, "import", "consents", str(file), "--source", "list")
    assert (done.exit_code, done.stdout) == (
        0, "5 consents recorded, 0 known already, 0 grants overruled by withdrawals, 0 of 5 lines rejected.\n"
    )  # fmt: skip
    listed = regulars(url, "customers", "suppressions")
    assert listed.stderr == "4 customers\n"
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert [(row["channel"], row["address"], row["reason"]) for row in rows] == [
        ("email", "bob@example.com", "withdrawn"),
        ("email", "eve@example.com", "inactive"),
        ("email", "moe@example.com", "bounced"),
        ("email", "sue@example.com", "not_granted"),
    ]


def test_other_channels_have_lists_of_their_own(shop: tuple[str, Path]) -> None:
    url, _ = shop
    texts = csv.DictReader(io.StringIO(regulars(url, "customers", "suppressions", "--channel", "sms").stdout))
    assert [(row["address"], row["reason"]) for row in texts] == [("+4930123456", "not_granted")]
    pushes = csv.DictReader(io.StringIO(regulars(url, "customers", "suppressions", "--channel", "push").stdout))
    assert [(row["address"], row["reason"]) for row in pushes] == [("", "not_granted")] * 5


def test_rejected_lines_are_named_and_make_the_exit_code(shop: tuple[str, Path]) -> None:
    url, file = shop
    with file.open("a", encoding="utf-8") as lines:
        lines.write("\nstranger@example.com,email,granted,\n")
    done = regulars(url, "import", "consents", str(file), "--source", "list")
    assert (done.exit_code, done.stderr) == (2, "line 7: email: there is no such customer\n")
    again = json.loads(regulars(url, "import", "consents", str(file), "--source", "list", "--json").stdout)
    assert [again[name] for name in ("received", "recorded", "unchanged", "failed")] == [6, 0, 5, 1]
