"""How much is sent to prove contacts is bounded by the customer and by the day, not by the target alone."""

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from regulars.app import create_app
from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, Later, client_of
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer
from tests.factories.post import PostOffice
from tests.factories.registrations import register_url, registration

base, forgot_url = "/api/v1/retail-customers", "/api/v1/auth/password/forgot"


@pytest.fixture
async def jane(connection: Connection, clock: Clock) -> RetailCustomer:
    return await make_customer(connection, clock, email="jane@example.com", phone=Phone("+493012345678"))


@pytest.fixture
async def token_for_tomorrow(connection: Connection, settings: Settings, clock: Clock) -> str:
    tomorrow = replace(clock, stopped_at=clock.now() + timedelta(days=1))
    return (await sign_in(connection, settings, tomorrow))[0]


@pytest.mark.parametrize(("channel", "most"), [("phone", 5), ("email", 10)])
async def test_one_customer_makes_us_send_so_much_and_no_more_whatever_the_target(
    as_role: AsRole,
    jane: RetailCustomer,
    post: PostOffice,
    channel: str,
    most: int,
    later: Later,
    token_for_tomorrow: str,
) -> None:
    me = await as_role("customer", customer_id=jane.id)
    answers = []
    for number in range(25):
        target = f"+4930123{number:04}" if channel == "phone" else f"jane{number}@example.com"
        assert (await me.put(f"{base}/{jane.id}", json={channel: target})).status_code == 200
        answers.append(await me.post(f"{base}/{jane.id}/verify-{channel}/send"))
        await post.deliver()
    assert [answer.status_code for answer in answers] == [202] * most + [429] * (25 - most)
    assert (slug(answers[-1]), answers[-1].headers["Retry-After"]) == ("rate-limited", "86400")
    assert len(post.texts if channel == "phone" else post.mails) == most
    async with later(timedelta(days=1)) as tomorrow:
        tomorrow.headers["Authorization"] = f"Bearer {token_for_tomorrow}"
        assert (await tomorrow.post(f"{base}/{jane.id}/verify-{channel}/send")).status_code == 202


async def test_each_customer_and_each_medium_has_a_share_of_its_own(
    staff: httpx.AsyncClient, jane: RetailCustomer, connection: Connection, clock: Clock
) -> None:
    for number in range(6):
        await staff.put(f"{base}/{jane.id}", json={"phone": f"+4930123{number:04}"})
        last = await staff.post(f"{base}/{jane.id}/verify-phone/send")
    assert slug(last) == "rate-limited"
    assert (await staff.post(f"{base}/{jane.id}/verify-email/send")).status_code == 202
    other = await make_customer(connection, clock, phone=Phone("+493087654321"))
    assert (await staff.post(f"{base}/{other.id}/verify-phone/send")).status_code == 202


@pytest.fixture
async def frugal(settings: Settings, database: RolledBackDatabase, clock: Clock) -> httpx.AsyncClient:
    """A caller of a shop that sends two mails and one text a day."""
    caps = {"mails_per_day": 2, "texts_per_day": 1}
    return client_of(create_app(settings.model_copy(update=caps), database=database, clock=clock))


async def test_the_shop_sends_so_much_in_a_day_whoever_asks(
    frugal: httpx.AsyncClient, connection: Connection, post: PostOffice, staff: httpx.AsyncClient, clock: Clock
) -> None:
    assert (await frugal.post(register_url, json=registration())).status_code == 201
    assert (await frugal.post(forgot_url, json={"email": "nobody@example.com"})).status_code == 202
    refused = await frugal.post(register_url, json=registration(email="late@example.com"))
    assert slug(refused) == "rate-limited"
    # Until the store's day is over, at midnight in Berlin.
    assert refused.headers["Retry-After"] == str(12 * 3600)
    cursor = await connection.execute("SELECT count(*) FROM customers WHERE email = 'late@example.com'")
    assert await cursor.fetchone() == (0,), "what is refused is not done"
    for email in ("nobody@example.org", "jane@example.com"):
        assert slug(await frugal.post(forgot_url, json={"email": email})) == "rate-limited", (
            "for known and unknown alike"
        )
    frugal.headers["Authorization"] = staff.headers["Authorization"]
    made = [await make_customer(connection, clock, phone=Phone(f"+49301234567{number}")) for number in range(2)]
    answers = [await frugal.post(f"{base}/{customer.id}/verify-phone/send") for customer in made]
    assert [answer.status_code for answer in answers] == [202, 429], "texts have a count of their own"
    assert await (await connection.execute("SELECT medium, messages FROM sending_days ORDER BY medium")).fetchall() == [
        ("mail", 2), ("text", 1)
    ]  # fmt: skip


async def test_the_next_day_begins_anew(
    settings: Settings, database: RolledBackDatabase, clock: Clock, frugal: httpx.AsyncClient
) -> None:
    for number in range(3):
        last = await frugal.post(forgot_url, json={"email": f"nobody{number}@example.com"})
    assert slug(last) == "rate-limited"
    tomorrow = Clock(clock.store_timezone, clock.now() + timedelta(hours=12))
    caps = settings.model_copy(update={"mails_per_day": 2})
    async with client_of(create_app(caps, database=database, clock=tomorrow)) as client:
        assert (await client.post(forgot_url, json={"email": "nobody4@example.com"})).status_code == 202
