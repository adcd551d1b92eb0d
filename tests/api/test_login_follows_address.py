"""A proved address is the login too: the one of before opens nothing any more, and is free."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHash, PasswordHashing
from regulars.customers.errors import InvalidOrExpiredToken
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.api.accounts import audited, bearer, me_url, sign_in
from tests.api.probes import slug
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_user
from tests.factories.post import PostOffice
from tests.factories.registrations import password, register_url, registration

base, auth = "/api/v1/retail-customers", "/api/v1/auth"
old, new, chosen = "jane@example.com", "jane@example.org", "another good sentence"
vouch = {"override_reason": "Showed an identity card at the counter"}


@pytest.fixture
def post(connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock) -> PostOffice:
    linked = settings.model_copy(update={"public_url": "https://shop.example"})
    return PostOffice(connection, database, linked, clock)


@pytest.fixture
async def jane(client: httpx.AsyncClient, post: PostOffice) -> dict[str, Any]:
    """Signed in, with a proved address, on the way to another one."""
    customer = dict((await client.post(register_url, json=registration(email=old))).json())
    await client.post(f"{base}/{customer['id']}/verify-email", json={"token": await post.token_to(old)})
    customer["me"] = bearer((await sign_in(client, old, password))["access_token"])
    changed = await client.put(f"{base}/{customer['id']}", json={"email": new}, headers=customer["me"])
    assert changed.status_code == 200
    return customer


async def prove(client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice) -> None:
    await client.post(f"{base}/{jane['id']}/verify-email/send", headers=jane["me"])
    proof = {"token": await post.token_to(new)}
    assert (await client.post(f"{base}/{jane['id']}/verify-email", json=proof)).status_code == 200


async def reset_link(client: httpx.AsyncClient, post: PostOffice, address: str) -> str:
    await client.post(f"{auth}/password/forgot", json={"email": address})
    return await post.token_to(address)


async def set_password(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(f"{auth}/password/reset", json={"token": token, "new_password": chosen})


async def test_until_the_proof_the_login_of_before_stays(
    client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice
) -> None:
    assert "access_token" in await sign_in(client, old, password)
    assert "access_token" not in await sign_in(client, new, password)
    token = await reset_link(client, post, old)
    assert (
        await client.post(f"{auth}/password/reset", json={"token": token, "new_password": chosen})
    ).status_code == 204
    assert "access_token" in await sign_in(client, old, chosen)


async def test_the_proof_moves_the_login_and_frees_the_address(
    client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice, connection: Connection
) -> None:
    await prove(client, jane, post)
    assert "access_token" in await sign_in(client, new, password)
    assert "access_token" not in await sign_in(client, old, password)
    assert (await client.get(me_url, headers=jane["me"])).status_code == 200, "who proved it stays signed in"
    again = await client.post(register_url, json=registration(email=old))
    assert again.status_code == 201
    assert [fields for *_, fields, _ in await audited(connection, "move_login")] == [["email"]]


async def test_a_link_that_was_mailed_to_the_address_of_before_opens_nothing(
    client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice
) -> None:
    early = await reset_link(client, post, old)
    await prove(client, jane, post)
    assert slug(await set_password(client, early)) == "invalid-or-expired-token"
    before = len(post.mails)
    await client.post(f"{auth}/password/forgot", json={"email": old})
    await post.deliver()
    assert post.mails[before:] == [], "and none is mailed there any more"
    late = await reset_link(client, post, new)
    assert (
        await client.post(f"{auth}/password/reset", json={"token": late, "new_password": chosen})
    ).status_code == 204


async def test_a_link_that_waits_to_be_mailed_is_not_mailed_after_the_proof(
    client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice
) -> None:
    await client.post(f"{base}/{jane['id']}/verify-email/send", headers=jane["me"])
    proof = {"token": await post.token_to(new)}
    await client.post(f"{auth}/password/forgot", json={"email": old})
    assert (await client.post(f"{base}/{jane['id']}/verify-email", json=proof)).status_code == 200
    before = len(post.mails)
    await post.deliver()
    assert post.mails[before:] == []


async def test_the_word_of_staff_moves_the_login_too(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient
) -> None:
    assert (await staff.post(f"{base}/{jane['id']}/verify-email", json=vouch)).status_code == 200
    assert "access_token" in await sign_in(client, new, password)
    assert "access_token" not in await sign_in(client, old, password)


async def test_an_address_that_staff_write_down_opens_nothing_before_the_proof(
    client: httpx.AsyncClient, jane: dict[str, Any], staff: httpx.AsyncClient, post: PostOffice
) -> None:
    await staff.put(f"{base}/{jane['id']}", json={"email": "jane@example.net"})
    assert "access_token" in await sign_in(client, old, password)
    await staff.post(f"{base}/{jane['id']}/verify-email/send")
    proof = {"token": await post.token_to("jane@example.net")}
    assert (await client.post(f"{base}/{jane['id']}/verify-email", json=proof)).status_code == 200
    assert "access_token" in await sign_in(client, "jane@example.net", password)


async def test_two_customers_trade_addresses(
    client: httpx.AsyncClient, jane: dict[str, Any], post: PostOffice, staff: httpx.AsyncClient
) -> None:
    await prove(client, jane, post)
    other = (await client.post(register_url, json=registration(email=old))).json()
    await client.post(f"{base}/{other['id']}/verify-email", json={"token": await post.token_to(old)})
    shown = (await staff.get(f"{base}/{other['id']}")).json()
    assert (shown["email"], shown["is_email_verified"]) == (old, True)
    assert (await sign_in(client, old, password))["access_token"]


async def test_a_link_is_worth_nothing_for_a_login_that_has_another_address_by_now(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice, hashed: PasswordHash
) -> None:
    """Of staff as of customers: the link proves a mailbox, and only that of the login counts."""
    user = await make_user(connection, clock, email="ann@example.com", hashed=hashed)
    token = await reset_link(client, post, "ann@example.com")
    await connection.execute("UPDATE users SET email = 'ann@example.org' WHERE id = %s", [user.id])
    body = {"token": token, "new_password": "a sentence that is long enough"}
    assert slug(await client.post(f"{auth}/password/reset", json=body)) == "invalid-or-expired-token"


async def test_an_address_that_is_proved_while_the_password_is_hashed_ends_the_link(
    client: httpx.AsyncClient,
    jane: dict[str, Any],
    post: PostOffice,
    database: RolledBackDatabase,
    settings: Settings,
    clock: Clock,
    connection: Connection,
) -> None:
    token = await reset_link(client, post, old)

    class Slow(PasswordHashing):
        async def hash(self, password: str) -> PasswordHash:
            await connection.execute("UPDATE users SET email = %s WHERE customer_id = %s", [new, UUID(jane["id"])])
            return await super().hash(password)

    service = PasswordService(database, settings, clock, Slow())
    with pytest.raises(InvalidOrExpiredToken):
        await service.reset(token, chosen)
