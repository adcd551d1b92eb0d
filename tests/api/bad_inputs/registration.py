"""People who register, and how they prove addresses and numbers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from regulars.accounts.passwords import PasswordHashing
from regulars.app import create_app
from regulars.customers.identifiers import Phone
from regulars.kit.settings import Settings
from tests.api.bad_inputs.table import World, base, case, json_type
from tests.api.conftest import client_of
from tests.factories.customers import make_customer
from tests.factories.post import PostOffice, other_code
from tests.factories.registrations import password, register_url, registration

number = Phone("+493012345678")
forbidden = {
    "loyalty_points": 1, "loyalty_points_lifetime": 1, "loyalty_tier": "gold", "is_verified": True,
    "is_email_verified": True, "user_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "role": "admin",
    "customer_number": "CUST-20260615-0001", "rfm_segment": "champions", "clv": "1", "total_spent": "1",
}  # fmt: skip


async def never_hashes(*_: object) -> None:
    raise AssertionError


async def register(world: World, **fields: Any) -> httpx.Response:
    return await world.anonymous.post(register_url, json=registration(**fields))


async def count_customers(world: World) -> int:
    row = await (await world.connection.execute("SELECT count(*) FROM customers")).fetchone()
    assert row
    return int(row[0])


def with_settings(world: World, **changes: Any) -> httpx.AsyncClient:
    settings: Settings = world.settings.model_copy(update=changes)
    return client_of(create_app(settings, database=world.database, clock=world.clock))


def post_office(world: World) -> PostOffice:
    return PostOffice(world.connection, world.database, world.settings, world.clock)


def registering(row: str, content: bytes) -> None:
    """A case of a body that is no JSON."""

    @case(row)
    async def send(world: World) -> httpx.Response:
        return await world.anonymous.post(register_url, content=content, headers=json_type)


registering("1a", b'{"first_name":')
registering("1b", b'{"first_name":"\xff\xfe\xfa"}')
registering("1c", '{"first_name":"John"}'.encode("utf-16"))
registering("1d", b'\xef\xbb\xbf{"first_name":"John"}')
registering("1e", b"")


@case("14b")
async def foreign_fields(world: World) -> list[httpx.Response]:
    before = await count_customers(world)
    async with with_settings(world, register_per_hour=100) as client:
        answers = [
            await client.post(register_url, json=registration(**{name: value})) for name, value in forbidden.items()
        ]
    assert await count_customers(world) == before
    return answers


def refused(row: str, **fields: Any) -> None:
    """A case of a registration with these fields, which leaves nothing behind and hashes nothing."""

    @case(row)
    async def send(world: World) -> httpx.Response:
        world.monkeypatch.setattr(PasswordHashing, "hash", never_hashes)
        before = await count_customers(world)
        answer = await register(world, **fields)
        assert await count_customers(world) == before
        sent = next(iter(fields.values()))
        assert sent not in answer.text
        post = post_office(world)
        await post.deliver()
        assert post.mails == []
        return answer


refused("24a", email="someone.example.com")
refused("24b", email="a" * 243 + "@example.com")
refused("24c", email="a@example.com\r\nBcc: b@example.com")
refused("24d", email="john@xn--a.example")
refused("25a", phone="+91CALLNOW")
refused("25b", phone="9876543210")
refused("25c", phone="+9198765432101234")
refused("25d", phone="+919876543210 ext 5")
refused("27", date_of_birth="2010-01-01")
refused("34a", password="qwe;72x")
refused("34b", password="password1")
refused("34c", password="jane.jones77@Regulars", email="jane.jones77@example.com")
refused("35a", password="k7;" * 43)
refused("35b", password="k7;" * 700_000)


@case("32a")
async def known_email(world: World) -> list[httpx.Response]:
    await register(world, email="john@example.com")
    spellings = ("john@example.com", " John@Example.COM ")
    return [await register(world, email=spelling) for spelling in spellings]


@case("32b")
async def known_phone(world: World) -> httpx.Response:
    await make_customer(world.connection, world.clock, phone=number)
    return await register(world, phone="+49 30 12345678")


@case("32c")
async def known_in_private(world: World) -> list[httpx.Response]:
    known = await make_customer(world.connection, world.clock, phone=number)
    async with with_settings(world, registration_mode="private") as client:
        answers = [
            await client.post(register_url, json=registration(**fields))
            for fields in ({}, {"email": known.email}, {"phone": number})
        ]
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(set(answer.headers.items()) - trace(answer))) for answer in answers}) == 1
    return answers


def trace(answer: httpx.Response) -> set[tuple[str, str]]:
    return {("x-request-id", answer.headers["X-Request-Id"])}


async def mailed(world: World) -> tuple[str, str]:
    """Address of a new customer's proof, and the token that was mailed for it."""
    customer = (await register(world)).json()
    return f"{base}/{customer['id']}/verify-email", await post_office(world).token_to(customer["email"])


