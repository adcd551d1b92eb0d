"""Changing one's password, and getting a new one without knowing the old."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.models import User
from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHash, PasswordHashing
from regulars.customers.verifications import Verifications
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Role
from tests.api.accounts import audited, bearer, me_url, refresh_url, sign_in
from tests.api.conftest import Later, TokenFor
from tests.api.probes import codes, slug
from tests.factories.accounts import make_user, password

own_url, forgot_url, reset_url = (
    f"/api/v1/auth/{path}" for path in ("me/password", "password/forgot", "password/reset")
)
good, ann = "a sentence that nobody says", "ann@example.com"


@pytest.fixture
async def user(connection: Connection, clock: Clock, hashed: PasswordHash) -> User:
    return await make_user(connection, clock, email=ann, hashed=hashed)


def change(current: str = password, new: str = good) -> dict[str, str]:
    return {"current_password": current, "new_password": new}


async def status_of(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get(me_url, headers=bearer(token))).status_code


async def test_a_new_password_ends_every_other_session_and_the_own_goes_on(
    client: httpx.AsyncClient, connection: Connection, user: User, token_for: TokenFor
) -> None:
    here, there = await sign_in(client, ann, password), await sign_in(client, ann, password)
    somebody_else, _ = await token_for("staff")
    answer = await client.put(own_url, json=change(), headers=bearer(here["access_token"]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await status_of(client, here["access_token"]) == 200
    assert await status_of(client, there["access_token"]) == 401
    assert await status_of(client, somebody_else) == 200
    renewed = await client.post(refresh_url, json={"refresh_token": here["refresh_token"]})
    assert await status_of(client, renewed.json()["access_token"]) == 200
    assert (await client.post(refresh_url, json={"refresh_token": there["refresh_token"]})).status_code == 401
    assert (await sign_in(client, ann, password))["status"] == 401
    assert await status_of(client, (await sign_in(client, ann, good))["access_token"]) == 200
    [entry] = await audited(connection, "change_password")
    assert entry == ("user", user.id, "user", user.id, ["password"], {})


async def test_a_session_lives_through_many_changes_and_through_nothing_else(
    client: httpx.AsyncClient, connection: Connection, user: User
) -> None:
    tokens = await sign_in(client, ann, password)
    headers = bearer(tokens["access_token"])
    for before, after in ((password, good), (good, good + "!"), (good + "!", password)):
        assert (await client.put(own_url, json=change(before, after), headers=headers)).status_code == 204
    assert await status_of(client, tokens["access_token"]) == 200
    await connection.execute("UPDATE users SET auth_epoch = auth_epoch + 1")
    assert await status_of(client, tokens["access_token"]) == 401


async def test_a_token_from_before_another_change_does_not_come_back(
    client: httpx.AsyncClient, connection: Connection, user: User
) -> None:
    """Whatever changed the account, a later change of the password in the session does not undo it."""
    old = await sign_in(client, ann, password)
    await connection.execute("UPDATE users SET auth_epoch = auth_epoch + 1")
    new = await client.post(refresh_url, json={"refresh_token": old["refresh_token"]})
    headers = bearer(new.json()["access_token"])
    assert (await client.put(own_url, json=change(), headers=headers)).status_code == 204
    assert await status_of(client, old["access_token"]) == 401


async def test_the_present_password_must_be_right(
    client: httpx.AsyncClient, connection: Connection, user: User
) -> None:
    headers = bearer((await sign_in(client, ann, password))["access_token"])
    answer = await client.put(own_url, json=change("wrong"), headers=headers)
    assert (answer.status_code, slug(answer), codes(answer)) == (
        422, "validation", {"body/current_password": "enum"}
    )  # fmt: skip
    assert "access_token" in await sign_in(client, ann, password)
    assert await audited(connection, "change_password") == []


async def test_a_stolen_token_cannot_be_used_to_guess_the_password(
    client: httpx.AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer((await sign_in(client, ann, password))["access_token"])

    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(PasswordHashing, "matches", never)
    answers = [await client.put(own_url, json=change("guess"), headers=headers) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [422] * 20 + [429]
    assert (slug(answers[-1]), answers[-1].headers["Retry-After"]) == ("too-many-attempts", "3600")
    assert (await sign_in(client, ann, password))["status"] == 429


async def test_changing_it_rightly_is_no_failure(client: httpx.AsyncClient, user: User, connection: Connection) -> None:
    headers = bearer((await sign_in(client, ann, password))["access_token"])
    await client.put(own_url, json=change(), headers=headers)
    assert await (await connection.execute("SELECT count(*) FROM sign_in_failures")).fetchone() == (0,)


@pytest.mark.parametrize(
    ("role", "new", "rule"),
    [
        ("staff", "14 characters.", "too_short"),
        ("customer", "7 chars", "too_short"),
        ("staff", "1qaz2wsx3edc4rfv", "breached"),
        ("staff", "regularsregulars", "context"),
    ],
)
async def test_a_weak_password_is_refused_without_being_repeated(
    client: httpx.AsyncClient,
    connection: Connection,
    clock: Clock,
    hashed: PasswordHash,
    role: Role,
    new: str,
    rule: str,
) -> None:
    await make_user(connection, clock, role=role, email=ann, hashed=hashed)
    headers = bearer((await sign_in(client, ann, password))["access_token"])
    answer = await client.put(own_url, json=change(new=new), headers=headers)
    assert (answer.status_code, slug(answer), answer.json()["rule"]) == (422, "weak-password", rule)
    assert new not in answer.text


async def test_a_password_of_129_characters_is_not_even_hashed(
    client: httpx.AsyncClient, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer((await sign_in(client, ann, password))["access_token"])
    monkeypatch.setattr(PasswordHashing, "matches", None)
    answer = await client.put(own_url, json=change(new="x" * 129), headers=headers)
    assert (answer.status_code, codes(answer)) == (422, {"body/new_password": "length"})


async def test_a_sign_in_that_crosses_a_change_opens_no_session(
    client: httpx.AsyncClient, connection: Connection, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right when it was compared, and is not when the session would open."""

    async def meanwhile(*_: object) -> bool:
        await connection.execute("UPDATE users SET auth_epoch = auth_epoch + 1, password_hash = 'another'")
        return True

    monkeypatch.setattr(PasswordHashing, "matches", meanwhile)
    assert (await sign_in(client, ann, password))["status"] == 401
    assert await (await connection.execute("SELECT count(*) FROM sessions")).fetchone() == (0,)


