"""The back-test on all of CDNOW, whose future is known and to which others have fitted these models before."""

import lzma
from datetime import date
from importlib.resources import files
from uuid import UUID

from regulars.analytics.backtest import BacktestService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.factories.shops import copy_orders

calibrated_until, window_days = date(1997, 9, 30), 273


async def open_cdnow(connection: Connection, clock: Clock) -> int:
    """All customers and orders, as the package has them; answers the number of orders."""
    packed = (files("regulars.demo") / "data" / "cdnow.txt.xz").read_bytes()
    sales = [line.split() for line in lzma.decompress(packed).decode("ascii").splitlines()[1:]]
    await connection.execute(
        """
        INSERT INTO customers (id, customer_number, created_at, updated_at)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'CUST-19970101-' || lpad(n::text, 6, '0'), %(now)s, %(now)s
        FROM unnest(%(numbers)s::integer[]) AS n
        """,
        {"numbers": sorted({int(customer) for customer, *_ in sales}), "now": clock.now()},
    )
    async with connection.cursor() as cursor, cursor.copy(copy_orders) as copy:
        for number, (customer, day, _, amount) in enumerate(sales):
            name = (UUID(int=int(customer)), UUID(int=1_000_000 + number), "cdnow", f"C{number}", "paid", "USD")
            await copy.write_row((*name, day, day, amount, 0, "", clock.now(), clock.now()))
    await connection.execute("ANALYZE customers, orders")
    return len(sales)


async def test_the_model_foretells_cdnow_as_well_as_it_is_documented(
    connection: Connection, clock: Clock, settings: Settings
) -> None:
    assert await open_cdnow(connection, clock) == 69_659
    found = await BacktestService(connection, settings, clock).backtest(calibrated_until, window_days)
    assert found.customers == 23_570
    fitted = found.model.purchases
    assert [round(value, 4) for value in (fitted.r, fitted.a, fitted.b)] == [0.6371, 0.8075, 1.2284]
    model, seed = found.accuracy["model"], found.accuracy["seed"]
    assert (model.gini or 0) >= 0.71
    assert model.mae <= 31.8
    assert (model.lift or 0) >= 5.2
    assert model.mae < found.accuracy["blend"].mae < seed.mae
