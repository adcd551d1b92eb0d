"""An export: all of the person, nothing of anybody else, whole as JSON and as CSV."""

import csv
import io
import json
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import pytest

from regulars.customers.models import RetailCustomer
from regulars.flows.export_customer import CustomerDataExports, sections
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer, make_scores
from tests.factories.orders import make_order
from tests.loyalty.shop import Shop


async def export(exports: CustomerDataExports, customer_id: UUID, **options: Any) -> dict[str, Any]:
    into = io.BytesIO()
    await exports.write_json(customer_id, into, **{"by": operator, **options})
    return dict(json.loads(into.getvalue()))


async def a_life(shop: Shop, customer: RetailCustomer) -> None:
    """Something in every section that a shop fills."""
    connection, clock = shop.connection, shop.clock
    _, caller = await sign_in(connection, shop.settings, clock, role="customer", customer_id=customer.id)
    order_id = await make_order(connection, clock, customer.id, total="30")
    await connection.execute(
        "INSERT INTO order_lines (customer_id, order_id, line_number, sku, quantity, unit_price, total)"
        " VALUES (%s, %s, 1, 'tea', 2, 15, 30)",
        [customer.id, order_id],
    )
    await shop.earn(customer.id, 30, description="for tea", metadata={"till": 4})
    await make_scores(connection, customer)
    await connection.execute(
        "INSERT INTO verifications (kind, subject_id, address, secret_hash, created_at, expires_at)"
        " VALUES ('email', %s, %s, uuidv4()::text::bytea, now(), now())",
        [customer.id, customer.email],
    )
    await connection.execute(
        "INSERT INTO audit_log (occurred_at, actor_kind, actor_id, action, object_kind, object_id)"
        " VALUES (now(), 'user', %s, 'get_customer', 'customer', %s)",
        [caller.id, customer.id],
    )


@pytest.fixture
def shop(connection: Connection, settings: Settings, clock: Clock) -> Shop:
    return Shop(connection, settings, clock)


async def test_an_export_tells_what_is_stored(exports: CustomerDataExports, shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock, notes="likes tea", tags=["vip"], city="Köln")
    await a_life(shop, customer)
    found = await export(exports, customer.id)
    assert (found["customer_id"], found["exported_at"]) == (str(customer.id), "2026-06-15T10:00:00Z")
    told = found["sections"]
    assert told.keys() == sections().keys()
    [profile] = told["customers"]
    assert (profile["email"], profile["city"], profile["notes"], profile["tags"]) == (
        customer.email, "Köln", "likes tea", ["vip"],
    )  # fmt: skip
    assert told["orders"][0]["total"] == "30.0000"
    assert told["order_lines"][0]["sku"] == "tea"
    assert [row["points"] for row in told["loyalty_transactions"]] == [30]
    assert told["loyalty_notes"] == [{"seq": 1, "description": "for tea", "metadata": {"till": 4}}]
    assert told["customer_scores"][0]["segment"] == "need_attention"
    assert told["verifications"][0]["address"] == customer.email
    assert {row["action"] for row in told["audit_log"]} == {"get_customer", "export_customer_data"}
    assert told["users"][0]["role"] == "customer"
    assert found["explanations"]["rfm"]["recency_score"] == 3
    assert found["explanations"]["clv"]["clv"] == "100.00"


async def test_it_holds_no_secret(exports: CustomerDataExports, shop: Shop) -> None:
    customer = await make_customer(shop.connection, shop.clock)
    await a_life(shop, customer)
    text = json.dumps(await export(exports, customer.id))
    assert "hash" not in text
    assert "argon2" not in text


async def test_it_holds_nothing_of_another_customer_who_shares_much(exports: CustomerDataExports, shop: Shop) -> None:
    same = {"last_name": "Shared", "city": "Bonn", "address_line1": "One House 1"}
    other = await make_customer(shop.connection, shop.clock, first_name="Olaf", **same)
    customer = await make_customer(shop.connection, shop.clock, first_name="Ann", referrer_customer_id=other.id, **same)
    for one in (other, customer):
        await a_life(shop, one)
    # One look at a list of both, and a registration that somebody typed the address into.
    await shop.connection.execute(
        "INSERT INTO audit_log (occurred_at, actor_kind, action, object_kind, facts) VALUES"
        " (now(), 'user', 'search_customers', 'customer', jsonb_build_object('customer_ids', %s::text[]))",
        [[str(customer.id), str(other.id)]],
    )
    await shop.connection.execute(
        "INSERT INTO registrations (password_hash, profile, created_at, expires_at)"
        " VALUES ('x', jsonb_build_object('email', %s::text, 'first_name', 'Mallory'), now(), now())",
        [customer.email],
    )
    found = await export(exports, customer.id)
    text = json.dumps(found)
    assert "search_customers" in text
    theirs = await export(exports, other.id)
    ids = {row["id"] for rows in theirs["sections"].values() for row in rows if "id" in row}
    assert len(ids) >= 4
    for value in (*ids, "Olaf", "Mallory", other.email, other.customer_number):
        assert str(value) not in text, value
    assert all(len(rows) == 1 for name, rows in found["sections"].items() if name in {"customers", "orders", "users"})


async def test_a_zip_has_the_same_as_json_and_as_files_for_a_spreadsheet(
    exports: CustomerDataExports, shop: Shop
) -> None:
    customer = await make_customer(shop.connection, shop.clock, notes="=HYPERLINK(1)", tags=["vip"])
    await a_life(shop, customer)
    into, reported = io.BytesIO(), []
    await exports.write_zip(
        customer.id, into, by=operator, report_progress=lambda done, of: reported.append((done, of))
    )
    with ZipFile(into) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    told = json.loads(files.pop("customer.json"))
    assert {name.removesuffix(".csv") for name in files} == told["sections"].keys() == sections().keys()
    for name, rows in told["sections"].items():
        assert len(list(csv.DictReader(io.StringIO(files[f"{name}.csv"], newline="")))) == len(rows), name
    [profile] = csv.DictReader(io.StringIO(files["customers.csv"], newline=""))
    assert (profile["notes"], profile["tags"]) == ("'=HYPERLINK(1)", '["vip"]')
    [note] = csv.DictReader(io.StringIO(files["loyalty_notes.csv"], newline=""))
    assert json.loads(note["metadata"]) == {"till": 4}
    assert reported[-1] == (len(sections()), len(sections()))


async def test_long_sections_are_read_in_parts(
    exports: CustomerDataExports, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.privacy.repository_tables.read_at_once", 2)
    customer_id = await shop.member()
    for points in range(1, 6):
        await shop.earn(customer_id, points)
    ledger = (await export(exports, customer_id))["sections"]["loyalty_transactions"]
    assert [row["points"] for row in ledger] == [1, 2, 3, 4, 5]


async def test_sections_can_be_chosen(exports: CustomerDataExports, shop: Shop) -> None:
    customer_id = await shop.member(points=3)
    chosen = await export(exports, customer_id, wanted=["orders", "customers"])
    assert list(chosen["sections"]) == ["customers", "orders"]
    with pytest.raises(Validation):
        await export(exports, customer_id, wanted=["customers", "secrets"])


async def test_of_nobody_there_is_nothing(exports: CustomerDataExports) -> None:
    with pytest.raises(NotFound):
        await export(exports, uuid4())
