"""Purchases and scoring runs at the same moment, each in a session of its own."""

import asyncio
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from regulars.analytics.models import ScoringRequest
from regulars.analytics.repository_runs import turn
from regulars.analytics.rfm import RFMService
from regulars.flows.record_purchase import record_purchase
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.orders.schemas import OrderCreate
from tests.factories.customers import make_customer
from tests.factories.orders import make_order

names = count(1)


@pytest.fixture
def real() -> Clock:
    """Of the machine: one instant comes after the other."""
    return Settings(_env_file=None).clock


async def buy(connection: Connection, customer_id: UUID, settings: Settings, clock: Clock) -> None:
    order = OrderCreate(
        source="till", external_id=f"B{next(names)}", customer_id=customer_id, ordered_at=clock.now(),
        total=Decimal("20.00"),
    )  # fmt: skip
    async with connection.transaction():
        await record_purchase(connection, order, by=operator, settings=settings, clock=clock)


async def score(connection: Connection, clock: Clock, settings: Settings, *, recalculate: bool = True) -> None:
    request = ScoringRequest("all", clock.today(), "test", recalculate=recalculate)
    async with connection.transaction():
        await RFMService(connection, settings, clock).score_customers(request)


async def value(connection: Connection) -> Any:
    return await (await connection.execute("SELECT frequency_score, clv FROM customer_scores")).fetchone()


async def until_waiting(watcher: Connection, connection: Connection, work: asyncio.Task[None]) -> None:
    """Until the work waits for a lock, or is done."""
    blocked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    while not work.done():
        row = await (await watcher.execute(blocked, [connection.info.backend_pid])).fetchone()
        if row == (True,):
            return
        await asyncio.sleep(0.02)


async def test_a_sale_does_not_wait_for_a_run_at_work(own_database_url: str, settings: Settings, real: Clock) -> None:
    async with connect(own_database_url) as shop, connect(own_database_url) as run:
        customer = await make_customer(shop, real)
        await make_order(shop, real, customer.id)
        await score(run, real, settings)
        before = await value(shop)
        async with run.transaction():
            await run.execute("SELECT pg_advisory_xact_lock(%s)", [turn])
            await buy(shop, customer.id, settings, real)
        assert await value(shop) == before
        await buy(shop, customer.id, settings, real)
        assert await value(shop) != before


@pytest.mark.parametrize("live_scoring", [True, False])
async def test_purchases_in_the_midst_of_a_full_run_are_in_it_or_stale_after_it(
    own_database_url: str, settings: Settings, real: Clock, live_scoring: bool
) -> None:
    """The order takes its instant before the run begins and is there only after the run has looked."""
    chosen = settings.model_copy(update={"live_scoring": live_scoring})
    async with (
        asyncio.timeout(60),
        connect(own_database_url) as other,
        connect(own_database_url) as shop,
        connect(own_database_url) as run,
    ):
        customer = await make_customer(other, real)
        await make_order(other, real, customer.id, days_ago=200)
        async with asyncio.TaskGroup() as both, other.transaction():
            await other.execute("SELECT FROM customer_metrics FOR UPDATE")
            sale = both.create_task(buy(shop, customer.id, chosen, real))
            await until_waiting(other, shop, sale)
            scoring = both.create_task(score(run, real, chosen))
            await until_waiting(other, run, scoring)
            assert not sale.done()
        await score(run, real, chosen, recalculate=False)
        found = await value(other)
        await score(run, real, chosen)
        assert found == await value(other)


async def test_a_run_that_waited_for_another_does_not_claim_what_changed_meanwhile(
    own_database_url: str, settings: Settings, real: Clock
) -> None:
    """While it waits, purchases do not hold it off: they count as changed after it began."""
    async with (
        asyncio.timeout(60),
        connect(own_database_url) as other,
        connect(own_database_url) as shop,
        connect(own_database_url) as run,
    ):
        customer = await make_customer(other, real)
        await make_order(other, real, customer.id, days_ago=200)
        async with asyncio.TaskGroup() as both, other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock(%s)", [turn])
            scoring = both.create_task(score(run, real, settings))
            await until_waiting(other, run, scoring)
            await buy(shop, customer.id, settings, real)
        changed = "SELECT changed_at > started_at FROM customer_metrics, scoring_runs"
        assert await (await other.execute(changed)).fetchone() == (True,)
