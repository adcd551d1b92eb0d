"""Who proved an address or a number is told there when a change takes it from the profile."""

import httpx
import pytest

from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.api.probes import slug
from tests.factories.customers import make_customer, set_columns
from tests.factories.post import PostOffice

base = "/api/v1/retail-customers"
number = Phone("+493012345678")


@pytest.fixture
async def customer(connection: Connection, clock: Clock) -> RetailCustomer:
    """With an address and a number that are proved."""
    made = await make_customer(connection, clock, email="jane@example.com", phone=number)
    await set_columns(connection, made, is_email_verified=True, is_phone_verified=True)
    return made


async def change(staff: httpx.AsyncClient, customer: RetailCustomer, **fields: str | None) -> None:
    answer = await staff.put(f"{base}/{customer.id}", json=fields)
    assert answer.status_code == 200, answer.text


async def test_the_old_address_is_told_and_the_new_one_is_not(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection
) -> None:
    await change(staff, customer, email="mallory@example.com")
    await post.deliver()
    [mail] = post.mails
    assert mail.to == "jane@example.com"
    assert "was changed" in mail.subject
    assert "mallory" not in mail.text
    assert post.texts == []
    cursor = await connection.execute("SELECT args::text FROM procrastinate_jobs WHERE task_name = 'tell_old_owner'")
    assert not any("@" in arguments for (arguments,) in await cursor.fetchall()), "jobs are kept"


async def test_the_old_number_is_told(staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice) -> None:
    await change(staff, customer, phone=None)
    await post.deliver()
    assert [text.to for text in post.texts] == [number]
    assert post.mails == []


async def test_nobody_is_told_of_what_was_never_proved_or_did_not_change(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection
) -> None:
    await change(staff, customer, email="jane@example.com", first_name="Jane")
    await set_columns(connection, customer, is_email_verified=False, is_phone_verified=False)
    await change(staff, customer, email="anybody@example.com", phone="+493087654321")
    await change(staff, customer, email="jane@example.com")
    await post.deliver()
    assert (post.mails, post.texts) == ([], [])


async def test_a_change_that_is_refused_tells_nobody(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection, clock: Clock
) -> None:
    await make_customer(connection, clock, email="taken@example.com")
    assert slug(await staff.put(f"{base}/{customer.id}", json={"email": "taken@example.com"})) == "email-taken"
    await post.deliver()
    assert post.mails == []


async def test_a_second_change_does_not_catch_the_word_for_the_first_owner(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection
) -> None:
    await change(staff, customer, email="mallory@example.com")
    await set_columns(connection, customer, is_email_verified=True)
    await change(staff, customer, email="eve@example.com")
    await post.deliver()
    assert [mail.to for mail in post.mails] == ["jane@example.com"]


async def test_who_was_told_makes_place_for_the_next(
    staff: httpx.AsyncClient, customer: RetailCustomer, post: PostOffice, connection: Connection
) -> None:
    await change(staff, customer, email="second@example.com")
    await post.deliver()
    await set_columns(connection, customer, is_email_verified=True)
    await change(staff, customer, email="third@example.com")
    post.done.clear()  # the first job runs once more, as after a crash: it has nothing left to tell
    await post.deliver()
    assert [mail.to for mail in post.mails] == ["jane@example.com", "second@example.com"]
