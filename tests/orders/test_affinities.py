"""What purchases show of a customer, with refunds, returns and the store's time."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncCursor

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from regulars.orders import repository_affinities
from regulars.orders.affinities import AffinityService, CustomerAffinities
from tests.factories.customers import make_customer
from tests.factories.orders import Refund, make_order

settings = Settings(_env_file=None, store_timezone="Europe/Berlin")


async def affinities(connection: Connection, customer_id: UUID) -> CustomerAffinities:
    return await AffinityService(connection, settings).get_affinities(customer_id)


async def stock(connection: Connection, **products: tuple[str | None, str | None]) -> None:
    for sku, (category, brand) in products.items():
        await connection.execute(
            "INSERT INTO products (sku, category, brand, created_at, updated_at) VALUES (%s, %s, %s, now(), now())",
            [sku, category, brand],
        )


async def buy(
    connection: Connection, clock: Clock, customer_id: UUID, *lines: tuple[str, str, str], **order: Any
) -> None:
    """An order of lines of sku, quantity and total."""
    total = sum((Decimal(line[2]) for line in lines), Decimal(0))
    order_id = await make_order(connection, clock, customer_id, str(total), **order)
    for number, (sku, quantity, amount) in enumerate(lines, start=1):
        await connection.execute(
            "INSERT INTO order_lines (customer_id, order_id, line_number, sku, quantity, unit_price, total)"
            " VALUES (%s, %s, %s, %s, %s, 1, %s)",
            [customer_id, order_id, number, sku, quantity, amount],
        )


async def test_favourites_are_what_most_was_spent_on(connection: Connection, clock: Clock) -> None:
    await stock(connection, tea=("Drinks", "X"), cup=("Kitchen", "Y"), mug=("Kitchen", None), book=(None, None))
    ann, bob = (await make_customer(connection, clock)).id, (await make_customer(connection, clock)).id
    await buy(
        connection, clock, ann, ("tea", "2", "30"), ("cup", "1", "20"), ("book", "1", "99"), ("unknown", "1", "9")
    )
    await buy(connection, clock, ann, ("mug", "1", "10"), ("cup", "1", "40"))
    await buy(connection, clock, bob, ("tea", "9", "900"))
    found = await affinities(connection, ann)
    assert [(c.name, c.orders, c.net_spent, c.share) for c in found.categories] == [
        ("Kitchen", 2, Decimal(70), 0.7),
        ("Drinks", 1, Decimal(30), 0.3),
    ]
    assert [(b.name, b.net_spent) for b in found.brands] == [("Y", Decimal(60)), ("X", Decimal(30))]
    assert (found.orders, found.average_lines, found.average_pieces) == (2, Decimal("3.0"), Decimal("3.5"))


async def test_what_was_refunded_brought_back_or_cancelled_does_not_count(connection: Connection, clock: Clock) -> None:
    await stock(connection, tea=("Drinks", None), cup=("Kitchen", None), pan=("Pans", None), pot=("Pots", None))
    ann = (await make_customer(connection, clock)).id
    await buy(connection, clock, ann, ("tea", "1", "40"), ("cup", "1", "40"), refunds=[Refund("40")])
    await buy(connection, clock, ann, ("tea", "-1", "-5"), ("cup", "1", "5"))
    await buy(connection, clock, ann, ("pan", "1", "500"), refunds=[Refund("200"), Refund("300")])
    await buy(connection, clock, ann, ("pan", "1", "500"), cancelled_days_ago=0)
    await buy(connection, clock, ann, ("pot", "1", "10"), ("pot", "-1", "-10"))
    found = await affinities(connection, ann)
    assert [(c.name, c.net_spent) for c in found.categories] == [("Kitchen", Decimal(25)), ("Drinks", Decimal(15))]
    assert found.orders == 3


async def test_a_refund_of_a_line_comes_off_that_line_alone(connection: Connection, clock: Clock) -> None:
    await stock(connection, tea=("Drinks", None), cup=("Kitchen", None))
    ann = (await make_customer(connection, clock)).id
    await buy(connection, clock, ann, ("tea", "1", "60"), ("cup", "1", "40"), refunds=[Refund("30"), Refund("10")])
    await connection.execute("""
        INSERT INTO refund_lines (customer_id, refund_id, line_number, quantity, amount)
        SELECT customer_id, id, 2, 1, amount FROM refunds WHERE amount = 30
    """)
    found = await affinities(connection, ann)
    assert [(c.name, c.net_spent) for c in found.categories] == [("Drinks", Decimal(54)), ("Kitchen", Decimal(6))]


async def test_the_usual_day_and_hour_are_those_of_the_store(connection: Connection, clock: Clock) -> None:
    ann = (await make_customer(connection, clock)).id
    sunday_night = datetime(2026, 6, 7, 22, 30, tzinfo=UTC)  # half past midnight on Monday in Berlin
    for instant in (sunday_night, datetime(2026, 1, 4, 23, 59, tzinfo=UTC), datetime(2026, 6, 10, 10, 0, tzinfo=UTC)):
        await buy(connection, clock, ann, ordered_at=instant)
    found = await affinities(connection, ann)
    assert (found.weekday, found.hour) == (1, 0)
    assert (round(found.weekday_share, 2), round(found.hour_share, 2)) == (0.67, 0.67)


async def test_of_two_equal_habits_the_later_one_counts(connection: Connection, clock: Clock) -> None:
    ann = (await make_customer(connection, clock)).id
    for day in (8, 9):
        await buy(connection, clock, ann, ordered_at=datetime(2026, 6, day, day, tzinfo=UTC))
    found = await affinities(connection, ann)
    assert (found.weekday, found.hour) == (2, 11)


async def test_of_one_who_bought_nothing_nothing_is_known(connection: Connection, clock: Clock) -> None:
    ann = (await make_customer(connection, clock)).id
    assert await affinities(connection, ann) == CustomerAffinities(ann, 0, [], [], None, 0.0, None, 0.0, None, None)


async def test_it_takes_two_statements_and_the_latest_orders_only(
    connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stock(connection, tea=("Drinks", "X"), cup=("Kitchen", "Y"))
    ann = (await make_customer(connection, clock)).id
    await buy(connection, clock, ann, ("cup", "1", "900"), days_ago=9)
    for days in range(3):
        await buy(connection, clock, ann, ("tea", "1", "10"), days_ago=days)
    monkeypatch.setattr(repository_affinities, "latest_orders", 3)
    statements: list[str] = []
    execute = AsyncCursor.execute

    async def counted(cursor: Any, query: Any, *rest: Any, **options: Any) -> Any:
        statements.append(str(query))
        return await execute(cursor, query, *rest, **options)

    monkeypatch.setattr(AsyncCursor, "execute", counted)
    found = await affinities(connection, ann)
    assert ([c.name for c in found.categories], found.orders, len(statements)) == (["Drinks"], 3, 2)
