"""People register themselves, openly or in private, and claim what a till wrote down about them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.passwords import PasswordHashing
from regulars.app import create_app
from regulars.flows.housekeeping import forget_what_is_over
from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.delivery_mail import Sender
from regulars.kit.delivery_outbox import OutboxMessenger
from regulars.kit.settings import Settings
from tests.api.conftest import Later, client_of
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_user
from tests.factories.customers import make_customer, make_metrics
from tests.factories.post import PostOffice, customer_link, token_in
from tests.factories.registrations import confirm_url, password, register_url, registration, seed_example

base, auth = "/api/v1/retail-customers", "/api/v1/auth"
strangers = "SELECT count(*) FROM registrations"


@pytest.fixture
async def private(settings: Settings, database: RolledBackDatabase, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    closed = settings.model_copy(update={"registration_mode": "private"})
    async with client_of(create_app(closed, database=database, clock=clock)) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, email: str, secret: str = password) -> httpx.Response:
    form = {"grant_type": "password", "username": email, "password": secret}
    return await client.post(f"{auth}/token", data=form)


async def count(connection: Connection, query: Any) -> int:
    row = await (await connection.execute(query)).fetchone()
    assert row
    return int(row[0])


async def test_the_seeds_first_example_makes_a_customer(client: httpx.AsyncClient) -> None:
    answer = await client.post(register_url, json=seed_example)
    customer = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{base}/{customer['id']}"
    assert answer.headers["ETag"] == '"1"'
    told = {name: customer[name] for name in seed_example if name != "password"}
    # Nobody has proved the mailbox yet, so that nothing may be sent there.
    expected = {name: value for name, value in seed_example.items() if name != "password"}
    assert told == expected | {"email_marketing_consent": False}
    assert (customer["customer_number"], customer["masked"]) == ("CUST-20260615-0001", False)
    assert (customer["is_verified"], customer["is_active"]) == (False, True)
    assert (customer["loyalty_points"], customer["loyalty_tier"]) == (100, "bronze")
    assert password not in answer.text


async def test_a_contact_that_comes_back_is_welcomed_without_a_bonus(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    await client.post(register_url, json=seed_example)
    # The addresses are free again, as after an erasure.
    await connection.execute("DELETE FROM customer_identifiers WHERE kind <> 'number'")
    await connection.execute("UPDATE users SET email = 'gone@example.com'")
    again = (await client.post(register_url, json=seed_example)).json()
    assert again["loyalty_points"] == 0
    [(hashes,)] = await (await connection.execute("SELECT count(*) FROM welcome_bonuses")).fetchall()
    assert hashes == len({"email", "phone"} & seed_example.keys())


async def test_login_and_record_name_each_other(client: httpx.AsyncClient, connection: Connection) -> None:
    customer = (await client.post(register_url, json=seed_example)).json()
    cursor = await connection.execute("SELECT id::text, customer_id::text, role FROM users")
    assert await cursor.fetchall() == [(customer["user_id"], customer["id"], "customer")]


async def test_a_registration_is_audited_without_the_password(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    customer = (await client.post(register_url, json=seed_example)).json()
    cursor = await connection.execute(
        "SELECT actor_kind, object_id::text, fields FROM audit_log WHERE action = 'register_customer'"
    )
    fields = sorted(seed_example.keys() - {"password"})
    assert await cursor.fetchall() == [("system", customer["id"], fields)]


async def test_whoever_registered_openly_may_sign_in_before_the_proof(client: httpx.AsyncClient) -> None:
    await client.post(register_url, json=seed_example)
    assert (await sign_in(client, "john@example.com")).status_code == 200


async def test_no_secret_and_no_address_lies_in_the_queue(client: httpx.AsyncClient, connection: Connection) -> None:
    await client.post(register_url, json=seed_example)
    cursor = await connection.execute("SELECT task_name, args FROM procrastinate_jobs WHERE task_name LIKE 'send%'")
    [(task, arguments)] = await cursor.fetchall()
    assert (task, list(arguments)) == ("send_email_verification", ["verification_id"])


@pytest.mark.parametrize(
    ("secret", "rule"),
    [("k7;x2_q", "too_short"), ("password1", "breached"), ("Regulars-jane", "context")],
)
async def test_a_weak_password_is_refused_by_its_rule(client: httpx.AsyncClient, secret: str, rule: str) -> None:
    answer = await client.post(register_url, json=registration(email="jane@example.com", password=secret))
    assert (answer.status_code, answer.json()["rule"]) == (422, rule)


async def test_what_is_taken_is_refused_before_the_password_is_hashed(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        raise AssertionError

    known = await make_customer(connection, clock, phone="+493012345678")
    monkeypatch.setattr(PasswordHashing, "hash", never)
    for fields in ({"email": known.email}, {"phone": known.phone}):
        assert (await client.post(register_url, json=registration(**fields))).status_code == 409


async def test_the_address_of_somebody_in_the_back_office_is_taken(
    client: httpx.AsyncClient, connection: Connection, clock: Clock
) -> None:
    user = await make_user(connection, clock, role="staff")
    answer = await client.post(register_url, json=registration(email=user.email))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/email-taken")
    assert await count(connection, "SELECT count(*) FROM customers") == 0


async def test_one_address_may_register_ten_times_an_hour(client: httpx.AsyncClient, later: Later) -> None:
    for _ in range(10):
        assert (await client.post(register_url, json={})).status_code == 422
    refused = await client.post(register_url, json=registration())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
    async with later(timedelta(hours=1, seconds=1)) as client_later:
        assert (await client_later.post(register_url, json=registration())).status_code == 201


async def test_a_private_registration_becomes_a_customer_by_the_mailed_link(
    private: httpx.AsyncClient, connection: Connection, post: PostOffice
) -> None:
    answer = await private.post(register_url, json=seed_example)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert await count(connection, "SELECT count(*) FROM customers") == 0
    assert (await sign_in(private, "john@example.com")).status_code == 401
    confirmed = await private.post(confirm_url, json={"token": await post.token_to("john@example.com")})
    customer = confirmed.json()
    assert confirmed.status_code == 201
    assert confirmed.headers["Location"] == f"{base}/{customer['id']}"
    assert (customer["email"], customer["city"], customer["is_email_verified"]) == ("john@example.com", "Mumbai", True)
    assert customer["email_marketing_consent"] is True
    assert (await sign_in(private, "john@example.com")).status_code == 200
    assert await count(connection, strangers) == 0


async def test_a_private_registration_never_attaches_an_unproved_number(
    private: httpx.AsyncClient, connection: Connection, post: PostOffice
) -> None:
    await private.post(register_url, json=seed_example)
    assert await count(connection, "SELECT count(*) FROM registrations WHERE profile::text LIKE '%9198%'") == 0
    confirmed = await private.post(confirm_url, json={"token": await post.token_to("john@example.com")})
    assert confirmed.json()["phone"] is None


async def test_a_registrations_link_works_once(private: httpx.AsyncClient, post: PostOffice) -> None:
    await private.post(register_url, json=seed_example)
    token = await post.token_to("john@example.com")
    await private.post(confirm_url, json={"token": token})
    again = await private.post(confirm_url, json={"token": token})
    assert (again.status_code, again.json()["type"]) == (400, "/problems/invalid-or-expired-token")


async def test_of_two_private_registrations_of_one_address_the_first_confirmed_is_the_customer(
    private: httpx.AsyncClient, post: PostOffice, connection: Connection
) -> None:
    for city in ("Mumbai", "Pune"):
        await private.post(register_url, json=seed_example | {"city": city})
    await post.deliver()
    answers = [await private.post(confirm_url, json={"token": token_in(mail)}) for mail in post.mails]
    assert [answer.status_code for answer in answers] == [201, 400]
    assert answers[0].json()["city"] == "Mumbai"
    assert await count(connection, "SELECT count(*) FROM customers") == 1


async def test_who_never_confirms_is_forgotten(
    private: httpx.AsyncClient, connection: Connection, database: RolledBackDatabase, settings: Settings, clock: Clock
) -> None:
    await private.post(register_url, json=seed_example)
    for hours, left in ((47, 1), (48, 0)):
        later = replace(clock, stopped_at=clock.now() + timedelta(hours=hours))
        await forget_what_is_over(database, settings, later)
        assert await count(connection, strangers) == left


async def test_the_owner_of_a_known_address_is_told_and_gets_no_link(
    private: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice
) -> None:
    owner = await make_customer(connection, clock)
    await private.post(register_url, json=registration(email=owner.email))
    await post.deliver()
    (mail,) = post.mails
    assert (mail.to, mail.subject) == (owner.email, "regulars: you are registered already")
    assert "Token" not in mail.text
    assert await count(connection, strangers) == 0


async def test_known_and_unknown_cost_the_same_work_in_private(
    private: httpx.AsyncClient, connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, hashed = await make_customer(connection, clock), []
    original = PasswordHashing.hash

    async def counting(self: PasswordHashing, secret: str) -> Any:
        hashed.append(secret)
        return await original(self, secret)

    monkeypatch.setattr(PasswordHashing, "hash", counting)
    for number, email in enumerate((owner.email, "nobody@example.com"), start=1):
        await private.post(register_url, json=registration(email=email))
        assert len(hashed) == number
        assert await count(connection, strangers) == number
        assert await count(connection, "SELECT count(*) FROM verifications WHERE kind = 'registration'") == number


async def test_a_tills_customer_gets_a_login_by_the_mailbox_and_keeps_the_history(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice
) -> None:
    known = await make_customer(connection, clock, city="Pune")
    await make_metrics(connection, known, orders=3, spent="99.90")
    assert known.email
    taken = await client.post(register_url, json=registration(email=known.email))
    assert taken.json()["type"] == "/problems/email-taken"
    await client.post(f"{auth}/password/forgot", json={"email": known.email})
    token = await reset_token(post, known.email)
    weak = await client.post(f"{auth}/password/reset", json={"token": token, "new_password": "password1"})
    assert weak.json()["rule"] == "breached"
    chosen = {"token": token, "new_password": password}
    assert (await client.post(f"{auth}/password/reset", json=chosen)).status_code == 204
    assert (await client.post(f"{auth}/password/reset", json=chosen)).status_code == 400
    signed_in = (await sign_in(client, known.email)).json()["access_token"]
    mine = await client.get(f"{base}/{known.id}", headers={"Authorization": f"Bearer {signed_in}"})
    customer = mine.json()
    assert (customer["customer_number"], customer["city"]) == (known.customer_number, "Pune")
    assert (customer["total_orders"], customer["total_spent"]) == (3, "99.90")
    assert (customer["is_email_verified"], customer["masked"]) == (True, False)


async def reset_token(post: PostOffice, address: str) -> str:
    post.settings = post.settings.model_copy(update={"public_url": "https://shop.example"})
    return await post.token_to(address)


@pytest.mark.parametrize("gone", ["is_active = false", "deleted_at = now()", "email = 'other@example.com'"])
async def test_a_login_is_not_given_for_a_customer_who_left_or_moved(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice, gone: str
) -> None:
    known = await make_customer(connection, clock)
    assert known.email
    await client.post(f"{auth}/password/forgot", json={"email": known.email})
    token = await reset_token(post, known.email)
    await connection.execute(f"UPDATE customers SET {gone} WHERE id = %s".encode(), [known.id])
    reset = await client.post(f"{auth}/password/reset", json={"token": token, "new_password": password})
    assert reset.json()["type"] == "/problems/invalid-or-expired-token"
    assert await count(connection, "SELECT count(*) FROM users") == 0


async def test_a_customer_whose_login_is_disabled_gets_no_other(
    client: httpx.AsyncClient, connection: Connection, clock: Clock, post: PostOffice
) -> None:
    known = await make_customer(connection, clock)
    await make_user(connection, clock, role="customer", email="old@example.com", customer_id=known.id)
    await connection.execute("UPDATE users SET is_enabled = false")
    for address in (known.email, "old@example.com"):
        assert (await client.post(f"{auth}/password/forgot", json={"email": address})).status_code == 202
    post.settings = post.settings.model_copy(update={"public_url": "https://shop.example"})
    await post.deliver()
    assert post.mails == []


async def test_links_begin_with_the_public_url(client: httpx.AsyncClient, post: PostOffice) -> None:
    customer = (await client.post(register_url, json=seed_example)).json()
    post.settings = post.settings.model_copy(update={"public_url": "https://shop.example"})
    await post.deliver()
    (mail,) = post.mails
    assert "https://shop.example/verify-email?" in mail.text
    assert str(customer_link(mail)) == customer["id"]


@pytest.fixture
async def installation(own_database_url: str, tmp_path: Path) -> AsyncIterator[tuple[FastAPI, Settings]]:
    """An application whose requests commit, with the real clock, so that a worker beside it agrees about the time."""
    secret = "f3c1a0d2b4e6978812345678901234567890abcd"
    settings = Settings(_env_file=None, jwt_secret=secret, data_dir=tmp_path)
    async with Database(own_database_url, size=4, statement_seconds=5, lock_seconds=2) as database:
        yield create_app(settings, database=database), settings


async def test_from_registration_to_the_own_record_alone(
    installation: tuple[FastAPI, Settings], own_database_url: str
) -> None:
    app, settings = installation
    async with client_of(app) as client:
        john = (await client.post(register_url, json=seed_example)).json()
        jane = (await client.post(register_url, json=registration())).json()
        await run_worker(own_database_url, settings, install_signal_handlers=False, until_empty=True)
        outbox = OutboxMessenger(settings.data_dir / "outbox", Sender("shop@example.com", "shop"), settings.clock)
        mail = outbox.last_mail_to("john@example.com")
        assert mail
        proof = await client.post(f"{base}/{john['id']}/verify-email", json={"token": token_in(mail)})
        assert (proof.status_code, proof.json()["is_email_verified"]) == (200, True)
        token = (await sign_in(client, "john@example.com")).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        mine, others = await client.get(f"{base}/{john['id']}"), await client.get(f"{base}/{jane['id']}")
        assert (mine.status_code, mine.json()["is_verified"]) == (200, True)
        assert others.status_code == 404
        assert (await client.get(f"{base}/")).status_code == 403
