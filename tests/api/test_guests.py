"""People who buy without being customers, and how they become some."""

from typing import Any

import httpx
import pytest

from regulars.kit.database import Connection
from tests.api.conftest import AsRole
from tests.factories.post import PostOffice
from tests.factories.registrations import register_url, registration

url, base = "/api/v1/orders", "/api/v1/retail-customers"


async def buy(till: httpx.AsyncClient, external_id: str, status: int = 201, **who: Any) -> dict[str, Any]:
    body = {"external_id": external_id, "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90"}
    answer = await till.post(url, json=body | who)
    assert answer.status_code == status, answer.json()
    return dict(answer.json())


async def test_an_unknown_address_makes_a_guest_who_is_known_from_then_on(
    as_role: AsRole, connection: Connection
) -> None:
    till, staff = await as_role("service"), await as_role("staff")
    first, second = await buy(till, "1", email="guest@example.com"), await buy(till, "2", email="Guest@example.com")
    assert first["customer_id"] == second["customer_id"]
    guest = (await staff.get(f"{base}/{first['customer_id']}")).json()
    assert (guest["is_guest"], guest["email"], guest["total_orders"], guest["loyalty_points"]) == (
        True,
        "guest@example.com",
        2,
        48,
    )
    assert (await buy(till, "3", phone="+4930123456"))["customer_id"] != first["customer_id"]


async def test_an_order_of_nobody_has_a_guest_of_its_own_who_earns_nothing(as_role: AsRole) -> None:
    till, staff = await as_role("service"), await as_role("staff")
    first, second = await buy(till, "1"), await buy(till, "2")
    assert first["customer_id"] != second["customer_id"]
    assert await buy(till, "1", status=200) == first
    guest = (await staff.get(f"{base}/{first['customer_id']}")).json()
    assert (guest["is_guest"], guest["email"], guest["total_orders"], guest["loyalty_points"]) == (True, None, 1, 0)


async def test_a_customer_who_is_named_must_be_known(as_role: AsRole) -> None:
    till = await as_role("service")
    await buy(till, "1", status=404, customer_id="0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77")
    await buy(till, "2", status=404, customer_number="CUST-20990101-0001")


async def test_whoever_registers_under_a_guests_address_gets_the_history_after_the_proof(
    as_role: AsRole, client: httpx.AsyncClient, post: PostOffice
) -> None:
    order = await buy(await as_role("service"), "1", email="jane@example.com")
    answer = await client.post(register_url, json=registration(email="jane@example.com", city="Kiel"))
    registered = answer.json()
    assert (answer.status_code, registered["id"] != order["customer_id"]) == (201, True)
    staff = await as_role("staff")
    assert (await staff.get(f"{base}/{order['customer_id']}")).json()["first_name"] is None
    proof = {"token": await post.token_to("jane@example.com")}
    proved = await client.post(f"{base}/{registered['id']}/verify-email", json=proof)
    assert (proved.status_code, proved.json()["customer_id"]) == (200, order["customer_id"])
    customer = (await staff.get(f"{base}/{order['customer_id']}")).json()
    assert (customer["is_guest"], customer["is_email_verified"], customer["first_name"], customer["city"]) == (
        False,
        True,
        "Jane",
        "Kiel",
    )
    assert customer["loyalty_points"] == 24 + 100
    again = await client.post(register_url, json=registration(email="jane@example.com"))
    assert again.status_code == 409


async def test_a_guest_who_proves_the_number_is_a_customer(as_role: AsRole) -> None:
    till, staff = await as_role("service"), await as_role("staff")
    order = await buy(till, "1", phone="+4930123456")
    proof = {"override_reason": "showed the phone at the counter"}
    answer = await staff.post(f"{base}/{order['customer_id']}/verify-phone", json=proof)
    assert answer.status_code == 200
    assert (await staff.get(f"{base}/{order['customer_id']}")).json()["is_guest"] is False


async def test_a_number_that_a_guest_gave_stays_the_guests_until_it_is_proved(
    as_role: AsRole, client: httpx.AsyncClient
) -> None:
    till = await as_role("service")
    order = await buy(till, "1", phone="+4930123456")
    answer = await client.post(register_url, json=registration(phone="+4930123456"))
    assert answer.status_code == 201
    assert (await buy(till, "2", phone="+4930123456"))["customer_id"] == order["customer_id"]


async def test_a_number_finds_its_guest_whatever_programs_left_around_it(as_role: AsRole) -> None:
    till = await as_role("service")
    first = await buy(till, "1", phone="+919876543210")
    for place, text in enumerate(["\u200e+91\u00a098765\u00a043210", "'+919876543210", "+919876543210.0"], start=2):
        assert (await buy(till, str(place), phone=text))["customer_id"] == first["customer_id"]
    await buy(till, "9", status=422, phone="+91 9876543210.0")


@pytest.mark.parametrize("contact", [{"phone": "+919999999999"}, {"phone": "+4930123456"}, {"email": "x@shop.example"}])
async def test_an_order_by_a_contact_of_many_is_an_order_of_nobody(
    as_role: AsRole, connection: Connection, contact: dict[str, str]
) -> None:
    [(kind, value)] = contact.items()
    await connection.execute("INSERT INTO shared_contacts VALUES (%s, %s, now())", [kind, value])
    till, staff = await as_role("service"), await as_role("staff")
    first, second = await buy(till, "1", **contact), await buy(till, "2", **contact)
    assert first["customer_id"] != second["customer_id"]
    assert await buy(till, "1", status=200, **contact) == first
    guest = (await staff.get(f"{base}/{first['customer_id']}")).json()
    assert (guest["email"], guest["phone"], guest["loyalty_points"]) == (None, None, 0)


@pytest.mark.parametrize("phone", ["+919999999999", "+4930123456"])
async def test_a_number_of_many_is_a_contact_of_whoever_gives_it(
    as_role: AsRole, connection: Connection, phone: str
) -> None:
    await connection.execute("INSERT INTO shared_contacts VALUES ('phone', '+4930123456', now())")
    staff = await as_role("staff")
    for place in range(2):
        person = {"first_name": "Ann", "last_name": "Meier", "email": f"ann{place}@shop.example"}
        created = await staff.post(base, json=person | {"phone": phone})
        assert (created.status_code, created.json()["phone"]) == (201, phone)
        changed = await staff.put(f"{base}/{created.json()['id']}", json={"phone": "+4930777777"})
        assert changed.status_code == (200 if place == 0 else 409)
        back = await staff.put(f"{base}/{created.json()['id']}", json={"phone": phone, "city": "Kiel"})
        assert (back.status_code, back.json()["phone"]) == (200, phone)
        await staff.put(f"{base}/{created.json()['id']}", json={"phone": "+4930777777"}) if place == 0 else None
    cursor = await connection.execute("SELECT count(*) FROM customer_identifiers WHERE value = %s", [phone])
    assert await cursor.fetchall() == [(0,)]
