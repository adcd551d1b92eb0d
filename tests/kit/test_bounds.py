"""The bounds of what comes in fit the columns it goes to, alone and added up."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from regulars.kit import bounds
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.money import currencies, format_money

amounts = {"discount", "amount", "shipping_amount", "unit_price"} | {
    f"{part}total" for part in ("", "discount_", "tax_", "shipping_", "refunded_")
}
sums = {"net_spent", "clv", "clv_low", "clv_high"}
most_orders = 10**9  # of one customer


async def test_columns_hold_the_largest_of_everything(connection: Connection) -> None:
    cursor = await connection.execute("""
        SELECT table_name, column_name, numeric_precision, numeric_scale FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'numeric'
    """)
    largest = {
        **dict.fromkeys(amounts, bounds.money_limit),
        **dict.fromkeys(sums, bounds.money_limit * most_orders),
        "lines_total": bounds.money_limit * 3,  # they add up to the total, and what was taken off it
        "quantity": bounds.quantity_limit,
        "cash_rounding": Decimal(10**bounds.cash_rounding_digits),
        "points_per_unit": Decimal(10**bounds.rate_digits),
        "point_value": Decimal(10**bounds.point_value_digits),
    }
    columns = await cursor.fetchall()
    assert {"net_spent", "total", "quantity", "points_per_unit"} <= {name for _, name, _, _ in columns}
    for table, column, precision, scale in columns:
        assert largest[column] <= 10 ** (precision - scale), f"{table}.{column}"


def test_points_fit_their_columns_and_products_stay_exact() -> None:
    assert bounds.most_points_held + bounds.most_points_of_order < 2**53
    assert bounds.most_points <= bounds.most_points_of_order
    largest = (bounds.money_limit - Decimal("0.0001")) * (10**bounds.rate_digits - Decimal("0.0001"))
    assert Decimal(int(largest)) <= largest < int(largest) + 1
    worth = bounds.most_points_held * (10**bounds.point_value_digits - Decimal("0.000001"))
    for currency in currencies:
        assert len(format_money(worth, currency)) > 20


def test_every_day_within_the_bounds_begins_and_ends_in_every_zone() -> None:
    for clock in (Clock(ZoneInfo(name)) for name in available_timezones()):
        for day in (bounds.earliest_day, bounds.latest_day):
            assert clock.start_of(day) < clock.end_of(day + timedelta(days=3650))
        for instant in (bounds.earliest_instant, bounds.latest_instant):
            assert clock.end_of(clock.day_of(instant)) > instant
