"""A grant for an address or a number waits until that is proved, and ends with it."""

from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
import pytest

from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.privacy.consents import ConsentService
from regulars.privacy.models_consents import ConsentChannel
from tests.api.accounts import bearer, sign_in
from tests.api.conftest import AsRole
from tests.factories.customers import make_customer
from tests.factories.post import PostOffice
from tests.factories.registrations import password, register_url, registration

base = "/api/v1/retail-customers"
address, number = "jane@example.com", "+493012345678"
both = {"email_marketing_consent": True, "sms_marketing_consent": True}
vouch = {"override_reason": "Showed an identity card at the counter"}


@pytest.fixture
async def jane(client: httpx.AsyncClient) -> dict[str, Any]:
    """Registered with somebody's address and number and both flags."""
    answer = await client.post(register_url, json=registration(email=address, phone=number, **both))
    assert answer.status_code == 201
    return dict(answer.json())


@pytest.fixture
async def known(connection: Connection, clock: Clock) -> RetailCustomer:
    """Whom the shop wrote down."""
    return await make_customer(connection, clock, email=address, phone=Phone(number))


async def me(client: httpx.AsyncClient, email: str = address) -> dict[str, str]:
    return bearer((await sign_in(client, email, password))["access_token"])


async def flags(staff: httpx.AsyncClient, customer_id: object) -> tuple[bool, bool]:
    shown = (await staff.get(f"{base}/{customer_id}")).json()
    return shown["email_marketing_consent"], shown["sms_marketing_consent"]


async def agreed(admin: httpx.AsyncClient, channel: str) -> int:
    """How many are in the export of those who agreed."""
    answer = await admin.post(f"{base}/export", json={f"{channel}_marketing_consent": True})
    return len(answer.text.splitlines()) - 1


async def changed(connection: Connection) -> list[tuple[str, str]]:
    cursor = await connection.execute(
        "SELECT facts ->> 'channel', facts ->> 'action' FROM events WHERE kind = 'consent.changed' ORDER BY position"
    )
    return await cursor.fetchall()


async def said(connection: Connection, channel: str = "email") -> list[tuple[str, str]]:
    cursor = await connection.execute(
        "SELECT action, source FROM consent_events WHERE channel = %s ORDER BY customer_id, seq", [channel]
    )
    return await cursor.fetchall()


async def suppressed(connection: Connection, clock: Clock) -> list[tuple[str, str]]:
    """Addresses that must not be written to, and why."""
    file = BytesIO()
    await ConsentService(connection, clock).export_suppressions(ConsentChannel.EMAIL, file, by=operator)
    rows = [line.split(",") for line in file.getvalue().decode().splitlines()[1:]]
    return [(row[1], row[3]) for row in rows]


async def test_what_a_registration_grants_waits_for_the_proof(
    client: httpx.AsyncClient,
    jane: dict[str, Any],
    staff: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    post: PostOffice,
    connection: Connection,
) -> None:
    assert (jane["email_marketing_consent"], jane["sms_marketing_consent"]) == (False, False)
    assert [await agreed(admin, channel) for channel in ("email", "sms")] == [0, 0]
    assert await changed(connection) == []
    consents = (await staff.get(f"{base}/{jane['id']}/consents")).json()
    assert (consents["waiting_for_proof"], consents["email_marketing_consent"]) == (["email", "sms"], False)
    await client.post(f"{base}/{jane['id']}/verify-email", json={"token": await post.token_to(address)})
    assert await flags(staff, jane["id"]) == (True, False)
    assert [await agreed(admin, channel) for channel in ("email", "sms")] == [1, 0]
    assert await changed(connection) == [("email", "granted")]
    assert (await staff.get(f"{base}/{jane['id']}/consents")).json()["waiting_for_proof"] == ["sms"]
    await staff.post(f"{base}/{jane['id']}/verify-phone", json=vouch)
    assert await flags(staff, jane["id"]) == (True, True)
    assert await said(connection) == [("granted", "registration")]


async def test_a_grant_by_any_way_waits(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, connection: Connection
) -> None:
    jane = (await client.post(register_url, json=registration(email=address))).json()
    mine = await me(client)
    grant = {"channel": "email", "action": "granted"}
    answer = await client.post(f"{base}/{jane['id']}/consents", json=grant, headers=mine)
    assert (answer.json()["email_marketing_consent"], answer.json()["waiting_for_proof"]) == (False, ["email"])
    again = await client.put(f"{base}/{jane['id']}", json={"email_marketing_consent": True}, headers=mine)
    assert again.json()["email_marketing_consent"] is False
    assert await flags(staff, jane["id"]) == (False, False)
    assert len(await said(connection)) == 1


async def test_what_waits_can_be_taken_back(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient, post: PostOffice
) -> None:
    mine = await me(client)
    await client.put(f"{base}/{jane['id']}", json={"email_marketing_consent": False}, headers=mine)
    await client.post(f"{base}/{jane['id']}/verify-email", json={"token": await post.token_to(address)})
    assert await flags(staff, jane["id"]) == (False, False)


async def test_an_address_that_is_changed_takes_no_consent_along(
    client: httpx.AsyncClient,
    jane: dict[str, Any],
    staff: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    post: PostOffice,
    connection: Connection,
) -> None:
    await client.post(f"{base}/{jane['id']}/verify-email", json={"token": await post.token_to(address)})
    mine = await me(client)
    answer = await client.put(f"{base}/{jane['id']}", json={"email": "bob@example.com"}, headers=mine)
    assert answer.json()["email_marketing_consent"] is False
    assert await agreed(admin, "email") == 0
    await staff.post(f"{base}/{jane['id']}/verify-email", json=vouch)
    assert await flags(staff, jane["id"]) == (False, False), "the proof of another address does not bring it back"
    assert await said(connection) == [("granted", "registration"), ("withdrawn", "contact-changed")]
    assert await changed(connection) == [("email", "granted"), ("email", "withdrawn")]


