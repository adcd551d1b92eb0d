"""Preferences over HTTP."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.accounts import audited
from tests.api.conftest import AsRole
from tests.api.probes import codes, slug
from tests.factories.customers import make_customer, set_columns

base = "/api/v1/retail-customers"
likes = {"preference_type": "SHOPPING", "preference_key": "categories", "preference_value": ["shoes"]}


@pytest.fixture
def url(customer_id: UUID) -> str:
    return f"{base}/{customer_id}/preferences"


async def told(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT facts ->> 'change', facts ->> 'preference_type', facts ->> 'well_known_key' FROM events"
        " WHERE kind = 'preference.changed' ORDER BY position"
    )
    return await cursor.fetchall()


async def test_a_preference_is_added_and_read(staff: httpx.AsyncClient, url: str, customer_id: UUID) -> None:
    created = await staff.post(url, json=likes)
    assert (created.status_code, created.headers["ETag"]) == (201, '"1"')
    answer = created.json()
    assert answer | {"id": None} == likes | {
        "id": None,
        "customer_id": str(customer_id),
        "origin": "stated",
        "etag": '"1"',
        "created_at": "2026-06-15T10:00:00Z",
        "updated_at": "2026-06-15T10:00:00Z",
    }
    assert (await staff.get(url)).json() == [answer]
    assert (await staff.get(f"{url}?preference_type=SHOPPING")).json() == [answer]
    assert (await staff.get(f"{url}?preference_type=PAYMENT")).json() == []


async def test_what_the_orders_show_stands_beside_what_was_said(
    as_role: AsRole, staff: httpx.AsyncClient, url: str, customer_id: UUID
) -> None:
    admin = await as_role("admin")
    for sku, category in (("S1", "hats"), ("S2", "coats")):
        await admin.put(f"/api/v1/products/{sku}", json={"name": sku, "category": category, "brand": "Acme"})
    order = {"source": "till", "external_id": "A1", "ordered_at": "2026-06-15T07:30:00Z", "total": "30.00"}
    lines = [{"sku": "S1", "quantity": 1, "unit_price": "10.00"}, {"sku": "S2", "quantity": 1, "unit_price": "20.00"}]
    taken = await admin.post("/api/v1/orders", json=order | {"customer_id": str(customer_id), "lines": lines})
    assert taken.status_code == 201
    stated = (await staff.post(url, json=likes)).json()
    derived = stated | dict.fromkeys(("id", "etag", "created_at", "updated_at")) | {"origin": "derived"}
    assert (await staff.get(url)).json() == [
        stated,
        derived | {"preference_key": "brands", "preference_value": ["Acme"]},
        derived | {"preference_value": ["coats", "hats"]},
    ]
    assert len((await staff.get(f"{url}?preference_type=SHOPPING")).json()) == 3
    assert (await staff.get(f"{url}?preference_type=DELIVERY")).json() == []


async def test_a_second_one_of_the_same_type_and_key_names_the_first(staff: httpx.AsyncClient, url: str) -> None:
    first = (await staff.post(url, json=likes)).json()
    again = await staff.post(url, json=likes | {"preference_value": []})
    assert (again.status_code, slug(again)) == (409, "preference-exists")
    assert again.json()["preference_id"] == first["id"]
    assert (await staff.get(url)).json() == [first]


async def test_a_change_gives_a_new_etag_and_a_stale_one_is_refused(staff: httpx.AsyncClient, url: str) -> None:
    path = f"{url}/{(await staff.post(url, json=likes)).json()['id']}"
    changed = await staff.put(path, json={"preference_value": ["hats"]}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"], changed.json()["etag"]) == (200, '"2"', '"2"')
    for stale in ('"1"', 'W/"2"', "2"):
        refused = await staff.put(path, json={"preference_value": []}, headers={"If-Match": stale})
        assert (refused.status_code, slug(refused), refused.headers["ETag"]) == (412, "precondition-failed", '"2"')
    assert (await staff.put(path, json={"preference_value": ["hats"]})).headers["ETag"] == '"2"'
    assert (await staff.put(path, json={}, headers={"If-Match": "*"})).headers["ETag"] == '"2"'
    assert (await staff.get(url)).json()[0]["preference_value"] == ["hats"]


async def test_null_is_a_value_and_type_and_key_do_not_change(staff: httpx.AsyncClient, url: str) -> None:
    free = likes | {"preference_key": "mood", "preference_value": "good"}
    path = f"{url}/{(await staff.post(url, json=free)).json()['id']}"
    assert (await staff.put(path, json={"preference_value": None})).json()["preference_value"] is None
    refused = await staff.put(path, json={"preference_key": "other"})
    assert (refused.status_code, codes(refused)) == (422, {"body/preference_key": "unknown"})


async def test_a_value_that_does_not_fit_its_key_is_refused_everywhere(staff: httpx.AsyncClient, url: str) -> None:
    created = await staff.post(url, json=likes)
    wrong = {"preference_value": "shoes"}
    for answer, pointer in (
        (await staff.post(url, json=likes | wrong), "/preference_value"),
        (await staff.put(f"{url}/{created.json()['id']}", json=wrong), "/preference_value"),
        (await staff.post(f"{url}/bulk", json={"preferences": [likes | wrong]}), "/preferences/0/preference_value"),
    ):
        assert (answer.status_code, slug(answer), codes(answer)) == (422, "validation", {f"body{pointer}": "format"})
    assert (await staff.get(url)).json() == [created.json()]


def free(*keys: str, value: object = 1) -> dict[str, Sequence[dict[str, object]]]:
    return {
        "preferences": [{"preference_type": "PAYMENT", "preference_key": k, "preference_value": value} for k in keys]
    }


async def test_many_are_written_over_those_that_are_there(staff: httpx.AsyncClient, url: str) -> None:
    first = (await staff.post(f"{url}/bulk", json=free("b", "a"))).json()
    assert [(each["preference_key"], each["etag"]) for each in first] == [("b", '"1"'), ("a", '"1"')]
    second = await staff.post(f"{url}/bulk", json={"preferences": [likes, *free("a", value=2)["preferences"]]})
    assert second.status_code == 200
    assert [(each["preference_key"], each["etag"]) for each in second.json()] == [("categories", '"1"'), ("a", '"2"')]
    assert len((await staff.get(url)).json()) == 3


async def test_of_many_all_or_none_are_written(staff: httpx.AsyncClient, url: str) -> None:
    for body in (
        {"preferences": []},
        free(*map(str, range(101))),
        free("a", "a"),
        {"preferences": [*free("a")["preferences"], likes | {"preference_value": 1}]},
    ):
        assert (await staff.post(f"{url}/bulk", json=body)).status_code == 422
    assert (await staff.get(url)).json() == []


async def test_a_customer_has_at_most_200_preferences(staff: httpx.AsyncClient, url: str) -> None:
    for part in range(2):
        keys = [f"{part}-{number}" for number in range(100)]
        assert (await staff.post(f"{url}/bulk", json=free(*keys))).status_code == 200
    for answer in (await staff.post(url, json=likes), await staff.post(f"{url}/bulk", json=free("0-1", "new"))):
        assert (answer.status_code, slug(answer)) == (422, "validation")
        assert answer.json()["detail"] == "There would be more than 200 preferences."
    assert (await staff.post(f"{url}/bulk", json=free("0-1", value=2))).status_code == 200
    assert len((await staff.get(url)).json()) == 200


async def test_a_deleted_preference_is_gone(staff: httpx.AsyncClient, url: str) -> None:
    path = f"{url}/{(await staff.post(url, json=likes)).json()['id']}"
    assert (await staff.delete(path)).status_code == 204
    assert [(await staff.delete(path)).status_code, (await staff.put(path, json={})).status_code] == [404, 404]
    assert (await staff.post(url, json=likes)).status_code == 201


async def test_customers_read_and_write_their_own_only(
    as_role: AsRole, url: str, customer_id: UUID, connection: Connection, clock: Clock
) -> None:
    own = await as_role("customer", customer_id=customer_id)
    created = (await own.post(url, json=likes)).json()
    stranger_id = (await make_customer(connection, clock)).id
    stranger = await as_role("customer", customer_id=stranger_id)
    missing = f"{base}/{uuid4()}/preferences"
    for method, path, body in (
        ("GET", "", None), ("POST", "", likes), ("POST", "/bulk", free("a")),
        ("PUT", f"/{created['id']}", {}), ("DELETE", f"/{created['id']}", None),
    ):  # fmt: skip
        answers = [await stranger.request(method, where + path, json=body) for where in (url, missing)]
        assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 2
    assert (await own.get(url)).json() == [created]
    assert (await own.delete(f"{url}/{created['id']}")).status_code == 204


async def test_the_preferences_of_deleted_and_erased_customers_are_not_shown(
    staff: httpx.AsyncClient, url: str, connection: Connection, clock: Clock, as_role: AsRole
) -> None:
    customer = await make_customer(connection, clock)
    where = f"{base}/{customer.id}/preferences"
    await set_columns(connection, customer, deleted_at=clock.now())
    assert [(await staff.get(where)).status_code, (await staff.post(where, json=likes)).status_code] == [404, 404]
    await set_columns(connection, customer, deleted_at=None, erased_at=clock.now())
    assert [(await staff.get(where)).status_code, (await staff.post(where, json=likes)).status_code] == [410, 410]


async def test_changes_are_told_and_audited_without_what_was_said(
    staff: httpx.AsyncClient, url: str, connection: Connection
) -> None:
    mine = likes | {"preference_key": "my own words", "preference_value": "secret"}
    created = [(await staff.post(url, json=body)).json()["id"] for body in (likes, mine)]
    await staff.put(f"{url}/{created[0]}", json={"preference_value": []})
    await staff.put(f"{url}/{created[0]}", json={"preference_value": []})
    await staff.delete(f"{url}/{created[1]}")
    await staff.get(url)
    assert await told(connection) == [
        ("created", "SHOPPING", "categories"),
        ("created", "SHOPPING", None),
        ("updated", "SHOPPING", "categories"),
        ("deleted", "SHOPPING", None),
    ]
    assert [len(await audited(connection, name)) for name in ("create_preference", "update_preference")] == [2, 1]
    assert [len(await audited(connection, name)) for name in ("delete_preference", "list_preferences")] == [1, 1]
    entries = await connection.execute("SELECT count(*) FROM audit_log WHERE facts::text LIKE '%secret%'")
    assert await entries.fetchone() == (0,)