async def jobs(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT task_name, args->>'verification_id' FROM procrastinate_jobs WHERE task_name = 'send_password_reset'"
        " ORDER BY id"
    )
    return await cursor.fetchall()


async def mailed(app: FastAPI, connection: Connection) -> str:
    """The token that the last job would mail."""
    passwords: PasswordService = app.state.passwords
    armed = await passwords.arm_reset((await jobs(connection))[-1][1])
    assert armed is not None
    address, token = armed
    assert address == ann
    return token


async def test_who_forgot_it_sets_another_and_all_sessions_end(
    client: httpx.AsyncClient, app: FastAPI, connection: Connection, user: User
) -> None:
    tokens = await sign_in(client, ann, password)
    answer = await client.post(forgot_url, json={"email": "Ann@Example.com"})
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    token = await mailed(app, connection)
    done = await client.post(reset_url, json={"token": token, "new_password": good})
    assert (done.status_code, done.content) == (204, b"")
    assert await status_of(client, tokens["access_token"]) == 401
    assert (await client.post(refresh_url, json={"refresh_token": tokens["refresh_token"]})).status_code == 401
    assert (await sign_in(client, ann, password))["status"] == 401
    assert "access_token" in await sign_in(client, ann, good)
    again = await client.post(reset_url, json={"token": token, "new_password": good})
    assert (again.status_code, slug(again)) == (400, "invalid-or-expired-token")
    assert [entry[4] for entry in await audited(connection, "reset_password")] == [["password"]]


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    client: httpx.AsyncClient, app: FastAPI, connection: Connection, user: User
) -> None:
    disabled = await make_user(connection, app.state.clock, email="gone@example.com")
    await connection.execute("UPDATE users SET is_enabled = false WHERE id = %s", [disabled.id])
    answers = [await client.post(forgot_url, json={"email": who}) for who in (ann, "bob@example.com", disabled.email)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b'{"status":"accepted"}')}
    queued = await jobs(connection)
    assert len(queued) == 3
    armed = [await app.state.passwords.arm_reset(verification_id) for _, verification_id in queued]
    assert [found is not None for found in armed] == [True, False, False]


async def test_known_and_unknown_addresses_may_be_asked_for_as_often(client: httpx.AsyncClient, user: User) -> None:
    for who in (ann, "bob@example.com"):
        answers = [await client.post(forgot_url, json={"email": who}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202] * 3 + [429]
        assert (slug(answers[-1]), answers[-1].headers["Retry-After"]) == ("rate-limited", "900")


async def test_a_weak_password_leaves_the_token_as_it_was(
    client: httpx.AsyncClient, app: FastAPI, connection: Connection, user: User
) -> None:
    await client.post(forgot_url, json={"email": ann})
    token = await mailed(app, connection)
    weak = await client.post(reset_url, json={"token": token, "new_password": "short"})
    assert (weak.status_code, slug(weak)) == (422, "weak-password")
    assert (await client.post(reset_url, json={"token": token, "new_password": good})).status_code == 204


async def test_a_wrong_token_costs_no_hash(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PasswordHashing, "hash", None)
    answer = await client.post(reset_url, json={"token": "guessed", "new_password": good})
    assert (answer.status_code, slug(answer)) == (400, "invalid-or-expired-token")


@pytest.mark.parametrize("what", ["password changed", "disabled", "mail of another purpose", "an hour later"])
async def test_a_token_that_is_worth_nothing_any_more(
    client: httpx.AsyncClient, app: FastAPI, connection: Connection, user: User, what: str, later: Later
) -> None:
    await client.post(forgot_url, json={"email": ann})
    token = await mailed(app, connection)
    caller = client
    if what == "password changed":
        headers = bearer((await sign_in(client, ann, password))["access_token"])
        assert (await client.put(own_url, json=change(), headers=headers)).status_code == 204
    elif what == "disabled":
        await connection.execute("UPDATE users SET is_enabled = false")
    elif what == "mail of another purpose":
        verifications = Verifications(connection, app.state.settings, app.state.clock)
        sent = await verifications.arm(await verifications.begin("email", user.id, ann))
        assert sent is not None
        token = sent.secret
    else:
        caller = later(timedelta(hours=1))
    answer = await caller.post(reset_url, json={"token": token, "new_password": good})
    assert (answer.status_code, slug(answer)) == (400, "invalid-or-expired-token")