@case("47a")
async def anothers_token(world: World) -> list[httpx.Response]:
    (url, _), (_, token) = await mailed(world), await mailed(world)
    nobody = f"{base}/0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77/verify-email"
    return [await world.anonymous.post(place, json={"token": token}) for place in (url, nobody)]


@case("47b")
async def used_token(world: World) -> httpx.Response:
    url, token = await mailed(world)
    assert (await world.anonymous.post(url, json={"token": token})).status_code == 200
    return await world.anonymous.post(url, json={"token": token})


@case("47c")
async def old_token(world: World) -> httpx.Response:
    url, token = await mailed(world)
    later = replace(world.clock, stopped_at=world.clock.now() + timedelta(hours=24))
    async with client_of(create_app(world.settings, database=world.database, clock=later)) as client:
        return await client.post(url, json={"token": token})


@case("47d")
async def altered_token(world: World) -> httpx.Response:
    url, token = await mailed(world)
    return await world.anonymous.post(url, json={"token": ("A" if token[0] != "A" else "B") + token[1:]})


async def texted(world: World) -> tuple[httpx.AsyncClient, str, str]:
    """Staff, address of a customer's proof, and the code that was texted for it."""
    customer = await make_customer(world.connection, world.clock, phone=number)
    staff, url = await world.staff(), f"{base}/{customer.id}/verify-phone"
    assert (await staff.post(f"{url}/send")).status_code == 202
    return staff, url, await post_office(world).code_to(number)


@case("48a")
async def wrong_codes(world: World) -> list[httpx.Response]:
    staff, url, code = await texted(world)
    answers = [await staff.post(url, json={"code": other_code(code)}) for _ in range(5)]
    assert [answer.json()["attempts_left"] for answer in answers] == [4, 3, 2, 1, 0]
    return answers


@case("48b")
async def one_code_too_many(world: World) -> list[httpx.Response]:
    staff, url, code = await texted(world)
    for _ in range(5):
        await staff.post(url, json={"code": other_code(code)})
    return [await staff.post(url, json={"code": given}) for given in (code, other_code(code))]


@case("49a")
async def one_text_too_many(world: World) -> httpx.Response:
    staff, url, _ = await texted(world)
    for _ in range(2):
        assert (await staff.post(f"{url}/send")).status_code == 202
    return await staff.post(f"{url}/send")


@case("49b")
async def number_not_served(world: World) -> list[httpx.Response]:
    german = await make_customer(world.connection, world.clock, phone=number)
    premium = await make_customer(world.connection, world.clock, phone=Phone("+499001234567"))
    token = (await world.as_role("staff")).headers["Authorization"]
    async with with_settings(world, sms_countries=["FR"]) as french_only, with_settings(world) as anywhere:
        answers = [
            await client.post(f"{base}/{customer.id}/verify-phone/send", headers={"Authorization": token})
            for client, customer in ((french_only, german), (anywhere, premium))
        ]
    post = post_office(world)
    await post.deliver()
    assert post.texts == []
    return answers


@case("36d")
async def not_confirmed_yet(world: World) -> httpx.Response:
    async with with_settings(world, registration_mode="private") as client:
        assert (await client.post(register_url, json=registration(email="john@example.com"))).status_code == 202
        form = {"grant_type": "password", "username": "john@example.com", "password": password}
        return await client.post("/api/v1/auth/token", data=form)
