"""Consents over HTTP: granting, withdrawing, history, and the link that needs no login."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from regulars.privacy.consents_unsubscribe import UnsubscribeTokens
from regulars.privacy.models_consents import ConsentChannel
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns
from tests.factories.registrations import registration

base = "/api/v1/retail-customers"
grant, withdrawal = {"channel": "email", "action": "granted"}, {"channel": "email", "action": "withdrawn"}


@pytest.fixture
def url(customer_id: UUID) -> str:
    return f"{base}/{customer_id}/consents"


@pytest.fixture
def tokens(settings: Settings) -> UnsubscribeTokens:
    return UnsubscribeTokens.from_settings(settings)


async def events(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT channel, action, source, actor_kind FROM consent_events ORDER BY customer_id, seq"
    )
    return await cursor.fetchall()


async def test_a_grant_is_written_down_with_what_was_agreed_to(
    staff: httpx.AsyncClient, url: str, customer_id: UUID
) -> None:
    words = "ab" * 32
    answer = await staff.post(url, json=grant | {"policy_version": "2026-01", "text_hash": words})
    assert answer.status_code == 200
    [event] = answer.json()["history"]["items"]
    assert event["id"]
    assert event["recorded_by"]
    assert event | {"id": None, "recorded_by": None} == {
        "id": None,
        "purpose": "marketing",
        "channel": "email",
        "action": "granted",
        "policy_version": "2026-01",
        "text_hash": words,
        "source": "staff",
        "recorded_by": None,
        "occurred_at": "2026-06-15T10:00:00Z",
        "recorded_at": "2026-06-15T10:00:00Z",
    }
    shown = (await staff.get(url)).json()
    assert shown == answer.json()
    assert shown | {"history": None} == {
        "customer_id": str(customer_id),
        "email_marketing_consent": True,
        "sms_marketing_consent": False,
        "push_notification_consent": False,
        "waiting_for_proof": [],
        "email_headers": None,
        "history": None,
    }


async def test_granting_and_withdrawing_take_the_same(
    staff: httpx.AsyncClient, url: str, connection: Connection
) -> None:
    flags = [(await staff.post(url, json=body)).json()["email_marketing_consent"] for body in (grant, withdrawal) * 2]
    assert flags == [True, False, True, False]
    assert [action for _, action, _, _ in await events(connection)] == ["granted", "withdrawn"] * 2


async def test_saying_it_again_writes_nothing(staff: httpx.AsyncClient, url: str, connection: Connection) -> None:
    for body in (grant, grant, withdrawal, withdrawal | {"policy_version": "2"}):
        assert (await staff.post(url, json=body)).status_code == 200
    assert len(await events(connection)) == 2


async def test_sources_and_writers_are_told_apart(
    as_role: AsRole, url: str, customer_id: UUID, connection: Connection
) -> None:
    till, own = await as_role("service", source="till-4"), await as_role("customer", customer_id=customer_id)
    by_till = (await till.post(url, json=grant)).json()["history"]["items"]
    by_own = (await own.post(url, json=withdrawal)).json()["history"]["items"]
    assert by_till[0]["recorded_by"]
    assert [(event["source"], event["recorded_by"] is None) for event in by_own] == [
        ("customer", False), ("till-4", True)
    ]  # fmt: skip
    assert [actor for *_, actor in await events(connection)] == ["client", "user"]


async def test_history_is_read_part_by_part(staff: httpx.AsyncClient, url: str, clock: Clock) -> None:
    for body in (grant, withdrawal) * 3:
        await staff.post(url, json=body)
    seen, cursor = [], ""
    while True:
        part = (await staff.get(f"{url}?limit=4{cursor}")).json()["history"]
        seen += [event["action"] for event in part["items"]]
        if part["next_cursor"] is None:
            break
        cursor = f"&cursor={part['next_cursor']}"
    assert seen == ["withdrawn", "granted"] * 3


async def test_a_cursor_of_another_customer_is_refused(
    staff: httpx.AsyncClient, url: str, connection: Connection, clock: Clock
) -> None:
    other = f"{base}/{(await make_customer(connection, clock)).id}/consents"
    for body in (grant, withdrawal):
        await staff.post(other, json=body)
    cursor = (await staff.get(f"{other}?limit=1")).json()["history"]["next_cursor"]
    for given in (cursor, "x"):
        refused = await staff.get(f"{url}?cursor={given}")
        assert (refused.status_code, slug(refused)) == (422, "invalid-cursor")


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "fax"}, {"action": "maybe"}, {"action": True}, {"purpose": "anything"}, {"text_hash": "AB" * 32},
        {"text_hash": "ab"}, {"policy_version": "x" * 51}, {"source": "till"}, {"occurred_at": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
async def test_what_is_no_consent_is_refused(staff: httpx.AsyncClient, url: str, wrong: dict[str, object]) -> None:
    assert (await staff.post(url, json=grant | wrong)).status_code == 422
    assert (await staff.get(url)).json()["history"]["items"] == []


async def test_customers_see_and_say_their_own_only(
    as_role: AsRole, url: str, connection: Connection, clock: Clock
) -> None:
    stranger = await as_role("customer", customer_id=(await make_customer(connection, clock)).id)
    missing = f"{base}/{uuid4()}/consents"
    for answers in (
        [await stranger.get(where) for where in (url, missing)],
        [await stranger.post(where, json=grant) for where in (url, missing)],
    ):
        assert [(answer.status_code, slug(answer)) for answer in answers] == [(404, "not-found")] * 2
    assert await events(connection) == []


async def test_consents_of_deleted_and_erased_customers_are_not_shown(
    staff: httpx.AsyncClient, as_role: AsRole, connection: Connection, clock: Clock
) -> None:
    customer, till = await make_customer(connection, clock), await as_role("service")
    where = f"{base}/{customer.id}/consents"
    await set_columns(connection, customer, deleted_at=clock.now())
    assert [(await staff.get(where)).status_code, (await till.post(where, json=grant)).status_code] == [404, 404]
    await set_columns(connection, customer, deleted_at=None, erased_at=clock.now())
    assert [(await staff.get(where)).status_code, (await till.post(where, json=grant)).status_code] == [410, 404]


async def test_a_flag_in_a_new_customer_or_a_changed_profile_is_a_consent_too(
    staff: httpx.AsyncClient, connection: Connection
) -> None:
    sent = {"first_name": "Ann", "last_name": "Doe", "email": "ann@example.com", "email_marketing_consent": True}
    created = (await staff.post(f"{base}/", json=sent)).json()
    path = f"{base}/{created['id']}"
    assert created["version"] == 1
    changes = {"email_marketing_consent": False, "sms_marketing_consent": True, "push_notification_consent": False}
    changed = await staff.put(path, json=changes)
    assert (changed.json()["version"], changed.headers["ETag"]) == (2, '"2"')
    await staff.put(path, json=changes)
    await staff.put(path, json={"city": "Bonn"})
    assert await events(connection) == [
        ("email", "granted", "staff", "user"),
        ("email", "withdrawn", "staff", "user"),
        ("sms", "granted", "staff", "user"),
    ]
    shown = (await staff.get(path)).json()
    assert [shown["email_marketing_consent"], shown["sms_marketing_consent"], shown["version"]] == [False, True, 3]


async def test_a_flag_of_a_registration_is_a_consent_too(client: httpx.AsyncClient, connection: Connection) -> None:
    assert (await client.post(f"{base}/register", json=registration(email_marketing_consent=True))).status_code == 201
    assert await events(connection) == [("email", "granted", "registration", "system")]


async def test_a_refused_change_leaves_no_consent(
    staff: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    taken, customer = [await make_customer(connection, clock) for _ in range(2)]
    sent = {"sms_marketing_consent": True, "email": taken.email}
    assert (await staff.put(f"{base}/{customer.id}", json=sent)).status_code == 409
    assert await events(connection) == []


async def test_one_click_unsubscribes_without_a_login_and_as_often_as_one_likes(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, url: str, customer_id: UUID,
    tokens: UnsubscribeTokens, connection: Connection,
) -> None:  # fmt: skip
    await staff.post(url, json=grant)
    link = f"/api/v1/unsubscribe/{tokens.write(customer_id, ConsentChannel.EMAIL)}"
    form = {"List-Unsubscribe": "One-Click"}
    answers = [
        await client.post(link, data=form),
        await client.post(link, files={name: (None, value) for name, value in form.items()}),
        await client.post(link),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"status": "accepted"})] * 3
    assert (await staff.get(url)).json()["email_marketing_consent"] is False
    assert await events(connection) == [
        ("email", "granted", "staff", "user"), ("email", "withdrawn", "unsubscribe-link", "system")
    ]  # fmt: skip


async def test_a_link_is_for_one_channel(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, url: str, customer_id: UUID, tokens: UnsubscribeTokens
) -> None:
    for channel in ConsentChannel:
        await staff.post(url, json={"channel": channel, "action": "granted"})
    await client.post(f"/api/v1/unsubscribe/{tokens.write(customer_id, ConsentChannel.SMS)}")
    shown = (await staff.get(url)).json()
    assert [shown[f"{way}_consent"] for way in ("email_marketing", "sms_marketing", "push_notification")] == [
        True, False, True
    ]  # fmt: skip


async def test_whoever_only_looks_changes_nothing(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, url: str, customer_id: UUID, tokens: UnsubscribeTokens
) -> None:
    await staff.post(url, json=grant)
    link = f"/api/v1/unsubscribe/{tokens.write(customer_id, ConsentChannel.EMAIL)}"
    looked = await client.get(link)
    assert (looked.status_code, slug(looked)) == (405, "method-not-allowed")
    assert (await staff.get(url)).json()["email_marketing_consent"] is True


async def test_a_link_tells_nobody_whether_there_is_such_a_customer(
    client: httpx.AsyncClient, tokens: UnsubscribeTokens, connection: Connection, clock: Clock
) -> None:
    gone, known = [await make_customer(connection, clock) for _ in range(2)]
    await set_columns(connection, gone, erased_at=clock.now())
    answers = [
        await client.post(f"/api/v1/unsubscribe/{tokens.write(id_, ConsentChannel.EMAIL)}")
        for id_ in (known.id, gone.id, uuid4())
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"status":"accepted"}')}
    cursor = await connection.execute("SELECT customer_id FROM consent_events")
    assert await cursor.fetchall() == [(known.id,)]


async def test_a_link_that_is_not_ours_is_refused(
    client: httpx.AsyncClient, tokens: UnsubscribeTokens, customer_id: UUID, connection: Connection
) -> None:
    ours = tokens.write(customer_id, ConsentChannel.EMAIL)
    other_channel = tokens.write(customer_id, ConsentChannel.SMS)[:1] + ours[1:]
    for forged in (ours[:-2] + "AA", other_channel, ours[:20], "x", "%C3%A9", str(customer_id), "A" * 44):
        refused = await client.post(f"/api/v1/unsubscribe/{forged}")
        assert (refused.status_code, slug(refused)) == (400, "invalid-or-expired-token"), forged
    assert await events(connection) == []


async def test_links_outlive_the_secret_that_signed_them_once(
    settings: Settings, database: RolledBackDatabase, clock: Clock, tokens: UnsubscribeTokens, customer_id: UUID
) -> None:
    secrets = {"jwt_secret": SecretStr("9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d"), "jwt_secret_previous": settings.jwt_secret}
    renewed = settings.model_copy(update=secrets)
    link = f"/api/v1/unsubscribe/{tokens.write(customer_id, ConsentChannel.EMAIL)}"
    async with client_of(create_app(renewed, database=database, clock=clock)) as client:
        assert (await client.post(link)).status_code == 200


@pytest.fixture
def public_app(settings: Settings, database: RolledBackDatabase, clock: Clock) -> FastAPI:
    known = settings.model_copy(update={"public_url": "https://shop.example"})
    return create_app(known, database=database, clock=clock)


async def test_the_headers_for_mails_lead_to_the_link(public_app: FastAPI, staff: httpx.AsyncClient, url: str) -> None:
    await staff.post(url, json=grant)
    async with client_of(public_app, staff.headers["Authorization"].removeprefix("Bearer ")) as client:
        headers = (await client.get(url)).json()["email_headers"]
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = headers["List-Unsubscribe"].removeprefix("<https://shop.example").removesuffix(">")
        assert (await client.post(link, content=headers["List-Unsubscribe-Post"])).status_code == 200
    assert (await staff.get(url)).json()["email_marketing_consent"] is False
