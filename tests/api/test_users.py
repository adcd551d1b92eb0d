"""Administrators and the people who may sign in."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from regulars.accounts.models import User
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Role
from tests.api.accounts import audited, bearer, me_url, refresh_url, sign_in
from tests.api.conftest import TokenFor
from tests.api.probes import codes, slug
from tests.factories.accounts import make_user, password
from tests.factories.customers import make_customer, set_columns

url = "/api/v1/auth/users"
good = "a sentence that nobody says"


async def me(caller: httpx.AsyncClient) -> str:
    return str((await caller.get(me_url)).json()["id"])


async def test_an_admin_adds_a_person_who_then_signs_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection
) -> None:
    answer = await admin.post(url, json={"email": " Ann@Example.com", "role": "analyst", "password": good})
    user = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{url}/{user['id']}")
    assert user == {
        "id": user["id"],
        "email": "ann@example.com",
        "role": "analyst",
        "customer_id": None,
        "is_enabled": True,
        "created_at": "2026-06-15T10:00:00Z",
        "updated_at": "2026-06-15T10:00:00Z",
    }
    assert (await admin.get(answer.headers["Location"])).json() == user
    assert (await sign_in(client, "ann@example.com", good))["token_type"] == "Bearer"
    [row] = await audited(connection, "create_user")
    assert row == (
        "user", UUID(await me(admin)), "user", UUID(user["id"]), ["email", "password", "role"],
        {"role": "analyst", "is_enabled": True},
    )  # fmt: skip


async def test_without_a_password_nobody_signs_in_until_one_is_set(
    admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    assert (await admin.post(url, json={"email": "ann@example.com", "role": "staff"})).status_code == 201
    for guess in ("None", password, good):
        assert (await sign_in(client, "ann@example.com", guess))["status"] == 401


async def test_a_customers_login_is_linked_to_the_record(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    body = {
        "email": "ann@example.com",
        "role": "customer",
        "customer_id": str(customer.id),
        "password": "nine lives",
    }
    user = (await admin.post(url, json=body)).json()
    tokens = await sign_in(client, "ann@example.com", "nine lives")
    own = await client.get(f"/api/v1/retail-customers/{customer.id}", headers=bearer(tokens["access_token"]))
    assert (own.status_code, own.json()["user_id"]) == (200, user["id"])
    again = await admin.post(url, json=body | {"email": "bob@example.com"})
    assert (again.status_code, slug(again)) == (422, "validation")
    assert codes(again) == {"body/customer_id": "range"}


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({"role": "service"}, 422, {"body/role": "enum"}),
        ({"role": "root"}, 422, {"body/role": "enum"}),
        ({"role": "customer"}, 422, {"body/customer_id": "missing"}),
        ({"customer_id": str(UUID(int=7))}, 422, {"body/customer_id": "range"}),
        ({"email": "ann"}, 422, {"body/email": "format"}),
        ({"password": "x" * 129}, 422, {"body/password": "length"}),
        ({"auth_epoch": 7}, 422, {"body/auth_epoch": "unknown"}),
    ],
)
async def test_a_person_who_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, connection: Connection, change: dict[str, Any], status: int, expected: dict[str, str]
) -> None:
    answer = await admin.post(url, json={"email": "ann@example.com", "role": "staff"} | change)
    assert (answer.status_code, codes(answer)) == (status, expected)
    assert await audited(connection, "create_user") == []


async def test_passwords_are_checked_against_what_is_known(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    customer = await make_customer(connection, clock, first_name="Wilhelmina", last_name="Oz")
    as_customer = {"role": "customer", "customer_id": str(customer.id)}
    for body, rule in (
        ({"role": "staff", "password": "14 characters."}, "too_short"),
        ({"role": "staff", "password": "1qaz2wsx3edc4rfv"}, "breached"),
        ({"role": "staff", "password": "ann@example.com"}, "context"),
        (as_customer | {"password": "wilhelmina1"}, "context"),
    ):
        answer = await admin.post(url, json={"email": "ann@example.com"} | body)
        assert (answer.status_code, slug(answer), answer.json()["rule"]) == (422, "weak-password", rule)
        assert body["password"] not in answer.text


async def test_an_address_signs_in_one_person(admin: httpx.AsyncClient) -> None:
    body = {"email": "ann@example.com", "role": "staff"}
    assert (await admin.post(url, json=body)).status_code == 201
    answer = await admin.post(url, json=body | {"email": "ANN@example.com"})
    assert (answer.status_code, slug(answer)) == (409, "email-taken")


async def test_a_customer_who_is_not_there_cannot_be_linked(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    deleted = await make_customer(connection, clock)
    await set_columns(connection, deleted, deleted_at=clock.now())
    for customer_id in (uuid4(), deleted.id):
        body = {"email": "ann@example.com", "role": "customer", "customer_id": str(customer_id)}
        answer = await admin.post(url, json=body)
        assert (answer.status_code, slug(answer)) == (404, "not-found")


async def test_users_are_listed_newest_first_by_what_they_are(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    old = await make_user(connection, clock, role="staff", email="old@example.com")
    customer = await make_user(connection, clock, role="customer", email="cus@example.com")
    new = await make_user(connection, clock, role="analyst", email="new@example.com")
    await connection.execute("UPDATE users SET is_enabled = false WHERE id = %s", [new.id])

    async def listed(query: str) -> tuple[list[str], int]:
        page = (await admin.get(f"{url}?{query}")).json()
        assert page["total_is_estimate"] is False
        return [user["id"] for user in page["items"]], page["total"]

    myself = await me(admin)
    assert await listed("") == ([str(new.id), str(customer.id), str(old.id), myself], 4)
    assert await listed("limit=2&offset=1") == ([str(customer.id), str(old.id)], 4)
    assert await listed("role=staff&role=customer") == ([str(customer.id), str(old.id)], 2)
    assert await listed("is_enabled=false") == ([str(new.id)], 1)
    assert await listed("email=OLD@example.com") == ([str(old.id)], 1)
    assert await listed(f"customer_id={customer.customer_id}") == ([str(customer.id)], 1)
    assert await listed("email=nobody@example.com") == ([], 0)


async def test_beyond_ten_thousand_the_count_is_an_estimate(admin: httpx.AsyncClient, connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO users (email, password_hash, role, created_at, updated_at)"
        " SELECT n || '@example.com', '', 'staff', now(), now() FROM generate_series(1, 10001) n"
    )
    page = (await admin.get(f"{url}?limit=1")).json()
    assert page["total_is_estimate"] is True
    assert page["total"] >= 10_001


@pytest.mark.parametrize(
    "query", ["colour=red", "role=root", "limit=101", "customer_id=abc", "email=ann", "role=service"]
)
async def test_a_list_is_asked_for_in_known_words(admin: httpx.AsyncClient, query: str) -> None:
    assert (await admin.get(f"{url}?{query}")).status_code == 422


async def ann(connection: Connection, clock: Clock, role: Role = "staff") -> User:
    return await make_user(connection, clock, role=role, email="ann@example.com")


async def test_a_change_of_role_acts_at_once(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection
) -> None:
    created = (await admin.post(url, json={"email": "ann@example.com", "role": "staff", "password": good})).json()
    tokens = await sign_in(client, "ann@example.com", good)
    answer = await admin.put(f"{url}/{created['id']}", json={"role": "analyst"})
    assert (answer.status_code, answer.json()["role"]) == (200, "analyst")
    old = await client.get(me_url, headers=bearer(tokens["access_token"]))
    assert (old.status_code, slug(old)) == (401, "session-revoked")
    renewed = (await client.post(refresh_url, json={"refresh_token": tokens["refresh_token"]})).json()
    again = await client.get(me_url, headers=bearer(renewed["access_token"]))
    assert again.json()["role"] == "analyst"
    [row] = await audited(connection, "update_user")
    assert row[3:] == (UUID(created["id"]), ["role"], {"role": "analyst", "is_enabled": True})


async def test_who_is_disabled_is_out_and_comes_back_only_by_signing_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection
) -> None:
    created = (await admin.post(url, json={"email": "ann@example.com", "role": "staff", "password": good})).json()
    tokens = await sign_in(client, "ann@example.com", good)
    assert (await admin.delete(f"{url}/{created['id']}")).status_code == 204
    assert (await admin.get(f"{url}/{created['id']}")).json()["is_enabled"] is False
    assert (await sign_in(client, "ann@example.com", good))["status"] == 401
    assert (await admin.put(f"{url}/{created['id']}", json={"is_enabled": True})).status_code == 200
    assert (await client.get(me_url, headers=bearer(tokens["access_token"]))).status_code == 401
    assert (await client.post(refresh_url, json={"refresh_token": tokens["refresh_token"]})).status_code == 401
    assert "access_token" in await sign_in(client, "ann@example.com", good)
    assert len(await audited(connection, "disable_user")) == 1


async def test_a_change_that_changes_nothing_ends_no_token(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, token_for: TokenFor, connection: Connection
) -> None:
    token, caller = await token_for("staff")
    for body in ({}, {"role": "staff"}, {"is_enabled": True, "role": "staff"}):
        assert (await admin.put(f"{url}/{caller.id}", json=body)).status_code == 200
    assert (await client.get(me_url, headers=bearer(token))).status_code == 200
    assert await audited(connection, "update_user") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"role": None}, {"body/role": "enum"}),
        ({"is_enabled": None}, {"body/is_enabled": "type"}),
        ({"role": "customer"}, {"body/role": "enum"}),
        ({"email": "b@example.com"}, {"body/email": "unknown"}),
        ({"is_enabled": "true"}, {"body/is_enabled": "type"}),
    ],
)
async def test_only_role_and_state_change(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock, body: dict[str, Any], expected: dict[str, str]
) -> None:
    user = await ann(connection, clock)
    answer = await admin.put(f"{url}/{user.id}", json=body)
    assert (answer.status_code, codes(answer)) == (422, expected)


async def test_a_customers_login_stays_one(admin: httpx.AsyncClient, connection: Connection, clock: Clock) -> None:
    user = await ann(connection, clock, role="customer")
    answer = await admin.put(f"{url}/{user.id}", json={"role": "admin"})
    assert (answer.status_code, codes(answer)) == (422, {"body/role": "enum"})
    assert (await admin.delete(f"{url}/{user.id}")).status_code == 204


async def test_who_is_not_there_is_not_found(admin: httpx.AsyncClient) -> None:
    missing = f"{url}/{uuid4()}"
    answers = [await admin.get(missing), await admin.put(missing, json={}), await admin.delete(missing)]
    assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 3


@pytest.mark.parametrize("change", [{"role": "staff"}, {"is_enabled": False}, None])
async def test_the_last_admin_stays(
    admin: httpx.AsyncClient, connection: Connection, clock: Clock, change: dict[str, Any] | None
) -> None:
    disabled = await ann(connection, clock, role="admin")
    await connection.execute("UPDATE users SET is_enabled = false WHERE id = %s", [disabled.id])
    own = f"{url}/{await me(admin)}"
    answer = await (admin.delete(own) if change is None else admin.put(own, json=change))
    assert (answer.status_code, slug(answer)) == (409, "last-admin")
    assert (await admin.get(own)).json()["role"] == "admin"
    await connection.execute("UPDATE users SET is_enabled = true WHERE id = %s", [disabled.id])
    assert (await (admin.delete(own) if change is None else admin.put(own, json=change))).is_success
