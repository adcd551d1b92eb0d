"""Many who register, or try a code, at the same moment, on a database where they really commit."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from regulars.api.limits import Limits
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.settings import Settings
from tests.factories.accounts import sign_in
from tests.factories.customers import make_customer
from tests.factories.post import PostOffice, other_code, token_in
from tests.factories.registrations import confirm_url, register_url, seed_example

base = "/api/v1/retail-customers"
all_at_once = 200


@pytest.fixture
def settings() -> Settings:
    """Whoever is told to come back counts again: the limit must not be what ends it."""
    return Settings(
        _env_file=None, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd", register_per_hour=100 * all_at_once
    )


@pytest.fixture
async def database(own_database_url: str) -> AsyncIterator[Database]:
    async with Database(own_database_url, size=8, statement_seconds=5, lock_seconds=2) as database:
        yield database


@pytest.fixture
async def committing(own_database_url: str) -> AsyncIterator[Connection]:
    async with connect(own_database_url) as connection:
        yield connection


def crowd(settings: Settings, database: Database, clock: Clock, **changes: Any) -> httpx.AsyncClient:
    limits = Limits(in_flight=all_at_once, handler_seconds=60)
    app = create_app(settings.model_copy(update=changes), database=database, clock=clock, limits=limits)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


Send = Callable[[], Awaitable[httpx.Response]]


async def statuses(*sending: Send) -> Counter[int]:
    """Of requests sent at once; whoever is told to come back, because the machine is busy, does."""

    async def settled(send: Send) -> int:
        while (answer := await send()).status_code == 503:  # noqa: ASYNC110 - told for how long
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        return answer.status_code

    return Counter(await asyncio.gather(*map(settled, sending)))


async def count(connection: Connection, query: Any) -> int:
    row = await (await connection.execute(query)).fetchone()
    assert row
    return int(row[0])


async def test_of_200_registrations_of_one_address_exactly_one_wins(
    settings: Settings, database: Database, clock: Clock, committing: Connection
) -> None:
    async with crowd(settings, database, clock) as client:
        given = await statuses(*[lambda: client.post(register_url, json=seed_example)] * all_at_once)
    assert given == {201: 1, 409: all_at_once - 1}
    assert await count(committing, "SELECT count(*) FROM customers") == 1
    assert await count(committing, "SELECT count(*) FROM users") == 1


async def test_of_200_private_registrations_of_one_address_one_customer_comes(
    settings: Settings, database: Database, clock: Clock, committing: Connection
) -> None:
    async with crowd(settings, database, clock, registration_mode="private") as client:
        given = await statuses(*[lambda: client.post(register_url, json=seed_example)] * all_at_once)
        assert given == {202: 3, 429: all_at_once - 3}
        post = PostOffice(committing, database, settings, clock)
        await post.deliver()
        tokens = [token_in(mail) for mail in post.mails]
        assert len(tokens) == 3
        used = await statuses(*(partial(client.post, confirm_url, json={"token": token}) for token in tokens))
    assert used == {201: 1, 400: 2}
    assert await count(committing, "SELECT count(*) FROM customers") == 1


async def test_of_200_wrong_codes_exactly_five_are_looked_at(
    settings: Settings, database: Database, clock: Clock, committing: Connection
) -> None:
    async with committing.transaction():
        customer = await make_customer(committing, clock, phone="+493012345678")
        token, _ = await sign_in(committing, settings, clock, role="staff")
    async with crowd(settings, database, clock) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        url = f"{base}/{customer.id}/verify-phone"
        assert (await client.post(f"{url}/send")).status_code == 202
        wrong = {"code": other_code(await PostOffice(committing, database, settings, clock).code_to("+493012345678"))}
        given = await statuses(*[lambda: client.post(url, json=wrong)] * all_at_once)
    assert given == {400: 5, 429: all_at_once - 5}
