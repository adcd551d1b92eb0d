"""Accounts: passwords that were forgotten, and tokens that end with a change of the account."""

import httpx

from regulars.accounts.passwords import PasswordHashing
from tests.api.accounts import bearer, me_url, sign_in
from tests.api.bad_inputs.table import World, case
from tests.factories.accounts import make_user, password

forgot_url = "/api/v1/auth/password/forgot"


async def queued(world: World) -> int:
    cursor = await world.connection.execute("SELECT count(*) FROM procrastinate_jobs")
    [(jobs,)] = await cursor.fetchall()
    return int(jobs)


async def ann(world: World) -> None:
    hashed = await PasswordHashing().hash(password)
    await make_user(world.connection, world.clock, email="ann@example.com", hashed=hashed)


@case("67a")
async def forgot_at_another_host(world: World) -> httpx.Response:
    await ann(world)
    answer = await world.anonymous.post(forgot_url, json={"email": "ann@example.com"}, headers={"Host": "evil.example"})
    assert await queued(world) == 0
    return answer


@case("67b")
async def forgot_with_a_forwarded_host(world: World) -> list[httpx.Response]:
    """Known and unknown address alike; what the mail says is in tests/jobs/test_password_mail.py."""
    await ann(world)
    headers = {"X-Forwarded-Host": "evil.example"}
    answers = [
        await world.anonymous.post(forgot_url, json={"email": email}, headers=headers)
        for email in ("ann@example.com", "bob@example.com")
    ]
    assert answers[0].content == answers[1].content
    assert await queued(world) == 2
    return answers


@case("44c")
async def token_of_another_session_after_a_password_change(world: World) -> httpx.Response:
    await ann(world)
    here, there = [await sign_in(world.anonymous, "ann@example.com", password) for _ in range(2)]
    change = {"current_password": password, "new_password": "a sentence that nobody says"}
    done = await world.anonymous.put("/api/v1/auth/me/password", json=change, headers=bearer(here["access_token"]))
    assert done.status_code == 204
    assert (await world.bearing(here["access_token"], me_url)).status_code == 200
    return await world.bearing(there["access_token"])


@case("44d")
async def token_after_a_role_change(world: World) -> httpx.Response:
    token, caller = await world.token_for("staff")
    admin = await world.as_role("admin")
    done = await admin.put(f"/api/v1/auth/users/{caller.id}", json={"role": "analyst"})
    assert done.status_code == 200
    return await world.bearing(token)


@case("44a")
async def token_of_a_user_disabled_since(world: World) -> httpx.Response:
    token, caller = await world.token_for("staff")
    admin = await world.as_role("admin")
    assert (await admin.delete(f"/api/v1/auth/users/{caller.id}")).status_code == 204
    return await world.bearing(token)
