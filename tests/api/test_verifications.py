"""Proving addresses and numbers: by token, by code, by the word of staff."""

from datetime import timedelta

import httpx
import pytest

from regulars.customers.contact_proofs import require_served
from regulars.customers.errors import UnsupportedCountry
from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.conftest import AsRole, Later
from tests.api.probes import slug
from tests.factories.customers import make_customer, set_columns
from tests.factories.post import PostOffice, other_code

base = "/api/v1/retail-customers"
number = Phone("+493012345678")
reason = "Showed an identity card at the counter"


@pytest.fixture
async def customer(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, email="jane@example.com", phone=number)


async def test_a_mailed_token_proves_the_address_without_a_login(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice
) -> None:
    url = f"{base}/{customer.id}/verify-email"
    sent = await staff.post(f"{url}/send")
    assert sent.status_code == 202
    assert sent.json() == {"channel": "email", "sent_to": "j***@***", "valid_minutes": 1440}
    proved = await client.post(url, json={"token": await post.token_to("jane@example.com")})
    assert proved.json() == {
        "customer_id": str(customer.id), "is_verified": True, "is_email_verified": True, "is_phone_verified": False
    }  # fmt: skip
    shown = (await staff.get(f"{base}/{customer.id}")).json()
    assert (shown["is_email_verified"], shown["version"]) == (True, 1)
    assert slug(await staff.post(f"{url}/send")) == "already-verified"


async def test_a_new_link_voids_the_old_one(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice
) -> None:
    url = f"{base}/{customer.id}/verify-email"
    await staff.post(f"{url}/send")
    old = await post.token_to("jane@example.com")
    await staff.post(f"{url}/send")
    new = await post.token_to("jane@example.com")
    assert slug(await client.post(url, json={"token": old})) == "invalid-or-expired-token"
    assert (await client.post(url, json={"token": new})).status_code == 200


async def test_a_token_is_bound_to_the_address_it_was_sent_to(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice,
    connection: Connection,
) -> None:  # fmt: skip
    url = f"{base}/{customer.id}/verify-email"
    await staff.post(f"{url}/send")
    token = await post.token_to("jane@example.com")
    await set_columns(connection, customer, email="other@example.com")
    assert slug(await client.post(url, json={"token": token})) == "invalid-or-expired-token"


