"""What customers bought, summed up: the metrics that are kept, and the history that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from psycopg.sql import SQL, Placeholder

from regulars.kit.database import Repository

# Orders that count: not cancelled and not paid back in full. An order that cost nothing still is one.
valid_order = SQL("cancelled_on IS NULL AND (refunded_total < total OR total = 0)")

# Purchase metrics always follow from the orders anew; nothing is ever added up step by step. The customers must be
# locked, or of two writers the later one would not know the earlier one's order. `touched` yields their customer_id.
# LATERAL makes it one look into the index for each of them, whatever the statistics say while tables grow.
recompute_metrics = SQL("""
    INSERT INTO customer_metrics AS known
        (customer_id, total_orders, net_spent, first_order_at, last_order_at, purchase_days, changed_at)
    SELECT touched.customer_id, facts.*, {now}
    FROM ({touched}) AS touched, LATERAL (
        SELECT count(*) AS total_orders, coalesce(sum(total - refunded_total), 0) AS net_spent,
            min(ordered_at) AS first_order_at, max(ordered_at) AS last_order_at,
            count(DISTINCT ordered_on) AS purchase_days
        FROM orders WHERE orders.customer_id = touched.customer_id AND {valid}
    ) AS facts
    ON CONFLICT (customer_id) DO UPDATE SET
        total_orders = excluded.total_orders, net_spent = excluded.net_spent,
        first_order_at = excluded.first_order_at, last_order_at = excluded.last_order_at,
        purchase_days = excluded.purchase_days, changed_at = excluded.changed_at
    WHERE (known.total_orders, known.net_spent, known.first_order_at, known.last_order_at, known.purchase_days)
        IS DISTINCT FROM (excluded.total_orders, excluded.net_spent, excluded.first_order_at, excluded.last_order_at,
            excluded.purchase_days)
""")


@dataclass(frozen=True)
class MonthOfPurchases:
    """What a customer bought in one month of the store's calendar.

    Attributes:
        month: Its first day.
        orders: Valid orders: neither cancelled nor refunded in full.
        total: Their totals.
        refunded: What was paid back of them.
        cancelled: Orders that were cancelled.
        returned: Orders that were refunded in full.
        purchase_days: Days with a valid order.
        first_on: Day of the first valid order; None without one.
        last_on: Day of the last valid order.
    """

    month: date
    orders: int
    total: Decimal
    refunded: Decimal
    cancelled: int
    returned: int
    purchase_days: int
    first_on: date | None
    last_on: date | None


@dataclass(frozen=True)
class CategoryOfPurchases:
    """What a customer bought of one category.

    Attributes:
        category: As the catalogue has it; None for products that it does not know.
        orders: Valid orders with a line of it.
        quantity: Pieces, or amounts in the products' units.
        total: The lines' totals, before refunds.
    """

    category: str | None
    orders: int
    quantity: Decimal
    total: Decimal


@dataclass(frozen=True)
class PurchaseHistory:
    """A customer's purchases in a period: by month, oldest first, and by category, the dearest first."""

    months: list[MonthOfPurchases]
    categories: list[CategoryOfPurchases]


@dataclass(frozen=True)
class MetricsDifference:
    """A customer whose kept metrics are not what the orders say.

    `kept_...` is what is stored (zero and nothing where no row is), the others follow from the orders.
    """

    customer_id: UUID
    kept_orders: int
    orders: int
    kept_net: Decimal
    net: Decimal
    kept_first_at: datetime | None
    first_at: datetime | None
    kept_last_at: datetime | None
    last_at: datetime | None
    kept_days: int
    days: int


