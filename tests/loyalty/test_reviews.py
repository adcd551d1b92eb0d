"""Whose points do not add up cannot redeem until they do; nobody else is stopped."""

from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar
from uuid import UUID

import pytest

from regulars.jobs.worker import run_worker
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.jobs import Jobs
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService, LedgerReview, audit_kind
from regulars.loyalty.errors import AccountUnderReview
from regulars.loyalty.expiry import Expired, expire_all
from tests.conftest import as_owner
from tests.loyalty.shop import Shop

Done = TypeVar("Done")


@pytest.fixture
async def market(own_database_url: str, settings: Settings, clock: Clock) -> AsyncIterator[Shop]:
    """A shop whose work is committed, so that its tables can be edited behind its back."""
    async with connect(own_database_url) as connection:
        yield Shop(connection, settings, clock)


async def edit_history(connection: Connection, customer_id: UUID, writer: UUID | None) -> None:
    """Name another writer of the customer's transactions, with the guards switched off."""
    async with as_owner(connection), connection.transaction():
        await connection.execute("ALTER TABLE loyalty_transactions DISABLE TRIGGER ALL")
        await connection.execute(
            "UPDATE loyalty_transactions SET created_by = %s WHERE customer_id = %s", [writer, customer_id]
        )
        await connection.execute("ALTER TABLE loyalty_transactions ENABLE ALWAYS TRIGGER append_only")
        await connection.execute("ALTER TABLE loyalty_transactions ENABLE ALWAYS TRIGGER note_added")


async def edit_balance(connection: Connection, customer_id: UUID, points: int) -> None:
    """Add points to a balance, with the guards switched off."""
    async with as_owner(connection), connection.transaction():
        await connection.execute("ALTER TABLE loyalty_accounts DISABLE TRIGGER note_changed")
        await connection.execute(
            "UPDATE loyalty_accounts SET balance = balance + %s WHERE customer_id = %s", [points, customer_id]
        )
        await connection.execute("ALTER TABLE loyalty_accounts ENABLE ALWAYS TRIGGER note_changed")


async def committed(shop: Shop, step: Awaitable[Done]) -> Done:
    """What a step comes to, in a transaction of its own."""
    async with shop.connection.transaction():
        return await step


async def reviewed(shop: Shop, **scope: object) -> LedgerReview:
    review = AuditService(shop.connection).review_ledger(now=shop.clock.now(), **scope)  # type: ignore[arg-type]
    return await committed(shop, review)


async def test_a_failing_audit_stops_redemption_for_that_customer_only(
    market: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = [await committed(market, market.member(points=100)) for _ in range(2)]
    [first] = await market.rows(broken)
    await edit_history(market.connection, broken, broken)
    with caplog.at_level("INFO"):
        found = await reviewed(market)
    assert f"the heads of the ledger: {found.audit.digest}" in caplog.messages
    assert found.under_review == (broken,)
    assert (found.audit.counts["hash_chain"], found.released) == (1, 0)
    with pytest.raises(AccountUnderReview):
        await committed(market, market.redeem(broken, 10))
    await committed(market, market.earn(broken, 5))
    await committed(market, market.redeem(sound, 10))
    assert (await reviewed(market)).under_review == (broken,)
    await edit_history(market.connection, broken, first.created_by)
    mended = await reviewed(market, since=market.clock.now())
    assert (mended.under_review, mended.audit.violations, mended.released) == ((), 0, 1)
    await committed(market, market.redeem(broken, 10))
    assert await market.spendable(broken) == 95


async def test_the_expiry_of_others_does_not_wait_for_who_does_not_add_up(market: Shop, own_database_url: str) -> None:
    broken, sound = [await committed(market, market.member()) for _ in range(2)]
    for customer in (broken, sound):
        await committed(market, market.earn(customer, 10, expiry_days=1))
    await edit_balance(market.connection, broken, 1000)
    market.wait(days=2)
    assert (await reviewed(market)).under_review == (broken,)
    async with Database(own_database_url, size=1) as database:
        assert await expire_all(database, market.clock, by=operator) == Expired(customers=1, lots=1, points=10)
        await edit_balance(market.connection, broken, -1000)
        assert (await reviewed(market)).released == 1
        assert await expire_all(database, market.clock, by=operator) == Expired(customers=1, lots=1, points=10)


async def test_looking_changes_nothing(market: Shop) -> None:
    broken = await committed(market, market.member(points=100))
    await edit_history(market.connection, broken, broken)
    assert (await AuditService(market.connection).audit_ledger()).violations == 1
    await committed(market, market.redeem(broken, 10))


async def test_an_audit_of_who_moved_lately_leaves_others_under_review(market: Shop) -> None:
    broken = await committed(market, market.member(points=100))
    await edit_history(market.connection, broken, broken)
    assert (await reviewed(market)).under_review == (broken,)
    market.wait(days=1)
    again = await reviewed(market, since=market.clock.now())
    assert (again.under_review, again.released) == ((broken,), 0)
    market.wait(days=1)
    await committed(market, market.member(points=5))
    assert (await reviewed(market, since=market.clock.now())).audit.transactions == 2


async def test_the_worker_stops_who_does_not_add_up_and_says_so(
    market: Shop, own_database_url: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await committed(market, market.member(points=100))
    await edit_history(market.connection, broken, broken)
    async with market.connection.transaction():
        await market.connection.execute("UPDATE loyalty_accounts SET updated_at = now()")
        await Jobs(market.connection, market.clock).start(audit_kind, by=operator, same_as=audit_kind)
    by_day = settings.model_copy(update={"nightly_at": None})  # at some hours a worker begins the night's work too
    with caplog.at_level("ERROR"):
        await run_worker(own_database_url, by_day, install_signal_handlers=False, until_empty=True)
    cursor = await market.connection.execute("SELECT state FROM jobs")
    assert await cursor.fetchall() == [("succeeded",)]
    cursor = await market.connection.execute("SELECT customer_id, rules FROM loyalty_reviews")
    assert await cursor.fetchall() == [(broken, ["hash_chain"])]
    assert "the ledger does not add up" in caplog.messages
