from datetime import timedelta
from decimal import Decimal

import pytest
from psycopg.sql import SQL

from regulars.analytics.models import Period
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.repository_facts import purchase_facts
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.conftest import as_owner
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order


async def test_facts_count_valid_orders_and_what_is_left_of_them(connection: Connection, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "100", days_ago=40)
    await make_order(connection, clock, customer.id, "50", days_ago=10, refunds=[Refund("20", 5)])
    await make_order(connection, clock, customer.id, "70", days_ago=3, refunds=[Refund("70", 2)])
    await make_order(connection, clock, customer.id, "30", days_ago=2, cancelled_days_ago=1)
    found = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, Period(clock.today()))
    assert found is not None
    assert (found.orders, found.net, found.age_days, found.recency_days) == (2, Decimal(130), 40, 10)
    assert (found.recent_orders, found.recent_net) == (2, Decimal(130))


@pytest.mark.parametrize(
    ("days_ago", "orders", "net", "age_days", "recency_days"),
    [
        (50, 1, 500, 30, 30),
        (47, 2, 600, 33, 2),
        (45, 1, 100, 4, 4),
        (25, 1, 60, 24, 24),
        (13, 2, 90, 36, 0),
        (6, 2, 90, 43, 7),
        (5, 1, 30, 8, 8),
    ],
)
async def test_a_day_in_the_past_knows_no_later_refund_and_no_later_cancellation(
    connection: Connection, clock: Clock, days_ago: int, orders: int, net: int, age_days: int, recency_days: int
) -> None:
    customer = await make_customer(connection, clock)
    in_two_parts = [Refund("40", 25), Refund("60", 5)]
    await make_order(connection, clock, customer.id, "500", days_ago=80, cancelled_days_ago=45)
    await make_order(connection, clock, customer.id, "100", days_ago=49, refunds=in_two_parts)
    await make_order(connection, clock, customer.id, "30", days_ago=13)
    period = Period(clock.today() - timedelta(days=days_ago))
    found = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, period)
    assert found is not None
    assert (found.orders, found.net, found.age_days, found.recency_days) == (orders, net, age_days, recency_days)


@pytest.mark.parametrize(
    ("days_ago", "recent_orders", "recent_net"), [(0, 1, 30), (20, 0, 0), (30, 2, 90), (31, 1, 60)]
)
async def test_history_limits_the_orders_that_count(
    connection: Connection, clock: Clock, days_ago: int, recent_orders: int, recent_net: int
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "100", days_ago=49, refunds=[Refund("40", 32), Refund("60", 5)])
    await make_order(connection, clock, customer.id, "30", days_ago=30 if days_ago == 30 else 19)
    period = Period(clock.today() - timedelta(days=days_ago), history_days=20)
    found = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, period)
    assert found is not None
    assert (found.recent_orders, found.recent_net) == (recent_orders, recent_net)


async def test_an_order_exactly_as_old_as_the_history_no_longer_counts(connection: Connection, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "100", days_ago=20)
    await make_order(connection, clock, customer.id, "7", days_ago=19)
    found = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, Period(clock.today(), history_days=20))
    assert found is not None
    assert (found.orders, found.recent_orders, found.recent_net) == (2, 1, 7)


async def test_a_history_longer_than_the_calendar_is_all_of_it(connection: Connection, clock: Clock) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "100", days_ago=20)
    period = Period(clock.today(), history_days=10**9)
    found = await AnalyticsRepository(connection).get_rfm_inputs(customer.id, period)
    assert found is not None
    assert found.recent_orders == 1


@pytest.mark.parametrize("column", ["deleted_at", "erased_at"])
async def test_deleted_and_erased_customers_have_no_facts(connection: Connection, clock: Clock, column: str) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id)
    await set_columns(connection, customer, **{column: clock.now()})
    assert await AnalyticsRepository(connection).get_rfm_inputs(customer.id, Period(clock.today())) is None


async def test_facts_of_everyone_are_read_from_the_index_alone(connection: Connection, clock: Clock) -> None:
    await connection.execute("SET LOCAL enable_seqscan = off")
    async with as_owner(connection):
        await connection.execute("ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE")
    await connection.execute("SET LOCAL enable_bitmapscan = off")
    cursor = await connection.execute(SQL("EXPLAIN {}").format(purchase_facts(Period(clock.today()))))
    plan = "\n".join(row[0] for row in await cursor.fetchall())
    assert "Index Only Scan using orders_facts on orders" in plan
