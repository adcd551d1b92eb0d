"""Export and erasure over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.passwords import PasswordHash
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Role
from tests.api.accounts import sign_in as sign_in_by_password
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.factories.accounts import make_user, password
from tests.factories.customers import make_customer, set_columns

base = "/api/v1/retail-customers"


def confirmed(customer: RetailCustomer, **more: Any) -> dict[str, Any]:
    return {"customer_number": customer.customer_number, **more}


@pytest.fixture
async def customer(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, notes="likes tea")


@pytest.fixture
async def own(
    app: FastAPI, connection: Connection, clock: Clock, customer: RetailCustomer, hashed: PasswordHash
) -> AsyncIterator[httpx.AsyncClient]:
    """The customer, signed in with the password of tests."""
    email = str(customer.email)
    await make_user(connection, clock, role="customer", customer_id=customer.id, email=email, hashed=hashed)
    async with client_of(app) as anonymous:
        token = (await sign_in_by_password(anonymous, email, password))["access_token"]
    async with client_of(app, token) as client:
        yield client


async def test_staff_export_a_persons_data_and_that_is_written_down(
    as_role: AsRole, connection: Connection, customer: RetailCustomer
) -> None:
    answer = await (await as_role("staff")).post(f"{base}/{customer.id}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["content-length"] == str(len(answer.content))
    [profile] = answer.json()["sections"]["customers"]
    assert (profile["email"], profile["notes"]) == (customer.email, "likes tea")
    [(action, kind)] = await (
        await connection.execute("SELECT action, actor_kind FROM audit_log WHERE object_id = %s", [customer.id])
    ).fetchall()
    assert (action, kind) == ("export_customer_data", "user")


async def test_sections_are_chosen_by_name(as_role: AsRole, customer: RetailCustomer) -> None:
    staff = await as_role("staff")
    answer = await staff.post(f"{base}/{customer.id}/export", json={"sections": ["orders"]})
    assert answer.json()["sections"] == {"orders": []}
    unknown = await staff.post(f"{base}/{customer.id}/export", json={"sections": ["orders", "secrets"]})
    assert (unknown.status_code, slug(unknown)) == (422, "validation")
    assert unknown.json()["errors"][0]["pointer"] == "/sections/1"


async def test_customers_export_their_own_data_and_nobody_elses(
    as_role: AsRole, connection: Connection, clock: Clock, customer: RetailCustomer
) -> None:
    other = await make_customer(connection, clock)
    own = await as_role("customer", customer_id=customer.id)
    assert (await own.post(f"{base}/{customer.id}/export")).json()["customer_id"] == str(customer.id)
    foreign = await own.post(f"{base}/{other.id}/export")
    assert (foreign.status_code, slug(foreign)) == (404, "not-found")


@pytest.mark.parametrize("operation", ["export", "erase"])
@pytest.mark.parametrize("role", ["service", "analyst"])
async def test_tills_and_analysts_do_neither(
    as_role: AsRole, customer: RetailCustomer, role: str, operation: str
) -> None:
    answer = await (await as_role(role)).post(f"{base}/{customer.id}/{operation}", json={})  # type: ignore[arg-type]
    assert (answer.status_code, slug(answer)) == (403, "insufficient-scope")


async def test_an_admin_erases_a_person(as_role: AsRole, customer: RetailCustomer, clock: Clock) -> None:
    admin, staff, analyst = [await as_role(role) for role in ("admin", "staff", "analyst")]  # type: ignore[arg-type]
    answer = await admin.post(f"{base}/{customer.id}/erase", json=confirmed(customer))
    assert answer.status_code == 200
    erased = answer.json()
    assert (erased["customer_id"], erased["erased_at"]) == (str(customer.id), "2026-06-15T10:00:00Z")
    assert (erased["rows"]["customers"], erased["points_closed"], len(erased["proof"])) == (1, 0, 64)
    for path in ("", "/export"):
        method = "POST" if path else "GET"
        for caller, status in ((admin, 410), (staff, 410)):
            gone = await caller.request(method, f"{base}/{customer.id}{path}")
            assert (gone.status_code, slug(gone)) == (status, "customer-erased")
            assert gone.json()["erased_at"] == "2026-06-15T10:00:00Z"
    hidden = await analyst.get(f"{base}/{customer.id}")
    assert (hidden.status_code, slug(hidden)) == (404, "not-found")
    again = await admin.post(f"{base}/{customer.id}/erase", json=confirmed(customer))
    assert (again.status_code, slug(again)) == (410, "customer-erased")
    for filters in ({}, {"include_deleted": True}):
        assert (await admin.post(f"{base}/search", json=filters)).json()["items"] == []


async def test_the_address_of_an_erased_person_is_free(
    as_role: AsRole, connection: Connection, customer: RetailCustomer
) -> None:
    admin = await as_role("admin")
    await admin.post(f"{base}/{customer.id}/erase", json=confirmed(customer))
    answer = await admin.get(f"{base}/email/{customer.email}")
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    new = await admin.post(f"{base}/", json={"first_name": "A", "last_name": "B", "email": customer.email})
    assert new.status_code == 201


async def test_a_deleted_customer_can_be_erased(
    as_role: AsRole, connection: Connection, clock: Clock, customer: RetailCustomer
) -> None:
    await set_columns(connection, customer, deleted_at=clock.now())
    answer = await (await as_role("admin")).post(f"{base}/{customer.id}/erase", json=confirmed(customer))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/customer_number"),
        ({"customer_number": "CUST-20200101-0001"}, "/customer_number"),
        ({"customer_number": "12"}, "/customer_number"),
        ({"password": "correct horse battery"}, "/password"),
        ({"reason": "deletion"}, "/reason"),
    ],
)
async def test_an_erasure_must_be_meant(
    as_role: AsRole, connection: Connection, customer: RetailCustomer, body: dict[str, str], pointer: str
) -> None:
    sent = body if pointer == "/customer_number" else confirmed(customer, **body)
    answer = await (await as_role("admin")).post(f"{base}/{customer.id}/erase", json=sent)
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await (await connection.execute("SELECT count(*) FROM erasure_log")).fetchone() == (0,)


async def test_customers_erase_themselves_by_their_password_and_are_signed_out(
    own: httpx.AsyncClient, client: httpx.AsyncClient, connection: Connection, customer: RetailCustomer
) -> None:
    answer = await own.post(f"{base}/{customer.id}/erase", json=confirmed(customer, password=password))
    assert answer.status_code == 200
    after = await own.get("/api/v1/auth/me")
    assert (after.status_code, slug(after)) == (401, "session-revoked")
    assert (await sign_in_by_password(client, str(customer.email), password))["error"] == "invalid_grant"
    requested_by = await (await connection.execute("SELECT requested_by FROM erasure_log")).fetchone()
    assert requested_by == (None,)


@pytest.mark.parametrize("sent", [None, "wrong horse battery"])
async def test_a_stolen_token_erases_nobody(own: httpx.AsyncClient, customer: RetailCustomer, sent: str | None) -> None:
    body = confirmed(customer, **({"password": sent} if sent else {}))
    answer = await own.post(f"{base}/{customer.id}/erase", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    assert (await own.get(f"{base}/{customer.id}")).status_code == 200


async def test_wrong_passwords_count_as_failed_sign_ins(own: httpx.AsyncClient, customer: RetailCustomer) -> None:
    for _ in range(20):
        await own.post(f"{base}/{customer.id}/erase", json=confirmed(customer, password="wrong horse battery"))
    answer = await own.post(f"{base}/{customer.id}/erase", json=confirmed(customer, password=password))
    assert (answer.status_code, slug(answer)) == (429, "too-many-attempts")


async def test_customers_erase_nobody_else_and_give_no_reason(
    as_role: AsRole, connection: Connection, clock: Clock, customer: RetailCustomer
) -> None:
    other = await make_customer(connection, clock)
    own = await as_role("customer", customer_id=customer.id)
    foreign = await own.post(f"{base}/{other.id}/erase", json=confirmed(other, password=password))
    assert (foreign.status_code, slug(foreign)) == (404, "not-found")
    reasoned = await own.post(f"{base}/{customer.id}/erase", json=confirmed(customer, password="x", reason="other"))
    assert (reasoned.status_code, slug(reasoned)) == (422, "unknown-field")


async def test_who_comes_back_within_a_year_gets_no_second_welcome_bonus(
    client: httpx.AsyncClient, as_role: AsRole
) -> None:
    registration = {"first_name": "John", "last_name": "Doe", "email": "john@example.com", "password": "SecurePass123"}
    first = (await client.post(f"{base}/register", json=registration)).json()
    assert first["loyalty_points"] == 100
    body = {"customer_number": first["customer_number"]}
    erased = await (await as_role("admin")).post(f"{base}/{first['id']}/erase", json=body)
    assert erased.json()["points_closed"] == 100
    second = (await client.post(f"{base}/register", json=registration)).json()
    assert second["loyalty_points"] == 0


@pytest.mark.parametrize(
    ("role", "path", "body", "refusal"),
    [
        ("service", f"{base}/loyalty/redeem", {"points": 999}, "insufficient-points"),
        (
            "admin",
            f"{base}/loyalty/adjust",
            {"points": 999, "adjustment_type": "ADJUSTED_SUB", "reason": "goodwill"},
            "insufficient-points",
        ),
        ("service", f"{base}/loyalty/earn", {"points": 5}, "customer-inactive"),
        (
            "service",
            "/api/v1/orders",
            {"external_id": "1", "ordered_at": "2026-06-15T07:30:00Z", "total": "2.00"},
            "order-conflict",
        ),
    ],
)
async def test_no_kept_refusal_speaks_of_an_erased_person(
    as_role: AsRole, connection: Connection, customer: RetailCustomer, role: Role, path: str, body: Any, refusal: str
) -> None:
    caller, admin = await as_role(role), await as_role("admin")
    sent, key = {"customer_id": str(customer.id)} | body, {"Idempotency-Key": "once"}
    if refusal == "order-conflict":
        assert (await caller.post(path, json=sent | {"total": "1.00"})).status_code == 201
    await set_columns(connection, customer, is_active=refusal != "customer-inactive")
    for _ in range(2):
        assert slug(await caller.post(path, json=sent, headers=key)) == refusal
    erased = await admin.post(f"{base}/{customer.id}/erase", json=confirmed(customer))
    assert erased.status_code == 200
    after = await caller.post(path, json=sent, headers=key)
    assert (slug(after), "Idempotency-Replayed" in after.headers) in {("not-found", False), ("customer-erased", False)}


async def test_the_same_export_asked_for_twenty_times_is_one_job(
    as_role: AsRole, own: httpx.AsyncClient, customer: RetailCustomer
) -> None:
    path, later = f"{base}/{customer.id}/export", {"Prefer": "respond-async"}
    ids = {(await own.post(path, headers=later)).json()["id"] for _ in range(20)}
    assert len(ids) == 1
    part = await own.post(path, headers=later, json={"sections": ["orders"]})
    of_staff = await (await as_role("staff")).post(path, headers=later)
    assert len({*ids, part.json()["id"], of_staff.json()["id"]}) == 3


async def test_the_same_export_of_customers_is_one_job(as_role: AsRole) -> None:
    path, later = f"{base}/export", {"Prefer": "respond-async"}
    analyst, other = await as_role("analyst"), await as_role("analyst")
    ids = {(await analyst.post(path, headers=later, json={})).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert (await other.post(path, headers=later, json={})).json()["id"] not in ids
    assert (await analyst.post(path, headers=later, json={"is_active": True})).json()["id"] not in ids
