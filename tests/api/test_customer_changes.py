"""Profiles changed, customers deactivated, deleted and taken back, over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.passwords import PasswordHash
from regulars.customers.identifiers import Email, Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.patience import settled
from tests.api.probes import codes, slug
from tests.factories.accounts import make_user, password, sign_in
from tests.factories.customers import make_customer, set_columns

customers_url, token_url = "/api/v1/retail-customers/", "/api/v1/auth/token"


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(
        connection, clock, first_name="Ann", email=Email("ann@example.com"), phone=Phone("+4930123456"), city="Berlin"
    )


def url_of(customer: RetailCustomer, action: str = "") -> str:
    return f"{customers_url}{customer.id}{action}"


async def stored(connection: Connection, customer: RetailCustomer) -> RetailCustomer:
    return await RetailCustomerRepository(connection).get(customer.id)


async def audited(connection: Connection, action: str) -> list[tuple[Any, ...]]:
    cursor = await connection.execute("SELECT object_id, fields, facts FROM audit_log WHERE action = %s", [action])
    return await cursor.fetchall()


async def test_what_is_sent_changes_and_the_rest_stays(
    as_role: AsRole, connection: Connection, ann: RetailCustomer
) -> None:
    sent = {"last_name": " Müller ", "city": None, "tags": ["vip", "vip"], "sms_marketing_consent": True}
    answer = await (await as_role("staff")).put(url_of(ann), json=sent)
    assert (answer.status_code, answer.headers["etag"], answer.json()["version"]) == (200, '"2"', 2)
    shown = answer.json()
    assert (shown["last_name"], shown["city"], shown["tags"]) == ("Müller", None, ["vip"])
    assert (shown["first_name"], shown["email"], shown["sms_marketing_consent"]) == ("Ann", "ann@example.com", True)
    assert await audited(connection, "update_customer") == [
        (ann.id, ["city", "last_name", "sms_marketing_consent", "tags"], {})
    ]


@pytest.mark.parametrize("body", [{}, {"city": " Berlin"}, {"email": "ANN@example.com", "phone": "+49 30 123456"}])
async def test_what_changes_nothing_keeps_the_version(
    as_role: AsRole, connection: Connection, ann: RetailCustomer, body: dict[str, Any]
) -> None:
    answer = await (await as_role("staff")).put(url_of(ann), json=body)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert await stored(connection, ann) == ann
    assert await audited(connection, "update_customer") == []


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"email_marketing_consent": None}, "/email_marketing_consent", "type"),
        ({"tags": None}, "/tags", "type"),
        ({"email": None, "phone": None}, "/email /phone", "missing"),
        ({"referrer_customer_id": str(uuid4())}, "/referrer_customer_id", "range"),
        ({"email": "nobody"}, "/email", "format"),
    ],
)
async def test_a_profile_cannot_become_what_no_profile_is(
    as_role: AsRole, connection: Connection, ann: RetailCustomer, body: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await (await as_role("staff")).put(url_of(ann), json=body)
    assert (answer.status_code, slug(answer), codes(answer)) == (
        422, "validation", {f"body{each}": code for each in pointer.split()},
    )  # fmt: skip
    assert await stored(connection, ann) == ann


async def test_nobody_refers_to_themselves(as_role: AsRole, ann: RetailCustomer) -> None:
    answer = await (await as_role("staff")).put(url_of(ann), json={"referrer_customer_id": str(ann.id)})
    assert (answer.status_code, codes(answer)) == (422, {"body/referrer_customer_id": "range"})


async def test_who_cannot_be_reached_need_not_become_reachable(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    nobody = await make_customer(connection, clock, email=None)
    answer = await (await as_role("staff")).put(url_of(nobody), json={"city": "Bonn"})
    assert answer.status_code == 200


async def test_customers_change_what_is_theirs(as_role: AsRole, connection: Connection, ann: RetailCustomer) -> None:
    me = await as_role("customer", customer_id=ann.id)
    sent = {"phone": None, "city": "Bonn", "preferred_sizes": ["M"], "push_notification_consent": True}
    assert (await me.put(url_of(ann), json=sent)).json()["preferred_sizes"] == ["M"]
    changed = await stored(connection, ann)
    for field in ("first_name", "notes", "tags", "date_of_birth", "referrer_customer_id", "gender"):
        answer = await me.put(url_of(ann), json={field: None, "city": "Kiel"})
        assert (answer.status_code, slug(answer), codes(answer)) == (422, "unknown-field", {f"body/{field}": "unknown"})
    assert await stored(connection, ann) == changed


async def test_a_foreign_field_comes_before_a_wrong_value_and_both_are_told(
    as_role: AsRole, ann: RetailCustomer
) -> None:
    me = await as_role("customer", customer_id=ann.id)
    answer = await me.put(url_of(ann), json={"first_name": "x" * 101, "city": 7})
    assert (slug(answer), codes(answer)) == ("unknown-field", {"body/first_name": "unknown", "body/city": "type"})


@pytest.mark.parametrize(
    ("taken", "expected"), [({"email": "Bob@example.com"}, "email-taken"), ({"phone": "+49 30 999"}, "phone-taken")]
)
async def test_what_another_customer_has_cannot_be_taken(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer, taken: dict[str, str], expected: str
) -> None:
    await make_customer(connection, clock, email=Email("bob@example.com"), phone=Phone("+4930999"))
    sent = {"email": "free@example.com", "phone": "+4930111", "city": "Bonn"} | taken
    answer = await (await as_role("staff")).put(url_of(ann), json=sent)
    assert (answer.status_code, slug(answer)) == (409, expected)
    customers = RetailCustomerRepository(connection)
    assert await customers.get_by_email(Email("ann@example.com")) == ann
    assert await customers.get_by_phone(Phone("+4930123456")) == ann
    assert await customers.find_claim("email", "free@example.com") is None
    assert await customers.find_claim("phone", "+4930111") is None


@pytest.mark.parametrize("tag", ['"1"', '"7", "1"', "*"])
async def test_the_version_that_was_read_can_be_changed(as_role: AsRole, ann: RetailCustomer, tag: str) -> None:
    answer = await (await as_role("staff")).put(url_of(ann), json={"city": "Bonn"}, headers={"If-Match": tag})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


async def test_a_refused_precondition_names_the_version_of_now(as_role: AsRole, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    answer = await staff.put(url_of(ann), json={}, headers={"If-Match": '"2"'})
    assert (answer.status_code, slug(answer), answer.headers["etag"]) == (412, "precondition-failed", '"1"')
    missing = await staff.put(f"{customers_url}{uuid4()}", json={}, headers={"If-Match": "*"})
    assert (missing.status_code, slug(missing)) == (404, "not-found")


async def test_a_sale_does_not_spoil_an_edit(as_role: AsRole, connection: Connection, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    await staff.post(url_of(ann, "/deactivate"))
    await staff.post(url_of(ann, "/reactivate"))
    order = {"external_id": "1", "customer_id": str(ann.id), "ordered_at": "2026-06-15T09:00:00Z", "total": "10.00"}
    assert (await (await as_role("service")).post("/api/v1/orders", json=order)).status_code == 201
    answer = await staff.put(url_of(ann), json={"city": "Bonn"}, headers={"If-Match": '"1"'})
    assert answer.status_code == 200


async def test_one_of_fifty_with_the_same_etag_wins(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    async with connect(own_database_url) as connection:
        ann = await make_customer(connection, clock)
        token, _ = await sign_in(connection, settings, clock, role="staff")
        async with client_of(committing_app, token) as staff:
            asked = (
                settled(staff, "PUT", url_of(ann), json={"city": f"City {number}"}, headers={"If-Match": '"1"'})
                for number in range(50)
            )
            answers = await asyncio.gather(*asked)

        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(200), statuses.count(412)) == (1, 49)
        assert {answer.headers["etag"] for answer in answers} == {'"2"'}
        winner = statuses.index(200)
        assert (await stored(connection, ann)).city == f"City {winner}"


async def test_without_an_etag_the_last_one_wins_field_by_field(as_role: AsRole, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    await staff.put(url_of(ann), json={"city": "Bonn", "country": "Germany"})
    last = await staff.put(url_of(ann), json={"city": "Kiel"})
    assert (last.json()["city"], last.json()["country"], last.headers["etag"]) == ("Kiel", "Germany", '"3"')


async def test_a_customer_is_deactivated_and_reactivated_with_a_reason(
    as_role: AsRole, connection: Connection, ann: RetailCustomer
) -> None:
    staff = await as_role("staff")
    for _ in range(2):
        answer = await staff.post(url_of(ann, "/deactivate"), json={"reason": "moved away"})
        assert (answer.status_code, answer.json()["is_active"], answer.headers["etag"]) == (200, False, '"1"')
    for _ in range(2):
        answer = await staff.post(url_of(ann, "/reactivate"))
        assert (answer.status_code, answer.json()["is_active"]) == (200, True)
    assert await audited(connection, "deactivate_customer") == [(ann.id, [], {"reason": "moved away"})]
    assert await audited(connection, "reactivate_customer") == [(ann.id, [], {})]


async def test_a_reason_is_a_text_of_its_own_field(as_role: AsRole, ann: RetailCustomer) -> None:
    staff = await as_role("staff")
    answer = await staff.post(url_of(ann, "/deactivate"), json={"reason": "x" * 501, "why": ""})
    assert (answer.status_code, slug(answer)) == (422, "unknown-field")
    assert codes(answer) == {"body/reason": "length", "body/why": "unknown"}


async def test_customers_leave_by_themselves_and_let_nobody_else_go(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    bob, me = await make_customer(connection, clock), await as_role("customer", customer_id=ann.id)
    for method, action in (("POST", "/deactivate"), ("DELETE", "")):
        for foreign in (url_of(bob, action), f"{customers_url}{uuid4()}{action}"):
            answer = await me.request(method, foreign)
            assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert (await me.post(url_of(ann, "/reactivate"))).status_code == 403
    assert (await me.delete(url_of(ann))).status_code == 204
    assert (await stored(connection, ann)).deleted_at == clock.now()
    assert await stored(connection, bob) == bob


async def test_what_is_deleted_is_there_for_those_who_may_erase(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    admin, staff = await as_role("admin"), await as_role("staff")
    for _ in range(2):
        answer = await admin.delete(url_of(ann))
        assert (answer.status_code, answer.content) == (204, b"")
    for method, action in (("GET", ""), ("PUT", ""), ("POST", "/deactivate"), ("POST", "/reactivate")):
        answer = await staff.request(method, url_of(ann, action), json={} if method == "PUT" else None)
        assert (answer.status_code, slug(answer)) == (404, "not-found"), (method, action)
    assert (await staff.get(customers_url)).json()["total"] == 0
    assert (await admin.get(url_of(ann))).json()["deleted_at"] == "2026-06-15T10:00:00Z"
    assert len(await audited(connection, "delete_customer")) == 1
    taken = await staff.post(customers_url, json={"first_name": "A", "last_name": "B", "email": "ann@example.com"})
    assert (taken.status_code, slug(taken)) == (409, "email-taken")


async def test_a_deletion_is_taken_back_within_thirty_days(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    admin = await as_role("admin")
    await set_columns(connection, ann, deleted_at=clock.now() - timedelta(days=30))
    late = await admin.post(url_of(ann, "/reactivate"))
    assert (late.status_code, slug(late)) == (404, "not-found")
    await set_columns(connection, ann, deleted_at=clock.now() - timedelta(days=30, seconds=-1))
    answer = await admin.post(url_of(ann, "/reactivate"))
    assert (answer.status_code, answer.json()["deleted_at"], answer.json()["is_active"]) == (200, None, True)
    assert (await (await as_role("staff")).get(url_of(ann))).status_code == 200


@pytest.mark.parametrize(
    ("method", "action"), [("PUT", ""), ("POST", "/deactivate"), ("POST", "/reactivate"), ("DELETE", "")]
)
async def test_who_was_erased_is_gone(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer, method: str, action: str
) -> None:
    await set_columns(connection, ann, deleted_at=clock.now(), erased_at=clock.now())
    body = {} if method == "PUT" else None
    answer = await (await as_role("admin")).request(method, url_of(ann, action), json=body)
    assert (answer.status_code, slug(answer)) == (410, "customer-erased")


async def sign_in_by_password(client: httpx.AsyncClient) -> httpx.Response:
    form = {"grant_type": "password", "username": "ann@example.com", "password": password}
    return await client.post(token_url, data=form)


@pytest.mark.parametrize("gone", ["deactivated", "deleted", "in bulk"])
async def test_who_is_gone_is_signed_out_until_taken_back(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, connection: Connection, clock: Clock, ann: RetailCustomer,
    hashed: PasswordHash, gone: str,
) -> None:  # fmt: skip
    await make_user(connection, clock, role="customer", email="ann@example.com", customer_id=ann.id, hashed=hashed)
    held = (await sign_in_by_password(client)).json()
    bearer = {"Authorization": f"Bearer {held['access_token']}"}
    assert (await client.get(url_of(ann), headers=bearer)).status_code == 200
    if gone == "deleted":
        await admin.delete(url_of(ann))
    elif gone == "deactivated":
        await admin.post(url_of(ann, "/deactivate"))
    else:
        ids = {"customer_ids": [str(ann.id)], "is_active": False}
        await admin.post(f"{customers_url}bulk/status", json=ids)

    async def refused() -> list[str]:
        answers = [
            await client.get(url_of(ann), headers=bearer),
            await client.post("/api/v1/auth/refresh", json={"refresh_token": held["refresh_token"]}),
        ]
        assert {answer.status_code for answer in answers} == {401}
        return [slug(answer) for answer in answers]

    assert await refused() == ["session-revoked", "session-revoked"]
    assert slug(await sign_in_by_password(client)) == "invalid-credentials"
    assert (await admin.post(url_of(ann, "/reactivate"))).status_code == 200
    assert await refused() == ["session-revoked", "session-revoked"]
    assert (await sign_in_by_password(client)).status_code == 200


async def test_a_login_that_was_disabled_stays_so_when_the_customer_comes_back(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, connection: Connection, clock: Clock, ann: RetailCustomer,
    hashed: PasswordHash,
) -> None:  # fmt: skip
    await make_user(connection, clock, role="customer", email="ann@example.com", customer_id=ann.id, hashed=hashed)
    await connection.execute("UPDATE users SET is_enabled = false WHERE customer_id = %s", [ann.id])
    await admin.post(url_of(ann, "/deactivate"))
    await admin.post(url_of(ann, "/reactivate"))
    assert slug(await sign_in_by_password(client)) == "invalid-credentials"


async def test_a_session_that_opens_while_its_customer_leaves_is_closed_with_it(
    as_role: AsRole, connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    me = await as_role("customer", customer_id=ann.id)
    await set_columns(connection, ann, is_active=False)
    answer = await me.get(url_of(ann))
    assert (answer.status_code, slug(answer)) == (401, "session-revoked")


async def test_nobody_is_brought_by_somebody_whom_they_brought(
    as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    staff, people = await as_role("staff"), [await make_customer(connection, clock) for _ in range(3)]
    for brought, by in ((1, 0), (2, 1)):
        answer = await staff.put(url_of(people[brought]), json={"referrer_customer_id": str(people[by].id)})
        assert answer.status_code == 200
    for referrer in (1, 2):
        answer = await staff.put(url_of(people[0]), json={"referrer_customer_id": str(people[referrer].id)})
        assert (answer.status_code, codes(answer)) == (422, {"body/referrer_customer_id": "range"})
    moved = await staff.put(url_of(people[2]), json={"referrer_customer_id": str(people[0].id)})
    assert moved.status_code == 200
