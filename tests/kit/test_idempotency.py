"""Several keys claimed and answered in one statement each, as each would be by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from regulars.kit.database import Connection, Database
from regulars.kit.idempotency import IdempotencyInProgress, IdempotencyKeys, KeyedRequest, StoredAnswer

now = datetime(2026, 6, 15, 10, tzinfo=UTC)
day = timedelta(days=1)


def keys_in(connection: Connection) -> IdempotencyKeys:
    return IdempotencyKeys(connection, day)


def request(key: str, principal_id: UUID | None = None) -> KeyedRequest:
    return KeyedRequest(key, principal_id or uuid4(), key.encode())


def answer(body: str) -> StoredAnswer:
    return StoredAnswer(201, {"content-type": "application/json"}, body.encode())


async def test_only_keys_that_are_free_and_new_are_claimed(own_database_url: str) -> None:
    new, held, answered, forgotten = (request(key) for key in ("new", "held", "answered", "forgotten"))
    of_another = replace(answered, principal_id=uuid4())
    async with Database(own_database_url, lock_seconds=1) as database:
        async with database.transaction() as connection:
            await keys_in(connection).keep(answered, answer("a"), now=now)
            await keys_in(connection).keep(forgotten, answer("f"), now=now - day)
        async with database.transaction() as holding:
            assert await keys_in(holding).claim(held, now=now) is None
            async with database.transaction() as connection:
                asked = [new, held, answered, forgotten, of_another]
                assert await keys_in(connection).claim_free(asked, now=now) == [True, False, False, True, True]
        async with database.transaction() as connection, database.transaction() as other:
            assert await keys_in(connection).claim_free([new, held], now=now) == [True, True]
            assert await keys_in(other).claim_free([held, new], now=now) == [False, False]


async def test_answers_are_kept_as_one_by_one(connection: Connection) -> None:
    keys, customer_id = keys_in(connection), uuid4()
    first, second, forgotten = request("first"), request("second"), request("forgotten")
    await keys.keep(forgotten, answer("of yesterday"), now=now - day)
    told = [
        (first, answer('{"a": "\\u00e9, {x} and \\"y\\""}'), customer_id),
        (second, StoredAnswer(200, {}, b"\x00\xff"), None),
        (forgotten, answer("of today"), None),
    ]
    await keys.keep_all(told, now=now)
    for asked, kept, _ in told:
        assert await keys.find(asked, now=now) == kept
    cursor = await connection.execute("SELECT key FROM idempotency_keys WHERE customer_id = %s", [customer_id])
    assert await cursor.fetchall() == [("first",)]


async def test_an_answer_that_came_meanwhile_takes_all_back(connection: Connection) -> None:
    keys, asked = keys_in(connection), [request("first"), request("second")]
    await keys.keep(asked[1], answer("meanwhile"), now=now)
    with pytest.raises(IdempotencyInProgress):
        await keys.keep_all([(each, answer("late"), None) for each in asked], now=now)
    assert await keys.find(asked[1], now=now) == answer("meanwhile")