async def test_a_fourth_mail_in_a_quarter_of_an_hour_is_refused(
    staff: httpx.AsyncClient, customer: RetailCustomer
) -> None:
    url = f"{base}/{customer.id}/verify-email/send"
    answers = [await staff.post(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[3].headers["Retry-After"] == "900"


async def test_a_code_proves_the_number_once(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice
) -> None:
    url = f"{base}/{customer.id}/verify-phone"
    assert (await staff.post(f"{url}/send")).json()["sent_to"] == "***78"
    code = await post.code_to(number)
    assert (await staff.post(url, json={"code": other_code(code)})).json()["attempts_left"] == 4
    proved = await staff.post(url, json={"code": code})
    assert (proved.status_code, proved.json()["is_phone_verified"]) == (200, True)
    assert slug(await staff.post(url, json={"code": code})) == "invalid-code"
    assert slug(await staff.post(f"{url}/send")) == "already-verified"


async def test_a_code_expires_after_ten_minutes(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, later: Later
) -> None:
    url = f"{base}/{customer.id}/verify-phone"
    await staff.post(f"{url}/send")
    code = await post.code_to(number)
    async with later(timedelta(minutes=10)) as client:
        client.headers["Authorization"] = staff.headers["Authorization"]
        assert slug(await client.post(url, json={"code": code})) == "invalid-code"


async def test_a_code_is_bound_to_the_number_it_was_sent_to(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection
) -> None:
    url = f"{base}/{customer.id}/verify-phone"
    await staff.post(f"{url}/send")
    code = await post.code_to(number)
    await set_columns(connection, customer, phone="+493087654321")
    assert slug(await staff.post(url, json={"code": code})) == "invalid-code"


async def test_customers_prove_their_own_and_nobody_elses(
    as_role: AsRole, customer: RetailCustomer, connection: Connection, clock: Clock, post: PostOffice
) -> None:
    jane = await as_role("customer", customer_id=customer.id)
    other = await make_customer(connection, clock, phone=Phone("+493087654321"))
    assert (await jane.post(f"{base}/{customer.id}/verify-email/send")).status_code == 202
    assert (await jane.post(f"{base}/{customer.id}/verify-phone/send")).status_code == 202
    code = await post.code_to(number)
    for place in ("verify-email/send", "verify-phone/send"):
        assert slug(await jane.post(f"{base}/{other.id}/{place}")) == "not-found"
    assert slug(await jane.post(f"{base}/{other.id}/verify-phone", json={"code": code})) == "not-found"
    assert (await jane.post(f"{base}/{customer.id}/verify-phone", json={"code": code})).status_code == 200


@pytest.mark.parametrize(("channel", "flag"), [("email", "is_email_verified"), ("phone", "is_phone_verified")])
async def test_staff_vouch_with_a_reason_that_is_kept(
    staff: httpx.AsyncClient, customer: RetailCustomer, connection: Connection, channel: str, flag: str
) -> None:
    answer = await staff.post(f"{base}/{customer.id}/verify-{channel}", json={"override_reason": reason})
    assert (answer.status_code, answer.json()[flag], answer.json()["is_verified"]) == (200, True, True)
    cursor = await connection.execute(
        "SELECT actor_kind, object_id, fields, facts FROM audit_log WHERE action = %s", [f"verify_{channel}"]
    )
    assert await cursor.fetchall() == [("user", customer.id, [flag], {"override_reason": reason})]


async def test_who_may_not_write_customers_cannot_vouch(
    client: httpx.AsyncClient, as_role: AsRole, customer: RetailCustomer
) -> None:
    vouching, url = {"override_reason": reason}, f"{base}/{customer.id}/verify-email"
    anonymous = await client.post(url, json=vouching)
    assert (anonymous.status_code, anonymous.headers["WWW-Authenticate"]) == (401, "Bearer")
    garbled = await client.post(url, json=vouching, headers={"Authorization": "Bearer garbage"})
    assert slug(garbled) == "invalid-token"
    jane = await as_role("customer", customer_id=customer.id)
    for caller in (jane, await as_role("service"), await as_role("analyst")):
        assert slug(await caller.post(url, json=vouching)) == "insufficient-scope"
        refused = await caller.post(f"{base}/{customer.id}/verify-phone", json=vouching)
        assert slug(refused) == "insufficient-scope"


async def test_a_bearer_token_that_does_not_pass_does_not_spoil_a_proof(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice
) -> None:
    url = f"{base}/{customer.id}/verify-email"
    await staff.post(f"{url}/send")
    proof = {"token": await post.token_to("jane@example.com")}
    assert (await client.post(url, json=proof, headers={"Authorization": "Bearer garbage"})).status_code == 200


@pytest.mark.parametrize(
    "proof",
    [
        {},
        {"token": "a", "override_reason": reason},
        {"token": "a", "code": "123456"},
        {"code": "123456"},
        {"override_reason": "too short"},
        {"override_reason": "a" * 201},
        {"token": ""},
        {"token": "a" * 201},
    ],
)
async def test_a_proof_is_exactly_one_of_what_the_channel_takes(
    staff: httpx.AsyncClient, customer: RetailCustomer, proof: dict[str, str]
) -> None:
    answer = await staff.post(f"{base}/{customer.id}/verify-email", json=proof)
    assert (answer.status_code, slug(answer)) == (422, "validation")


@pytest.mark.parametrize("proof", [{"token": "a"}, {"code": "12345"}, {"code": "1234567"}, {"code": "１２３４５６"}])  # noqa: RUF001
async def test_a_number_is_proved_by_six_digits(
    staff: httpx.AsyncClient, customer: RetailCustomer, proof: dict[str, str]
) -> None:
    answer = await staff.post(f"{base}/{customer.id}/verify-phone", json=proof)
    assert (answer.status_code, slug(answer)) == (422, "validation")


@pytest.mark.parametrize("channel", ["email", "phone"])
async def test_what_a_customer_does_not_have_cannot_be_proved(
    staff: httpx.AsyncClient, connection: Connection, clock: Clock, channel: str
) -> None:
    known = {"email": None, "phone": number} if channel == "email" else {"phone": None}
    customer = await make_customer(connection, clock, **known)
    url = f"{base}/{customer.id}/verify-{channel}"
    for answer in (await staff.post(f"{url}/send"), await staff.post(url, json={"override_reason": reason})):
        assert slug(answer) == "validation"
        assert answer.json()["errors"][0]["in"] == "path"


async def test_a_deleted_customers_token_is_worth_nothing(
    client: httpx.AsyncClient, staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, clock: Clock,
    connection: Connection,
) -> None:  # fmt: skip
    url = f"{base}/{customer.id}/verify-email"
    await staff.post(f"{url}/send")
    token = await post.token_to("jane@example.com")
    await set_columns(connection, customer, deleted_at=clock.now())
    assert slug(await client.post(url, json={"token": token})) == "invalid-or-expired-token"
    assert slug(await staff.post(url, json={"override_reason": reason})) == "not-found"


@pytest.mark.parametrize(
    ("phone", "countries", "is_served"),
    [
        ("+493012345678", [], True),
        ("+493012345678", ["DE", "AT"], True),
        ("+493012345678", ["FR"], False),
        ("+499001234567", [], False),
        ("+499001234567", ["DE"], False),
        ("+18005551234", ["US"], True),
    ],
)
def test_codes_go_to_countries_that_are_served_and_never_to_premium_rates(
    phone: str, countries: list[str], is_served: bool
) -> None:
    if is_served:
        require_served(Phone(phone), countries)
        return
    with pytest.raises(UnsupportedCountry):
        require_served(Phone(phone), countries)
