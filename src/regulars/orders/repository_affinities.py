"""What a customer's orders and their lines add up to, read anew for each question."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

from psycopg.sql import SQL

from regulars.customers.repository_purchases import valid_order
from regulars.kit.database import Repository

# Habits are those of late; it also bounds the work, whoever the customer is.
latest_orders = 500
favourites = 5
_recent = SQL("""
    WITH recent AS MATERIALIZED (
        SELECT id, ordered_at AT TIME ZONE %(store_timezone)s AS at, total, refunded_total
        FROM orders WHERE customer_id = %(customer_id)s AND {valid}
        ORDER BY ordered_on DESC, id DESC LIMIT %(latest_orders)s
    )
""").format(valid=valid_order)
_habits = _recent + SQL("""
    , weekdays AS (
        SELECT extract(isodow FROM at)::integer AS weekday, count(*) AS orders FROM recent
        GROUP BY weekday ORDER BY orders DESC, max(at) DESC LIMIT 1
    ), hours AS (
        SELECT extract(hour FROM at)::integer AS hour, count(*) AS orders FROM recent
        GROUP BY hour ORDER BY orders DESC, max(at) DESC LIMIT 1
    ), baskets AS (
        SELECT count(*) AS lines, sum(quantity) AS pieces FROM order_lines
        WHERE customer_id = %(customer_id)s AND order_id IN (SELECT id FROM recent) AND quantity > 0
        GROUP BY order_id
    )
    SELECT (SELECT count(*) FROM recent) AS orders,
        (SELECT weekday FROM weekdays) AS weekday, (SELECT orders FROM weekdays) AS weekday_orders,
        (SELECT hour FROM hours) AS hour, (SELECT orders FROM hours) AS hour_orders,
        (SELECT avg(lines) FROM baskets) AS average_lines, (SELECT avg(pieces) FROM baskets) AS average_pieces
""")
# What a refund paid back for a line comes off that line; of a refund that names none, each line bears its share.
_favourites = _recent + SQL("""
    , returned AS (
        SELECT refunds.order_id, line.line_number, sum(line.amount) AS amount
        FROM refunds JOIN refund_lines AS line
            ON line.customer_id = refunds.customer_id AND line.refund_id = refunds.id
        WHERE refunds.customer_id = %(customer_id)s GROUP BY refunds.order_id, line.line_number
    ), shares AS (
        SELECT recent.id, CASE WHEN recent.total = 0 THEN 0
            ELSE (recent.refunded_total - coalesce(sum(returned.amount), 0)) / recent.total END AS refunded
        FROM recent LEFT JOIN returned ON returned.order_id = recent.id
        GROUP BY recent.id, recent.total, recent.refunded_total
    ), bought AS (
        SELECT shares.id, products.category, products.brand,
            line.total * (1 - shares.refunded) - coalesce(returned.amount, 0) AS net
        FROM shares
        JOIN order_lines AS line ON line.customer_id = %(customer_id)s AND line.order_id = shares.id
        LEFT JOIN returned ON returned.order_id = shares.id AND returned.line_number = line.line_number
        JOIN products ON products.sku = line.sku
    ), groups AS (
        SELECT CASE WHEN grouping(category) = 0 THEN 'category' ELSE 'brand' END AS kind,
            coalesce(category, brand) AS name, count(DISTINCT id) AS orders, sum(net) AS net_spent
        FROM bought GROUP BY GROUPING SETS ((category), (brand))
        HAVING coalesce(category, brand) IS NOT NULL AND sum(net) > 0
    ), ranked AS (
        SELECT *, (net_spent / sum(net_spent) OVER (PARTITION BY kind))::double precision AS share,
            row_number() OVER (PARTITION BY kind ORDER BY net_spent DESC, orders DESC, name) AS place
        FROM groups
    )
    SELECT kind, name, orders, net_spent, share FROM ranked WHERE place <= %(favourites)s ORDER BY kind, place
""")


@dataclass(frozen=True)
class Habits:
    """When a customer buys, and how much at a time."""

    orders: int
    weekday: int | None
    weekday_orders: int | None
    hour: int | None
    hour_orders: int | None
    average_lines: Decimal | None
    average_pieces: Decimal | None


@dataclass(frozen=True)
class Favourite:
    """A category or brand that a customer buys."""

    kind: Literal["category", "brand"]
    name: str
    orders: int
    net_spent: Decimal
    share: float


class AffinityRepository(Repository):
    """Reads one customer's orders by the customer's own keys."""

    async def get_habits(self, customer_id: UUID, *, store_timezone: str) -> Habits:
        """When and how much; of the latest orders that count."""
        found = await self._one(Habits, _habits, _facts(customer_id, store_timezone))
        return found or Habits(0, None, None, None, None, None, None)

    async def get_favourites(self, customer_id: UUID, *, store_timezone: str) -> Sequence[Favourite]:
        """The categories and the brands on which most was spent, largest first."""
        return await self._all(Favourite, _favourites, _facts(customer_id, store_timezone))


def _facts(customer_id: UUID, store_timezone: str) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "store_timezone": store_timezone,
        "latest_orders": latest_orders,
        "favourites": favourites,
    }
