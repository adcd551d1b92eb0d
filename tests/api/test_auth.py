"""Signing in, refreshing, signing out, and every way a token can fail."""

import asyncio
from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from regulars.accounts.models import User
from regulars.accounts.passwords import PasswordHash, PasswordHashing
from regulars.accounts.roles import scopes_of
from regulars.accounts.schemas_clients import ApiClientCreated
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.settings import Settings
from tests.api.accounts import bearer, me_url, refresh_url, token_url
from tests.api.conftest import AsRole, Later, TokenFor, client_of
from tests.api.probes import slug, without_trace
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_client, make_user, password
from tests.factories.forged_tokens import forged, forgeries, noon, with_header

logout_url = "/api/v1/auth/logout"


@pytest.fixture
async def user(connection: Connection, clock: Clock, hashed: PasswordHash) -> User:
    return await make_user(connection, clock, role="staff", email="Ann@Example.com", hashed=hashed)


@pytest.fixture
async def till(connection: Connection, clock: Clock) -> ApiClientCreated:
    return await make_client(connection, clock, scopes=["self", "orders:write"])


def with_password(**changes: str) -> dict[str, str]:
    return {"grant_type": "password", "username": "ann@example.com", "password": password, **changes}


async def test_a_person_signs_in_with_address_and_password(client: httpx.AsyncClient, user: User) -> None:
    answer = await client.post(token_url, data=with_password(username="  ANN@example.com"))
    tokens = answer.json()
    assert answer.status_code == 200
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert set(tokens["scope"].split()) == scopes_of("staff")
    me = (await client.get(me_url, headers=bearer(tokens["access_token"]))).json()
    assert (me["id"], me["kind"], me["role"], me["customer_id"]) == (str(user.id), "user", "staff", None)
    assert me["scopes"] == sorted(scopes_of("staff"))


@pytest.mark.parametrize("by_header", [True, False])
async def test_an_api_client_signs_in_by_header_or_form(
    client: httpx.AsyncClient, till: ApiClientCreated, by_header: bool
) -> None:
    form = {"grant_type": "client_credentials"}
    credentials = {"client_id": str(till.id), "client_secret": till.client_secret}
    answer = await client.post(
        token_url,
        data=form if by_header else form | credentials,
        headers=basic(str(till.id), till.client_secret) if by_header else {},
    )
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    me = (await client.get(me_url, headers=bearer(answer.json()["access_token"]))).json()
    assert (me["kind"], me["role"], me["source"], me["scopes"]) == (
        "client",
        "service",
        "till",
        ["orders:write", "self"],
    )


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()}


async def test_every_failed_sign_in_gets_the_same_answer(
    client: httpx.AsyncClient, connection: Connection, user: User
) -> None:
    unknown = await client.post(token_url, data=with_password(username="nobody@example.com"))
    wrong = await client.post(token_url, data=with_password(password="wrong"))
    await connection.execute("UPDATE users SET is_enabled = false WHERE id = %s", [user.id])
    disabled = await client.post(token_url, data=with_password())
    for answer in (unknown, wrong, disabled):
        assert (answer.status_code, slug(answer), answer.json()["error"]) == (
            401,
            "invalid-credentials",
            "invalid_grant",
        )
        assert "WWW-Authenticate" in answer.headers
        assert without_trace(answer) == without_trace(unknown)


