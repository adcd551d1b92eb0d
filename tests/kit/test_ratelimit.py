"""Limits in every stretch of time, exact also when many come at once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.ratelimit import RateLimit, RateLimited, RateLimiter, Window

hashes = KeyedHashes(b"a secret of this test")
minute = timedelta(minutes=1)
sends = RateLimit("send", (Window(3, 15 * minute), Window(5, timedelta(days=1))))


def at(clock: Clock, after: timedelta) -> Clock:
    assert clock.stopped_at is not None
    return replace(clock, stopped_at=clock.stopped_at + after)


async def is_let_through(connection: Connection, clock: Clock, limit: RateLimit = sends, who: str = "ann") -> bool:
    try:
        await RateLimiter(connection, hashes, clock).take(limit, who)
    except RateLimited:
        return False
    return True


async def test_the_fourth_has_to_wait_until_the_first_is_long_ago(connection: Connection, clock: Clock) -> None:
    for minutes in (0, 5, 10):
        assert await is_let_through(connection, at(clock, minutes * minute))
    with pytest.raises(RateLimited) as refusal:
        await RateLimiter(connection, hashes, at(clock, 14 * minute)).take(sends, "ann")
    assert refusal.value.retry_after == 60
    assert await is_let_through(connection, at(clock, 15 * minute))
    # Three within the last quarter of an hour: no full window begins anew for everybody at once.
    assert not await is_let_through(connection, at(clock, 16 * minute))
    assert await is_let_through(connection, at(clock, 20 * minute))


async def test_all_windows_hold(connection: Connection, clock: Clock) -> None:
    for hours in range(5):
        assert await is_let_through(connection, at(clock, timedelta(hours=hours)))
    with pytest.raises(RateLimited) as refusal:
        await RateLimiter(connection, hashes, at(clock, timedelta(hours=5))).take(sends, "ann")
    assert refusal.value.retry_after == 19 * 3600
    assert await is_let_through(connection, at(clock, timedelta(days=1)))


async def test_what_is_refused_is_not_counted(connection: Connection, clock: Clock) -> None:
    answers = [await is_let_through(connection, at(clock, second * timedelta(seconds=1))) for second in range(30)]
    assert answers == [True] * 3 + [False] * 27
    assert await is_let_through(connection, at(clock, 15 * minute))


async def test_each_subject_and_each_kind_is_counted_apart(connection: Connection, clock: Clock) -> None:
    once, other = RateLimit("once", (Window(1, minute),)), RateLimit("other", (Window(1, minute),))
    assert await is_let_through(connection, clock, once, "ann")
    assert await is_let_through(connection, clock, once, "bob")
    assert await is_let_through(connection, clock, other, "ann")
    assert not await is_let_through(connection, clock, once, "ann")


async def test_who_it_was_is_not_written_down(connection: Connection, clock: Clock) -> None:
    await is_let_through(connection, clock, who="ann@example.com")
    [(row,)] = await (await connection.execute("SELECT r::text FROM rate_limits r")).fetchall()
    assert "ann" not in row
    assert hashes.of("send", "ann@example.com").hex() in row
    assert KeyedHashes(b"another").of("send", "ann@example.com").hex() not in row


async def test_of_many_at_once_as_many_pass_as_may(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=8) as database:

        async def one() -> bool:
            async with database.transaction() as connection:
                return await is_let_through(connection, clock)

        answers = await asyncio.gather(*(one() for _ in range(40)))
    assert answers.count(True) == 3


async def test_no_more_instants_are_kept_than_decide(connection: Connection, clock: Clock) -> None:
    for day in range(8):
        assert await is_let_through(connection, at(clock, timedelta(days=day)))
    [(kept,)] = await (await connection.execute("SELECT cardinality(taken_at) FROM rate_limits")).fetchall()
    assert kept == 5
