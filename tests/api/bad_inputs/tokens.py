"""Signing in, tokens, and a database that is away."""

import httpx
from psycopg.errors import QueryCanceled

from regulars.accounts.passwords import PasswordHashing
from regulars.accounts.service import AccountsService
from regulars.kit.database import DatabaseUnavailable, Overloaded
from tests.api.bad_inputs.table import World, case
from tests.factories.accounts import make_user, password
from tests.factories.forged_tokens import claim_names, forgeries

token_url, me_url = "/api/v1/auth/token", "/api/v1/auth/me"


def forging(row: str, *names: str) -> None:
    """A case of GET of one customer with each of these forged tokens."""

    @case(row)
    async def forge(world: World) -> list[httpx.Response]:
        token, _ = await world.token_for("staff")
        url = await world.customer_url()
        assert (await world.bearing(token, url)).status_code == 200
        return [await world.bearing(forgeries[name](token, world.settings), url) for name in names]


forging("39b", "garbage")
forging("40a", "alg none")
forging("40b", "alg RS256", "alg ES256")
forging("40c", "HS384", "HS512", "alg HS512 over HS256")
forging("40d", "another secret")
forging("41a", "expired")
forging("41b", "not yet")
forging("41c", "other issuer")
forging("41d", "other audience")
forging("41e", *(f"without {name}" for name in claim_names))
forging("41f", "lives too long")
forging("42c", "typ JWT")
forging("43a", "kid of a file", "kid of SQL")
forging("43b", "header jku", "header x5u", "header jwk", "header crit")


def with_password(given: str = password) -> dict[str, str]:
    return {"grant_type": "password", "username": "ann@example.com", "password": given}


async def ann(world: World) -> None:
    hashed = await PasswordHashing().hash(password)
    await make_user(world.connection, world.clock, email="ann@example.com", hashed=hashed)


async def ann_signed_in(world: World) -> dict[str, str]:
    await ann(world)
    return dict((await world.anonymous.post(token_url, data=with_password())).json())


@case("36a")
async def unknown_user(world: World) -> httpx.Response:
    return await world.anonymous.post(token_url, data=with_password())


@case("36b")
async def wrong_password(world: World) -> httpx.Response:
    await ann(world)
    return await world.anonymous.post(token_url, data=with_password("wrong"))


@case("36c")
async def disabled_user(world: World) -> httpx.Response:
    await ann(world)
    await world.connection.execute("UPDATE users SET is_enabled = false")
    return await world.anonymous.post(token_url, data=with_password())


async def never_matches(*_: object) -> bool:
    return False


@case("37", "38")
async def one_failure_too_many(world: World) -> httpx.Response:
    world.monkeypatch.setattr(PasswordHashing, "matches", never_matches)
    for number in range(20):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        assert (await world.anonymous.post(token_url, data=with_password(), headers=headers)).status_code == 401
    answer = await world.anonymous.post(token_url, data=with_password(), headers={"X-Forwarded-For": "203.0.113.99"})
    assert int(answer.headers["Retry-After"]) > 0
    return answer


@case("39a")
async def no_token(world: World) -> httpx.Response:
    return await world.anonymous.get(await world.customer_url())


@case("39c")
async def long_token(world: World) -> httpx.Response:
    return await world.bearing("a" * 10_000)


@case("42a")
async def refresh_token_as_bearer(world: World) -> httpx.Response:
    return await world.bearing((await ann_signed_in(world))["refresh_token"])


@case("42b")
async def mailed_token_as_bearer(world: World) -> httpx.Response:
    """Mailed tokens look like refresh tokens: 256 random bits, nothing to read in them."""
    return await world.bearing("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg")


@case("44b")
async def token_after_logout(world: World) -> httpx.Response:
    token, _ = await world.token_for("staff")
    await world.anonymous.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {token}"})
    return await world.bearing(token)


@case("45")
async def refresh_token_twice(world: World) -> httpx.Response:
    tokens = await ann_signed_in(world)
    refresh = {"refresh_token": tokens["refresh_token"]}
    newest = (await world.anonymous.post("/api/v1/auth/refresh", json=refresh)).json()
    # Another client: the one that used the token may send it again for a moment.
    thief = {"User-Agent": "another browser"}
    answer = await world.anonymous.post("/api/v1/auth/refresh", json=refresh, headers=thief)
    assert (await world.bearing(newest["access_token"], me_url)).status_code == 401
    return answer


def failing(row: str, error: Exception) -> None:
    """A case of any route while the database fails in this way."""

    @case(row)
    async def fail(world: World) -> httpx.Response:
        async def raising(*_: object) -> None:
            raise error

        world.monkeypatch.setattr(AccountsService, "principal_of", raising)
        return await (await world.staff()).get(me_url)


failing("69a", Overloaded(retry_after=1))
failing("69b", DatabaseUnavailable(retry_after=1))
failing("69c", QueryCanceled())
failing("72", RuntimeError("details"))