async def test_an_unknown_account_costs_a_hash_too(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    async def matches(_: PasswordHashing, given: str, stored: PasswordHash) -> bool:
        verified.append(stored)
        return True

    monkeypatch.setattr(PasswordHashing, "matches", matches)
    answer = await client.post(token_url, data=with_password())
    assert answer.status_code == 401
    assert len(verified) == 1


@pytest.mark.parametrize("who", ["unknown client", "wrong secret", "not an id", "bad base64"])
async def test_a_client_that_does_not_prove_itself_is_refused(
    client: httpx.AsyncClient, till: ApiClientCreated, who: str
) -> None:
    headers = {
        "unknown client": basic(str(uuid4()), till.client_secret),
        "wrong secret": basic(str(till.id), "guess"),
        "not an id": basic("till", till.client_secret),
        "bad base64": {"Authorization": "Basic ~"},
    }[who]
    answer = await client.post(token_url, data={"grant_type": "client_credentials"}, headers=headers)
    assert (answer.status_code, slug(answer), answer.json()["error"]) == (401, "invalid-credentials", "invalid_client")


@pytest.mark.parametrize(
    ("form", "status", "expected", "error"),
    [
        ({"grant_type": "refresh_token"}, 400, "unsupported-grant-type", "unsupported_grant_type"),
        ({}, 422, "validation", "invalid_request"),
        ({"grant_type": "password", "username": "ann@example.com"}, 422, "validation", "invalid_request"),
        ({"grant_type": "client_credentials"}, 422, "validation", "invalid_request"),
        (with_password(password="x" * 129), 422, "validation", "invalid_request"),
    ],
)
async def test_the_token_endpoint_says_what_oauth2_expects(
    client: httpx.AsyncClient, form: dict[str, str], status: int, expected: str, error: str
) -> None:
    answer = await client.post(token_url, data=form)
    assert (answer.status_code, slug(answer), answer.json()["error"]) == (status, expected, error)
    assert "x" * 129 not in answer.text


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (b"grant_type=password&username=a%00b&password=x", "invalid-characters"),
        (b"grant_type=password&username=a&password=%ED%A0%80", "invalid-characters"),
        (b"grant_type=password&username=a&password=%FF", "invalid-characters"),
        (b"grant_type=password&grant_type=password&username=a&password=x", "validation"),
    ],
)
async def test_a_form_is_readable_and_names_each_field_once(
    client: httpx.AsyncClient, form: bytes, expected: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post(token_url, content=form, headers=headers)
    assert (answer.status_code, slug(answer), answer.json()["error"]) == (422, expected, "invalid_request")


async def test_a_form_of_raw_bytes_is_malformed(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post(token_url, content=b"grant_type=\xff", headers=headers)
    assert (answer.status_code, slug(answer)) == (400, "malformed-request")


async def test_the_21st_failure_in_an_hour_is_not_even_evaluated(
    client: httpx.AsyncClient, user: User, later: Later
) -> None:
    for _ in range(20):
        assert (await client.post(token_url, data=with_password(password="wrong"))).status_code == 401
    answer = await client.post(
        token_url, data=with_password(), headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    )
    assert (answer.status_code, slug(answer), answer.headers["Retry-After"]) == (429, "too-many-attempts", "3600")
    assert (await client.post(token_url, data=with_password(username="bob@example.com"))).status_code == 401
    async with later(timedelta(hours=1)) as an_hour_later:
        assert (await an_hour_later.post(token_url, data=with_password())).status_code == 200


async def test_the_failures_of_a_program_count_however_its_id_is_spelled(
    client: httpx.AsyncClient, till: ApiClientCreated
) -> None:
    spellings = [str(till.id), till.id.hex, str(till.id).upper(), f"{{{till.id}}}", till.id.urn]
    for spelling in spellings * 4:
        form = {"grant_type": "client_credentials", "client_id": spelling, "client_secret": "wrong"}
        assert (await client.post(token_url, data=form)).status_code == 401
    form |= {"client_id": till.id.hex, "client_secret": till.client_secret}
    answer = await client.post(token_url, data=form)
    assert (answer.status_code, slug(answer)) == (429, "too-many-attempts")


async def test_successful_sign_ins_are_not_counted(
    client: httpx.AsyncClient, user: User, connection: Connection
) -> None:
    await client.post(token_url, data=with_password())
    left = await connection.execute("SELECT count(*) FROM sign_in_failures")
    assert await left.fetchone() == (0,)


async def test_many_at_once_cannot_pass_the_limit(committing_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(PasswordHashing, "matches", never)
    async with client_of(committing_app) as client:
        answers = await asyncio.gather(*(client.post(token_url, data=with_password()) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 20 + [429] * 10


async def sign_in_as_ann(client: httpx.AsyncClient) -> dict[str, Any]:
    return (await client.post(token_url, data=with_password())).json()


async def test_a_refresh_token_is_replaced_at_each_use(client: httpx.AsyncClient, user: User) -> None:
    first = await sign_in_as_ann(client)
    answer = await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})
    second = answer.json()
    assert answer.status_code == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert (await client.get(me_url, headers=bearer(second["access_token"]))).status_code == 200


def elsewhere(app: FastAPI) -> httpx.AsyncClient:
    """A client at another address."""
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def require_closed(client: httpx.AsyncClient, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Neither the newest refresh token nor an access token is worth anything."""
    newest = await client.post(refresh_url, json={"refresh_token": second["refresh_token"]})
    assert (newest.status_code, slug(newest)) == (401, "session-revoked")
    for tokens in (first, second):
        assert slug(await client.get(me_url, headers=bearer(tokens["access_token"]))) == "session-revoked"


async def test_a_refresh_token_used_twice_closes_the_family(
    client: httpx.AsyncClient, user: User, app: FastAPI
) -> None:
    first = await sign_in_as_ann(client)
    second = (await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})).json()
    async with elsewhere(app) as thief:
        stolen = await thief.post(refresh_url, json={"refresh_token": first["refresh_token"]})
    assert (stolen.status_code, slug(stolen)) == (401, "session-revoked")
    await require_closed(client, first, second)


async def test_another_browser_at_the_same_address_is_another_client(client: httpx.AsyncClient, user: User) -> None:
    first = await sign_in_as_ann(client)
    second = (await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})).json()
    thief = {"User-Agent": "something else"}
    stolen = await client.post(refresh_url, json={"refresh_token": first["refresh_token"]}, headers=thief)
    assert slug(stolen) == "session-revoked"
    await require_closed(client, first, second)


async def test_after_the_grace_a_used_token_closes_the_family_whoever_sends_it(
    client: httpx.AsyncClient, user: User, later: Later
) -> None:
    first = await sign_in_as_ann(client)
    second = (await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})).json()
    async with later(timedelta(seconds=9)) as soon:
        again = await soon.post(refresh_url, json={"refresh_token": first["refresh_token"]})
        assert again.json()["refresh_token"] == second["refresh_token"], "the chain does not fork"
    async with later(timedelta(seconds=10)) as late:
        assert slug(await late.post(refresh_url, json={"refresh_token": first["refresh_token"]})) == "session-revoked"
        await require_closed(late, first, second)


async def test_a_token_whose_successor_was_used_closes_the_family(client: httpx.AsyncClient, user: User) -> None:
    first = await sign_in_as_ann(client)
    second = (await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})).json()
    third = (await client.post(refresh_url, json={"refresh_token": second["refresh_token"]})).json()
    assert slug(await client.post(refresh_url, json={"refresh_token": first["refresh_token"]})) == "session-revoked"
    await require_closed(client, second, third)


async def test_two_tabs_that_refresh_at_once_both_go_on(
    committing_app: FastAPI, clock: Clock, hashed: PasswordHash
) -> None:
    async with committing_app.state.database.transaction() as connection:
        await make_user(connection, clock, email="ann@example.com", hashed=hashed)
    async with client_of(committing_app) as client:
        tokens = await sign_in_as_ann(client)
        both = [client.post(refresh_url, json={"refresh_token": tokens["refresh_token"]}) for _ in range(2)]
        answers = await asyncio.gather(*both)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len({answer.json()["refresh_token"] for answer in answers}) == 1
        for answer in answers:
            me = await client.get(me_url, headers=bearer(answer.json()["access_token"]))
            assert me.status_code == 200
        further = {"refresh_token": answers[0].json()["refresh_token"]}
        assert (await client.post(refresh_url, json=further)).status_code == 200


async def test_refresh_tokens_end_with_their_time_and_were_never_guessed(
    client: httpx.AsyncClient, user: User, later: Later
) -> None:
    tokens = await sign_in_as_ann(client)
    async with later(timedelta(days=30)) as a_month_later:
        late = await a_month_later.post(refresh_url, json={"refresh_token": tokens["refresh_token"]})
    assert (late.status_code, slug(late)) == (401, "invalid-token")
    guessed = await client.post(refresh_url, json={"refresh_token": "guessed"})
    assert (guessed.status_code, slug(guessed)) == (401, "invalid-token")


async def test_logout_closes_this_session_only(client: httpx.AsyncClient, user: User) -> None:
    here, there = await sign_in_as_ann(client), await sign_in_as_ann(client)
    answer = await client.post(logout_url, headers=bearer(here["access_token"]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert slug(await client.get(me_url, headers=bearer(here["access_token"]))) == "session-revoked"
    assert slug(await client.post(refresh_url, json={"refresh_token": here["refresh_token"]})) == "session-revoked"
    assert (await client.get(me_url, headers=bearer(there["access_token"]))).status_code == 200


async def test_logout_everywhere_closes_all_sessions_of_the_caller(
    client: httpx.AsyncClient, user: User, token_for: TokenFor
) -> None:
    here, there = await sign_in_as_ann(client), await sign_in_as_ann(client)
    somebody_else, _ = await token_for("staff")
    await client.post(logout_url, headers=bearer(here["access_token"]), json={"everywhere": True})
    assert slug(await client.get(me_url, headers=bearer(there["access_token"]))) == "session-revoked"
    assert (await client.get(me_url, headers=bearer(somebody_else))).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET is_enabled = false",
        "UPDATE users SET auth_epoch = auth_epoch + 1, role = 'admin'",
        "UPDATE sessions SET closed_at = created_at",
        "UPDATE sessions SET expires_at = created_at",
    ],
)
async def test_a_change_of_the_account_acts_at_once(
    client: httpx.AsyncClient, connection: Connection, token_for: TokenFor, change: str
) -> None:
    token, _ = await token_for("staff")
    assert (await client.get(me_url, headers=bearer(token))).status_code == 200
    await connection.execute(change)
    answer = await client.get(me_url, headers=bearer(token))
    assert (answer.status_code, slug(answer)) == (401, "session-revoked")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "change", ["UPDATE api_clients SET is_enabled = false", "UPDATE api_clients SET expires_at = '2026-06-15T10:00Z'"]
)
async def test_a_client_that_is_switched_off_is_out(
    client: httpx.AsyncClient, connection: Connection, token_for: TokenFor, change: str
) -> None:
    token, _ = await token_for("service")
    await connection.execute(change)
    assert slug(await client.get(me_url, headers=bearer(token))) == "session-revoked"


@pytest.mark.parametrize("name", forgeries)
async def test_a_token_that_is_not_ours_does_not_pass(
    client: httpx.AsyncClient, settings: Settings, token_for: TokenFor, name: str
) -> None:
    token, _ = await token_for("staff")
    answer = await client.get(me_url, headers=bearer(forgeries[name](token, settings)))
    assert (answer.status_code, slug(answer)) == (401, "invalid-token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_forging_nothing_passes(client: httpx.AsyncClient, settings: Settings, token_for: TokenFor) -> None:
    """Guards the test above: its forgeries fail by what they change, not by how they are made."""
    token, _ = await token_for("staff")
    for forge in (
        forged(),
        with_header(),
        forged(claims={"nbf": noon + 5}),
        forged(claims={"exp": noon - 4, "iat": noon - 900}),
    ):
        assert (await client.get(me_url, headers=bearer(forge(token, settings)))).status_code == 200


async def test_a_token_of_another_session_of_somebody_else_does_not_pass(
    client: httpx.AsyncClient, settings: Settings, token_for: TokenFor
) -> None:
    token, _ = await token_for("staff")
    _, other = await token_for("admin")
    answer = await client.get(me_url, headers=bearer(forged(claims={"sid": str(other.session_id)})(token, settings)))
    assert (answer.status_code, slug(answer)) == (401, "session-revoked")


async def test_a_refresh_token_is_no_access_token(client: httpx.AsyncClient, user: User) -> None:
    tokens = await sign_in_as_ann(client)
    assert slug(await client.get(me_url, headers=bearer(tokens["refresh_token"]))) == "invalid-token"


async def test_tokens_of_the_previous_secret_still_pass(
    settings: Settings, database: RolledBackDatabase, clock: Clock, token_for: TokenFor
) -> None:
    token, _ = await token_for("staff")
    renewed = settings.model_copy(
        update={
            "jwt_secret_previous": settings.jwt_secret,
            "jwt_secret": type(settings.jwt_secret)("9f" * 20 + "abcdefgh1234"),
        }
    )
    async with client_of(create_app(renewed, database=database, clock=clock)) as client:
        assert (await client.get(me_url, headers=bearer(token))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "unauthenticated"),
        ([("Authorization", "Basic YTpi")], "unauthenticated"),
        ([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], "invalid-token"),
    ],
)
async def test_who_sends_no_token_or_two_is_told(
    client: httpx.AsyncClient, headers: list[tuple[str, str]], expected: str
) -> None:
    answer = await client.get(me_url, headers=headers)
    assert (answer.status_code, slug(answer)) == (401, expected)


async def test_every_role_can_ask_who_it_is(as_role: AsRole) -> None:
    for role in ("customer", "service", "staff", "analyst", "admin"):
        me = (await (await as_role(role)).get(me_url)).json()
        assert (me["role"], me["scopes"]) == (role, sorted(scopes_of(role)))
        assert (me["customer_id"] is not None) == (role == "customer")


@pytest.mark.parametrize("form", [{"grant_type": "password", "username": "a@example.com", "password": "x"}, {}])
async def test_oauth_clients_read_that_they_may_ask_again(
    settings: Settings, clock: Clock, form: dict[str, str]
) -> None:
    """A client that reads `invalid_request` gives up; nothing is wrong with its request while the database is down."""
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    async with nowhere, client_of(create_app(settings, database=nowhere, clock=clock)) as client:
        answer = await client.post("/api/v1/auth/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