async def test_neither_does_one_that_waits_for_a_number_that_is_changed(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient
) -> None:
    mine = await me(client)
    await client.put(f"{base}/{jane['id']}", json={"phone": "+493087654321"}, headers=mine)
    await staff.post(f"{base}/{jane['id']}/verify-phone", json=vouch)
    assert await flags(staff, jane["id"]) == (False, False)


async def test_what_is_granted_with_the_new_address_waits_for_its_proof(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient, post: PostOffice
) -> None:
    mine, body = await me(client), {"email": "bob@example.com", "email_marketing_consent": True}
    assert (await client.put(f"{base}/{jane['id']}", json=body, headers=mine)).json()[
        "email_marketing_consent"
    ] is False
    await staff.post(f"{base}/{jane['id']}/verify-email", json=vouch)
    assert await flags(staff, jane["id"]) == (True, False)


async def test_what_the_shop_wrote_down_need_not_be_proved(
    staff: httpx.AsyncClient, known: RetailCustomer, admin: httpx.AsyncClient
) -> None:
    answer = await staff.put(f"{base}/{known.id}", json=both)
    assert (answer.json()["email_marketing_consent"], answer.json()["sms_marketing_consent"]) == (True, True)
    assert await agreed(admin, "email") == 1
    moved = await staff.put(f"{base}/{known.id}", json={"email": "new@example.com", "city": "Kiel"})
    assert (moved.json()["email_marketing_consent"], moved.json()["sms_marketing_consent"]) == (False, True)
    both_at_once = {"email": "newer@example.com", "email_marketing_consent": True}
    assert (await staff.put(f"{base}/{known.id}", json=both_at_once)).json()["email_marketing_consent"] is True


async def test_push_messages_go_to_no_address_that_could_be_proved(client: httpx.AsyncClient) -> None:
    answer = await client.post(register_url, json=registration(push_notification_consent=True))
    assert answer.json()["push_notification_consent"] is True


async def test_consents_of_two_records_come_together(
    client: httpx.AsyncClient, as_role: AsRole, jane: dict[str, Any], staff: httpx.AsyncClient, post: PostOffice
) -> None:
    till = await as_role("service")
    order = {"external_id": "1", "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90", "email": address}
    guest = (await till.post("/api/v1/orders", json=order)).json()["customer_id"]
    await client.post(f"{base}/{jane['id']}/verify-email", json={"token": await post.token_to(address)})
    assert await flags(staff, guest) == (True, False)
    assert (await staff.get(f"{base}/{guest}/consents")).json()["waiting_for_proof"] == ["sms"]


@pytest.mark.parametrize("said_no", ["withdrawn", "complained"])
async def test_who_objected_at_an_address_is_not_written_to_there_after_a_change(
    staff: httpx.AsyncClient,
    as_role: AsRole,
    known: RetailCustomer,
    connection: Connection,
    clock: Clock,
    said_no: str,
) -> None:
    await staff.put(f"{base}/{known.id}", json={"email_marketing_consent": True})
    if said_no == "withdrawn":
        await staff.put(f"{base}/{known.id}", json={"email_marketing_consent": False})
    else:
        till = await as_role("service")
        report = {"event_id": "1", "message_id": "1", "kind": "complained", "occurred_at": "2026-06-15T10:00:00Z"}
        assert (await till.post(f"{base}/{known.id}/engagement", json=report)).status_code == 200
    await staff.put(f"{base}/{known.id}", json={"email": "new@example.com"})
    listed = await suppressed(connection, clock)
    assert (address, said_no) in listed
    # Whoever has the address now and agrees there is written to.
    other = await make_customer(connection, clock, email=address)
    await staff.put(f"{base}/{other.id}", json={"email_marketing_consent": True})
    assert address not in dict(await suppressed(connection, clock))


async def test_a_change_that_ends_a_consent_is_no_objection(
    staff: httpx.AsyncClient, known: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    await staff.put(f"{base}/{known.id}", json=both)
    for number in (1, 2):
        await staff.put(f"{base}/{known.id}", json={"email": f"new{number}@example.com"})
    listed = await suppressed(connection, clock)
    assert listed == [("new2@example.com", "not_granted")]


async def test_what_was_objected_to_is_forgotten_with_the_person(
    staff: httpx.AsyncClient, admin: httpx.AsyncClient, known: RetailCustomer, connection: Connection
) -> None:
    await staff.put(f"{base}/{known.id}", json={"email_marketing_consent": True})
    await staff.put(f"{base}/{known.id}", json={"email_marketing_consent": False})
    await staff.put(f"{base}/{known.id}", json={"email": "new@example.com"})
    query = "SELECT customer_id, address, reason FROM suppressed_contacts"
    assert await (await connection.execute(query)).fetchall() == [(UUID(str(known.id)), address, "withdrawn")]
    erasure = {"customer_number": known.customer_number}
    assert (await admin.post(f"{base}/{known.id}/erase", json=erasure)).status_code == 200
    assert await (await connection.execute(query)).fetchall() == []


async def test_a_number_that_many_share_holds_for_whoever_proves_it(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient, connection: Connection
) -> None:
    """It identifies nobody, and yet a person may prove to hold it."""
    await connection.execute("INSERT INTO shared_contacts (kind, value, since) VALUES ('phone', %s, now())", [number])
    assert (await staff.post(f"{base}/{jane['id']}/verify-phone", json=vouch)).status_code == 200
    assert await flags(staff, jane["id"]) == (False, True)
