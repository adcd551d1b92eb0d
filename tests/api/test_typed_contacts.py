"""Who types an address or a number is not its owner: it identifies nobody until it is proved."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.settings import Settings
from regulars.privacy.consents_unsubscribe import UnsubscribeTokens
from regulars.privacy.models_consents import ConsentChannel
from tests.api.accounts import bearer, me_url, sign_in
from tests.api.conftest import AsRole, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.customers import make_customer, set_columns
from tests.factories.post import PostOffice
from tests.factories.registrations import password, register_url, registration
from tests.factories.soundness import require_sound_purchases

orders_url, base = "/api/v1/orders", "/api/v1/retail-customers"
address, number = "jane@example.com", "+493012345678"
vouch = {"override_reason": "Showed an identity card at the counter"}


async def buy(till: httpx.AsyncClient, external_id: str, **who: Any) -> str:
    """An order of 24.90; whose it is."""
    body = {"external_id": external_id, "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90"}
    answer = await till.post(orders_url, json=body | who)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["customer_id"])


async def register(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(register_url, json=registration(**{"email": address, **fields}))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def prove(client: httpx.AsyncClient, customer_id: str, post: PostOffice, email: str = address) -> httpx.Response:
    token = await post.token_to(email)
    return await client.post(f"{base}/{customer_id}/verify-email", json={"token": token})


async def signed_in(client: httpx.AsyncClient, email: str = address) -> dict[str, str]:
    return bearer((await sign_in(client, email, password))["access_token"])


@pytest.fixture
async def till(as_role: AsRole) -> httpx.AsyncClient:
    return await as_role("service")


@pytest.mark.parametrize("contact", [{"email": address}, {"phone": number}])
async def test_registering_first_does_not_attract_a_strangers_purchases(
    client: httpx.AsyncClient, till: httpx.AsyncClient, contact: dict[str, str]
) -> None:
    stranger = await register(client, **{"email": "mallory@example.com", **contact})
    buyer = await buy(till, "1", **contact)
    assert buyer != stranger["id"]
    me = await signed_in(client, stranger["email"])
    mine = (await client.get(orders_url, headers=me)).json()
    assert mine["total"] == 0
    assert (await client.get(f"{base}/{stranger['id']}", headers=me)).json()["loyalty_points"] == 100
    assert (await client.get(f"{base}/{buyer}", headers=me)).status_code == 404


async def test_a_contact_typed_into_the_own_profile_attracts_nothing(
    client: httpx.AsyncClient, till: httpx.AsyncClient
) -> None:
    mallory = await register(client, email="mallory@example.com")
    me = await signed_in(client, "mallory@example.com")
    changed = await client.put(f"{base}/{mallory['id']}", json={"email": address, "phone": number}, headers=me)
    assert (changed.status_code, changed.json()["email"], changed.json()["phone"]) == (200, address, number)
    assert await buy(till, "1", email=address) != mallory["id"]
    assert await buy(till, "2", phone=number) != mallory["id"]


async def test_a_look_up_by_a_typed_contact_finds_nobody(
    client: httpx.AsyncClient, till: httpx.AsyncClient, staff: httpx.AsyncClient
) -> None:
    await register(client, phone=number)
    assert (await till.get(f"{base}/email/{address}")).status_code == 404
    for contact in ({"email": address}, {"phone": number}):
        assert (await till.get(f"{base}/", params=contact)).json()["items"] == []
    found = (await staff.get(f"{base}/", params={"q": address})).json()["items"]
    assert len(found) == 1, "the back office finds them as it finds everybody"


@pytest.mark.parametrize("bought_first", [True, False])
async def test_the_record_of_whoever_proves_the_address_becomes_part_of_the_guests(
    client: httpx.AsyncClient, till: httpx.AsyncClient, staff: httpx.AsyncClient, post: PostOffice,
    connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock, *, bought_first: bool,
) -> None:  # fmt: skip
    if bought_first:
        guest = await buy(till, "1", email=address)
    jane = await register(client, city="Kiel", date_of_birth="1980-02-03")
    if not bought_first:
        guest = await buy(till, "1", email=address)
    me = await signed_in(client)
    preference = {"preference_type": "SHOPPING", "preference_key": "favourite_style", "preference_value": "plain"}
    kept = (await client.post(f"{base}/{jane['id']}/preferences", json=preference, headers=me)).json()
    proved = await prove(client, jane["id"], post)
    assert (proved.status_code, proved.json()["customer_id"]) == (200, guest)

    assert (await client.get(me_url, headers=me)).json()["customer_id"] == guest
    mine = (await client.get(f"{base}/{guest}", headers=me)).json()
    assert {name: mine[name] for name in ("first_name", "city", "email", "date_of_birth", "user_id")} == {
        "first_name": "Jane", "city": "Kiel", "email": address, "date_of_birth": "1980-02-03",
        "user_id": jane["user_id"],
    }  # fmt: skip
    assert (mine["is_guest"], mine["is_email_verified"], mine["total_orders"]) == (False, True, 1)
    assert mine["loyalty_points"] == 24 + 100, "the welcome bonus comes along"
    [style] = (await client.get(f"{base}/{guest}/preferences", headers=me)).json()
    assert style["id"] == kept["id"]
    by_old_number = await staff.get(f"{base}/number/{jane['customer_number']}")
    assert by_old_number.json()["id"] == guest, "a number that was handed out goes on being found"
    assert (await staff.get(f"{base}/{jane['id']}")).status_code == 404
    assert await buy(till, "2", customer_id=jane["id"]) == guest, "a till may still hold the id of before"
    assert await buy(till, "3", email=address) == guest
    assert await buy(till, "4", customer_number=jane["customer_number"]) == guest
    events = await (
        await connection.execute("SELECT customer_id::text, facts FROM events WHERE kind = 'customer.merged'")
    ).fetchall()
    assert events == [(guest, {"merged_id": jane["id"]})]
    await require_sound_purchases(database, settings, clock)


async def test_a_merged_record_cannot_be_taken_back(
    client: httpx.AsyncClient, till: httpx.AsyncClient, admin: httpx.AsyncClient, post: PostOffice
) -> None:
    jane = await register(client)
    await buy(till, "1", email=address)
    await prove(client, jane["id"], post)
    assert (await admin.post(f"{base}/{jane['id']}/reactivate")).status_code == 404
    left = (await admin.get(f"{base}/{jane['id']}")).json()
    assert (left["first_name"], left["email"], left["user_id"], left["loyalty_points"]) == (None, None, None, 0)


async def test_a_link_to_unsubscribe_that_was_mailed_before_reaches_the_record_of_now(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice, settings: Settings, staff: httpx.AsyncClient
) -> None:
    jane = await register(client, email_marketing_consent=True)
    guest = await buy(till, "1", email=address)
    await prove(client, jane["id"], post)
    assert (await staff.get(f"{base}/{guest}")).json()["email_marketing_consent"] is True
    token = UnsubscribeTokens.from_settings(settings).write(UUID(jane["id"]), ConsentChannel.EMAIL)
    assert (await client.post(f"/api/v1/unsubscribe/{token}")).status_code == 200
    assert (await staff.get(f"{base}/{guest}")).json()["email_marketing_consent"] is False


async def test_what_became_part_of_a_record_that_became_part_of_another_reaches_the_last(
    client: httpx.AsyncClient, till: httpx.AsyncClient, settings: Settings, staff: httpx.AsyncClient
) -> None:
    """The shop writes down the address and the number in records of their own, and the person proves both."""
    jane = await register(client, phone=number, email_marketing_consent=True)
    for contact in ({"email": address}, {"phone": number}):
        added = await staff.post(f"{base}/", json={"first_name": "Jane", "last_name": "Doe", **contact})
        assert added.status_code == 201, added.text
    first = (await staff.post(f"{base}/{jane['id']}/verify-email", json=vouch)).json()["customer_id"]
    last = (await staff.post(f"{base}/{first}/verify-phone", json=vouch)).json()["customer_id"]
    assert len({jane["id"], first, last}) == 3
    assert (await staff.get(f"{base}/{last}")).json()["email_marketing_consent"] is True
    token = UnsubscribeTokens.from_settings(settings).write(UUID(jane["id"]), ConsentChannel.EMAIL)
    assert (await client.post(f"/api/v1/unsubscribe/{token}")).status_code == 200
    assert (await staff.get(f"{base}/{last}")).json()["email_marketing_consent"] is False
    assert await buy(till, "1", customer_id=jane["id"]) == last
    assert await buy(till, "2", customer_id=first) == last


async def test_of_two_who_type_one_number_the_one_who_proves_it_gets_it(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice
) -> None:
    guest = await buy(till, "1", phone=number)
    mallory = await register(client, email="mallory@example.com", phone=number)
    jane = await register(client, phone=number)
    me = await signed_in(client)
    await client.post(f"{base}/{jane['id']}/verify-phone/send", headers=me)
    code = {"code": await post.code_to(number)}
    stranger = await signed_in(client, "mallory@example.com")
    assert (
        slug(await client.post(f"{base}/{mallory['id']}/verify-phone", json=code, headers=stranger)) == "invalid-code"
    )
    proved = await client.post(f"{base}/{jane['id']}/verify-phone", json=code, headers=me)
    assert (proved.status_code, proved.json()["customer_id"]) == (200, guest)
    assert (await client.get(f"{base}/{guest}", headers=me)).json()["email"] == address
    assert await buy(till, "2", phone=number) == guest
    # Now that it is somebody's, nobody else types it.
    answer = await client.post(register_url, json=registration(phone=number))
    assert slug(answer) == "phone-taken"


async def test_two_records_with_a_history_wait_for_a_person_of_the_shop(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice, staff: httpx.AsyncClient
) -> None:
    jane = await register(client)
    await buy(till, "1", customer_id=jane["id"])
    guest = await buy(till, "2", email=address)
    refused = await prove(client, jane["id"], post)
    assert (refused.status_code, slug(refused)) == (409, "merge-required")
    for customer_id in (jane["id"], guest):
        shown = (await staff.get(f"{base}/{customer_id}")).json()
        assert (shown["total_orders"], shown["is_email_verified"]) == (1, False)
    assert slug(await staff.post(f"{base}/{jane['id']}/verify-email", json=vouch)) == "merge-required"


async def test_points_that_moved_are_a_history(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice
) -> None:
    jane = await register(client)
    me = await signed_in(client)
    spent = {"customer_id": jane["id"], "points": 40}
    assert (await client.post(f"{base}/loyalty/redeem", json=spent, headers=me)).status_code == 201
    await buy(till, "1", email=address)
    assert slug(await prove(client, jane["id"], post)) == "merge-required"


async def test_a_record_of_the_shop_without_a_history_becomes_part_of_the_one_that_has_it(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice, staff: httpx.AsyncClient
) -> None:
    """Somebody who buys while signed in, and whom a list of subscribers names too."""
    jane = await register(client, city="Kiel")
    await buy(till, "1", customer_id=jane["id"])
    listed = {"first_name": "Janet", "last_name": "Roe", "email": address, "tags": ["newsletter"], "state": "SH"}
    known = (await staff.post(f"{base}/", json=listed)).json()
    proved = await prove(client, jane["id"], post)
    assert (proved.status_code, proved.json()["customer_id"]) == (200, jane["id"])
    shown = (await staff.get(f"{base}/{jane['id']}")).json()
    assert (shown["first_name"], shown["city"], shown["state"], shown["tags"]) == ("Jane", "Kiel", "SH", ["newsletter"])
    assert (shown["total_orders"], shown["is_email_verified"]) == (1, True)
    assert (await staff.get(f"{base}/number/{known['customer_number']}")).json()["id"] == jane["id"]
    assert await buy(till, "2", email=address) == jane["id"]


async def test_a_record_with_a_login_is_not_given_to_whoever_proves_its_address(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice, as_role: AsRole
) -> None:
    mallory = await register(client, email="mallory@example.com")
    me = await signed_in(client, "mallory@example.com")
    await client.put(f"{base}/{mallory['id']}", json={"email": address}, headers=me)
    owner = await make_customer(connection, clock, email=address)
    await as_role("customer", customer_id=owner.id)
    await client.post(f"{base}/{mallory['id']}/verify-email/send", headers=me)
    assert slug(await prove(client, mallory["id"], post)) == "merge-required"


async def test_what_staff_write_down_identifies_at_once(
    client: httpx.AsyncClient, till: httpx.AsyncClient, staff: httpx.AsyncClient
) -> None:
    created = (await staff.post(f"{base}/", json={"first_name": "Jane", "last_name": "Roe", "email": address})).json()
    assert await buy(till, "1", email=address) == created["id"]
    await staff.put(f"{base}/{created['id']}", json={"email": "jane@example.org"})
    assert await buy(till, "2", email="jane@example.org") == created["id"]
    assert await buy(till, "3", email=address) != created["id"]
    assert slug(await client.post(register_url, json=registration(email="jane@example.org"))) == "email-taken"


async def test_the_address_of_before_identifies_until_the_new_one_is_proved(
    client: httpx.AsyncClient, till: httpx.AsyncClient, post: PostOffice, staff: httpx.AsyncClient
) -> None:
    jane = await register(client)
    await prove(client, jane["id"], post)
    me = await signed_in(client)
    await client.put(f"{base}/{jane['id']}", json={"email": "jane@example.org"}, headers=me)
    assert await buy(till, "1", email=address) == jane["id"]
    # The shop may write the address of before back, although it identifies the customer still.
    assert (await staff.put(f"{base}/{jane['id']}", json={"email": address})).status_code == 200
    await client.put(f"{base}/{jane['id']}", json={"email": "jane@example.org"}, headers=me)
    await client.post(f"{base}/{jane['id']}/verify-email/send", headers=me)
    assert (await prove(client, jane["id"], post, "jane@example.org")).status_code == 200
    assert await buy(till, "2", email="jane@example.org") == jane["id"]
    assert await buy(till, "3", email=address) != jane["id"]


async def test_whoever_only_registered_gives_the_address_up_to_whoever_proves_it(
    client: httpx.AsyncClient, post: PostOffice, connection: Connection
) -> None:
    squatter = await register(client)
    stolen = await post.token_to(address)
    jane = await register(client, email="jane@example.org")
    await prove(client, jane["id"], post, "jane@example.org")
    me = await signed_in(client, "jane@example.org")
    await client.put(f"{base}/{jane['id']}", json={"email": address}, headers=me)
    await client.post(f"{base}/{jane['id']}/verify-email/send", headers=me)
    theirs = await signed_in(client)
    assert (await prove(client, jane["id"], post)).status_code == 200
    assert (await client.get(me_url, headers=theirs)).status_code == 401
    assert "access_token" in await sign_in(client, address, password)
    late = await client.post(f"{base}/{squatter['id']}/verify-email", json={"token": stolen})
    assert slug(late) == "invalid-or-expired-token"


async def test_the_login_of_staff_is_nobodys_to_take(
    client: httpx.AsyncClient, post: PostOffice, admin: httpx.AsyncClient
) -> None:
    jane = await register(client)
    me = await signed_in(client)
    await admin.post("/api/v1/auth/users", json={"email": "ann@example.com", "role": "staff"})
    await client.put(f"{base}/{jane['id']}", json={"email": "ann@example.com"}, headers=me)
    await client.post(f"{base}/{jane['id']}/verify-email/send", headers=me)
    assert slug(await prove(client, jane["id"], post, "ann@example.com")) == "email-taken"


async def test_of_a_proof_and_an_order_at_once_none_is_lost(
    committing_app: FastAPI, own_database_url: str, settings: Settings, clock: Clock
) -> None:
    """Whichever comes first, the person has one record with the order, or two and is told so."""
    async with client_of(committing_app) as client, connect(own_database_url) as connection:
        post = PostOffice(connection, RolledBackDatabase(connection), settings, clock)
        jane = await register(client)
        async with connection.transaction():
            token = await post.token_to(address)
            made = await make_customer(connection, clock, email=address, first_name=None, last_name=None)
            await set_columns(connection, made, is_guest=True)
        proof = client.post(f"{base}/{jane['id']}/verify-email", json={"token": token})
        again = client.post(f"{base}/{jane['id']}/verify-email", json={"token": token})
        answers = sorted(answer.status_code for answer in await asyncio.gather(proof, again))
        assert answers == [200, 400]
        cursor = await connection.execute("SELECT id, merged_into FROM customers ORDER BY merged_into IS NULL, id")
        assert await cursor.fetchall() == [(UUID(jane["id"]), made.id), (made.id, None)]