class CustomerPurchasesRepository(Repository):
    """Purchase metrics and purchase history."""

    async def update_purchase_metrics(self, customer_ids: Sequence[UUID], *, now: datetime) -> None:
        """Bring the purchase metrics of customers up to their orders. The customers must be locked."""
        statement = recompute_metrics.format(
            touched=SQL("SELECT unnest(%(customer_ids)s::uuid[]) AS customer_id"),
            now=Placeholder("now"),
            valid=valid_order,
        )
        await self._execute(statement, {"customer_ids": list(customer_ids), "now": now})

    async def get_purchase_history(
        self, customer_id: UUID, *, since: date | None, until: date | None, categories: int
    ) -> PurchaseHistory:
        """What a customer bought on the store days from `since` to `until`, both included; two statements.

        Args:
            customer_id: Who.
            since: The first day; None for all before `until`.
            until: The last day; None for all after `since`.
            categories: How many of them to tell at most.
        """
        period = {"customer_id": customer_id, "since": since, "until": until, "categories": categories}
        return PurchaseHistory(
            months=await self._all(MonthOfPurchases, _months, period),
            categories=await self._all(CategoryOfPurchases, _categories, period),
        )

    async def find_wrong_metrics(self, *, after: UUID, limit: int) -> tuple[list[MetricsDifference], UUID | None]:
        """The customers with wrong metrics among some that follow an id.

        Args:
            after: The id that the last part ended with.
            limit: How many customers to look at.

        Returns:
            What is wrong, and the id to go on from; None at the end.
        """
        last = await self._value(
            "SELECT id FROM (SELECT id FROM customers WHERE id > %s ORDER BY id LIMIT %s) AS part"
            " ORDER BY id DESC LIMIT 1",
            [after, limit],
        )
        if last is None:
            return [], None
        return await self._all(MetricsDifference, _differences, {"after": after, "last": last}), last


_in_period = SQL("""
    o.customer_id = %(customer_id)s AND o.ordered_on >= coalesce(%(since)s::date, '-infinity')
    AND o.ordered_on <= coalesce(%(until)s::date, 'infinity')
""")
_months = SQL("""
    SELECT month, count(*) FILTER (WHERE is_valid) AS orders,
        coalesce(sum(total) FILTER (WHERE is_valid), 0) AS total,
        coalesce(sum(refunded_total) FILTER (WHERE is_valid), 0) AS refunded,
        count(*) FILTER (WHERE cancelled_on IS NOT NULL) AS cancelled,
        count(*) FILTER (WHERE cancelled_on IS NULL AND NOT is_valid) AS returned,
        count(DISTINCT ordered_on) FILTER (WHERE is_valid) AS purchase_days,
        min(ordered_on) FILTER (WHERE is_valid) AS first_on, max(ordered_on) FILTER (WHERE is_valid) AS last_on
    FROM (
        SELECT date_trunc('month', ordered_on::timestamp)::date AS month, ordered_on, total, refunded_total,
            cancelled_on, {valid} AS is_valid
        FROM orders AS o WHERE {in_period}
    ) AS purchases
    GROUP BY month ORDER BY month
""").format(valid=valid_order, in_period=_in_period)
_categories = SQL("""
    SELECT p.category, count(DISTINCT o.id) AS orders, sum(l.quantity) AS quantity, sum(l.total) AS total
    FROM orders AS o
    JOIN order_lines AS l ON l.customer_id = o.customer_id AND l.order_id = o.id
    LEFT JOIN products AS p ON p.sku = l.sku
    WHERE {in_period} AND o.cancelled_on IS NULL AND (o.refunded_total < o.total OR o.total = 0)
    GROUP BY p.category
    ORDER BY sum(l.total) DESC, p.category NULLS LAST
    LIMIT %(categories)s
""").format(in_period=_in_period)
_differences = SQL("""
    SELECT c.id AS customer_id,
        coalesce(m.total_orders, 0) AS kept_orders, facts.orders, coalesce(m.net_spent, 0) AS kept_net, facts.net,
        m.first_order_at AS kept_first_at, facts.first_at, m.last_order_at AS kept_last_at, facts.last_at,
        coalesce(m.purchase_days, 0) AS kept_days, facts.days
    FROM customers AS c
    LEFT JOIN customer_metrics AS m ON m.customer_id = c.id
    CROSS JOIN LATERAL (
        SELECT count(*) AS orders, coalesce(sum(total - refunded_total), 0) AS net, min(ordered_at) AS first_at,
            max(ordered_at) AS last_at, count(DISTINCT ordered_on) AS days
        FROM orders WHERE orders.customer_id = c.id AND {valid}
    ) AS facts
    WHERE c.id > %(after)s AND c.id <= %(last)s
        AND (coalesce(m.total_orders, 0), coalesce(m.net_spent, 0), m.first_order_at, m.last_order_at,
            coalesce(m.purchase_days, 0))
            IS DISTINCT FROM (facts.orders, facts.net, facts.first_at, facts.last_at, facts.days)
    ORDER BY c.id
""").format(valid=valid_order)
