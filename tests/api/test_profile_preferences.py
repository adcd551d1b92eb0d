"""What the profile shows of the preferences and the preferences themselves are one store with two views."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from alembic import command
from psycopg.types.json import Jsonb

from regulars.customers.models import CustomerProfile, RetailCustomer, stated_preferences
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_merging import RecordMergingRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.migrations import _config, migrate
from regulars.preferences.catalogue import well_known
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer

customers_url = "/api/v1/retail-customers"
samples: dict[str, Any] = {
    "preferred_categories": ["shoes", "hats"],
    "preferred_brands": ["Acme", "Ärmel & Co"],
    "preferred_sizes": ["42"],
    "preferred_colors": ["navy", "=red"],
    "preferred_payment_method": "PayPal",
}


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, first_name="Ann")


async def profile(staff: httpx.AsyncClient, ann: RetailCustomer) -> dict[str, Any]:
    shown: dict[str, Any] = (await staff.get(f"{customers_url}/{ann.id}")).json()
    return shown


async def preferences(staff: httpx.AsyncClient, ann: RetailCustomer) -> dict[str, Any]:
    listed = (await staff.get(f"{customers_url}/{ann.id}/preferences")).json()
    by_key = {(each["preference_type"], each["preference_key"]): each for each in listed}
    return {name: by_key[key] for name, key in stated_preferences.items() if key in by_key}


def as_preference(name: str, value: Any) -> dict[str, Any]:
    kind, key = stated_preferences[name]
    return {"preference_type": kind, "preference_key": key, "preference_value": value}


async def events(connection: Connection, kind: str) -> list[dict[str, Any]]:
    cursor = await connection.execute("SELECT facts FROM events WHERE kind = %s ORDER BY position", [kind])
    return [row[0] for row in await cursor.fetchall()]


def test_every_field_of_the_profile_with_the_meaning_of_a_preference_is_one() -> None:
    assert {name for name in CustomerProfile.__dataclass_fields__ if name.startswith("preferred_")} == samples.keys()
    assert samples.keys() == stated_preferences.keys()
    assert set(stated_preferences.values()) <= {(kind.value, key) for kind, key in well_known}


@pytest.mark.parametrize("name", samples)
async def test_a_profile_says_what_a_preference_says(as_role: AsRole, ann: RetailCustomer, name: str) -> None:
    staff = await as_role("staff")
    url = f"{customers_url}/{ann.id}/preferences"
    before = await profile(staff, ann)
    made = await staff.post(url, json=as_preference(name, samples[name]))
    assert made.status_code == 201
    after = await profile(staff, ann)
    assert after[name] == samples[name]
    assert after["version"] == before["version"] + 1, "whoever read the profile before has read another one"
    assert (await staff.delete(f"{url}/{made.json()['id']}")).status_code == 204
    assert (await profile(staff, ann))[name] == before[name]
    assert (await profile(staff, ann))["version"] == before["version"] + 2


@pytest.mark.parametrize("name", samples)
async def test_a_preference_says_what_a_profile_says(as_role: AsRole, ann: RetailCustomer, name: str) -> None:
    staff = await as_role("staff")
    other = ["x"] if isinstance(samples[name], list) else "cash"
    for value, etag in ((samples[name], '"1"'), (samples[name], '"1"'), (other, '"2"')):
        answer = await staff.put(f"{customers_url}/{ann.id}", json={name: value})
        assert (answer.status_code, answer.json()[name]) == (200, value)
        shown = (await preferences(staff, ann))[name]
        assert (shown["preference_value"], shown["origin"], shown["etag"]) == (value, "stated", etag)
    cleared = await staff.put(f"{customers_url}/{ann.id}", json={name: [] if isinstance(other, list) else None})
    assert cleared.status_code == 200
    assert await preferences(staff, ann) == {}


async def test_a_new_customer_has_the_preferences_of_the_profile(as_role: AsRole) -> None:
    staff = await as_role("staff")
    body = {"first_name": "A", "last_name": "B", "email": "a@example.com", **samples}
    made = await staff.post(f"{customers_url}/", json=body)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in samples} == samples
    listed = (await staff.get(f"{customers_url}/{made.json()['id']}/preferences")).json()
    found = {(each["preference_type"], each["preference_key"]): each["preference_value"] for each in listed}
    assert found == {stated_preferences[name]: value for name, value in samples.items()}


@pytest.mark.parametrize("name", ["preferred_categories", "preferred_brands"])
async def test_the_filter_finds_what_either_view_wrote(
    as_role: AsRole, connection: Connection, clock: Clock, name: str
) -> None:
    staff = await as_role("staff")
    by_profile, by_preference, _ = [await make_customer(connection, clock) for _ in range(3)]
    await staff.put(f"{customers_url}/{by_profile.id}", json={name: ["one", "two"]})
    added = await staff.post(
        f"{customers_url}/{by_preference.id}/preferences/bulk",
        json={"preferences": [as_preference(name, ["two", "two", "three"])]},
    )
    assert added.json()[0]["preference_value"] == ["two", "three"], "one that is repeated counts once"

    async def found(*words: str) -> set[UUID]:
        page = (await staff.post(f"{customers_url}/search", json={name: list(words)})).json()
        return {UUID(customer["id"]) for customer in page["items"]}

    assert await found("two") == {by_profile.id, by_preference.id}
    assert await found("three", "four") == {by_preference.id}
    assert await found("one") == {by_profile.id}
    assert await found("Two") == set()


async def test_both_kinds_of_events_tell_of_a_change_by_either_view(
    as_role: AsRole, connection: Connection, ann: RetailCustomer
) -> None:
    staff = await as_role("staff")
    for value in (["a"], ["b"], ["b"], []):
        await staff.put(f"{customers_url}/{ann.id}", json={"preferred_sizes": value, "city": "Bonn"})
    told = [(each["change"], each["well_known_key"]) for each in await events(connection, "preference.changed")]
    assert told == [("created", "sizes"), ("updated", "sizes"), ("deleted", "sizes")]
    assert [each["fields"] for each in await events(connection, "customer.updated")] == [
        ["city", "preferred_sizes"], ["preferred_sizes"], ["preferred_sizes"],
    ]  # fmt: skip
    await staff.post(f"{customers_url}/{ann.id}/preferences", json=as_preference("preferred_colors", ["red"]))
    assert (await events(connection, "customer.updated"))[-1]["fields"] == ["preferred_colors"]
    other = {"preference_type": "SHOPPING", "preference_key": "store", "preference_value": "Bonn"}
    await staff.post(f"{customers_url}/{ann.id}/preferences", json=other)
    assert len(await events(connection, "customer.updated")) == 4


async def test_a_full_list_of_preferences_keeps_no_profile_from_changing(
    as_role: AsRole, connection: Connection, ann: RetailCustomer
) -> None:
    staff = await as_role("staff")
    for part in range(2):
        many = [
            {"preference_type": "DELIVERY", "preference_key": f"own {part} {number}", "preference_value": 1}
            for number in range(100)
        ]
        answer = await staff.post(f"{customers_url}/{ann.id}/preferences/bulk", json={"preferences": many})
        assert answer.status_code == 200
    assert (await staff.put(f"{customers_url}/{ann.id}", json=samples)).status_code == 200
    again = await staff.post(f"{customers_url}/{ann.id}/preferences/bulk", json={"preferences": many[:1]})
    assert again.status_code == 200
    one_more = {"preference_type": "DELIVERY", "preference_key": "more", "preference_value": 1}
    assert (await staff.post(f"{customers_url}/{ann.id}/preferences", json=one_more)).status_code == 422


async def test_what_was_kept_twice_comes_together(own_database_url: str) -> None:
    command.downgrade(_config(own_database_url), "0034")
    at, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=1)
    only_profile, both, emptied, neither = (UUID(int=number) for number in range(1, 5))
    with psycopg.connect(own_database_url) as connection:
        for number, id_ in enumerate((only_profile, both, emptied, neither)):
            liked = [] if id_ == neither else ["shoes", "hats"]
            connection.execute(
                "INSERT INTO customers (id, customer_number, preferred_categories, preferred_payment_method,"
                " created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s)",
                [id_, f"CUST-20260101-000{number}", liked, "Visa" if id_ == only_profile else None, at, later],
            )
        for id_, words in ((both, ["coats"]), (emptied, [])):
            connection.execute(
                "INSERT INTO customer_preferences (customer_id, preference_type, preference_key, preference_value,"
                " created_at, updated_at) VALUES (%s, 'SHOPPING', 'categories', %s, %s, %s)",
                [id_, Jsonb(words), at, at],
            )
    migrate(own_database_url)
    with psycopg.connect(own_database_url) as connection:
        found = connection.execute(
            "SELECT customer_id, preference_key, preference_value, version FROM customer_preferences ORDER BY 1, 2"
        ).fetchall()
    assert found == [
        (only_profile, "categories", ["shoes", "hats"], 1),
        (only_profile, "method", "Visa", 1),
        (both, "categories", ["coats"], 1),
        (emptied, "categories", ["shoes", "hats"], 2),
    ]


async def test_a_record_that_becomes_part_of_another_gives_its_preferences_away(
    connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    records, customers = RecordMergingRepository(connection), RetailCustomerRepository(connection)
    await records.write(ann.id, {"preferred_sizes": ["M"], "preferred_colors": ["red"], "city": "Bonn"}, at=clock.now())
    written = await customers.get(ann.id)
    assert (written.preferred_sizes, written.preferred_colors, written.city) == (["M"], ["red"], "Bonn")
    await records.write(ann.id, {"preferred_sizes": [], "preferred_colors": ["red"]}, at=clock.now())
    left = await customers.get(ann.id)
    assert (left.preferred_sizes, left.preferred_colors, left.city) == ([], ["red"], "Bonn")
