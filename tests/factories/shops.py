"""A shop with many customers, who buy as the models suppose."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import numpy as np

from regulars.kit.clock import Clock
from regulars.kit.database import Connection


@dataclass(frozen=True)
class Habits:
    """How customers buy: purchase rates per week, chances to stop, worth of an order."""

    r: float = 0.9
    alpha: float = 6.0
    a: float = 0.8
    b: float = 3.0
    p: float = 5.0
    q: float = 4.0
    gamma: float = 30.0


@dataclass(frozen=True)
class Sale:
    """One order."""

    customer: int
    day: int
    total: float


async def make_many_customers(
    connection: Connection, clock: Clock, count: int = 600, *, days: int = 500, habits: Habits | None = None
) -> list[UUID]:
    """Customers whose first order was up to so many days ago, in the order of their ids."""
    sales = _sales(count, days, habits or Habits())
    await connection.execute(
        """
        INSERT INTO customers (id, customer_number, created_at, updated_at)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'CUST-20240101-' || lpad(n::text, 6, '0'), %(now)s, %(now)s
        FROM generate_series(1, %(count)s) n
        """,
        {"count": count, "now": clock.now()},
    )
    today = clock.today()
    async with connection.cursor() as cursor, cursor.copy(copy_orders) as copy:
        for number, sale in enumerate(sales):
            await copy.write_row(_order(number, sale, today - timedelta(days=sale.day), clock))
    await connection.execute(
        """
        INSERT INTO customer_metrics (customer_id, total_orders, net_spent, first_order_at, last_order_at,
            purchase_days, changed_at)
        SELECT customer_id, count(*), sum(total), min(ordered_at), max(ordered_at), count(DISTINCT ordered_on), %s
        FROM orders GROUP BY customer_id
        """,
        [clock.now()],
    )
    return [UUID(int=number) for number in range(1, count + 1)]


copy_orders = """
    COPY orders (customer_id, id, source, external_id, status, currency, ordered_at, ordered_on, total,
        refunded_total, content_hash, created_at, updated_at) FROM STDIN
"""


def _order(number: int, sale: Sale, day: date, clock: Clock) -> tuple[object, ...]:
    name, total = f"S{number}", f"{sale.total:.2f}"
    sold = ("till", name, "paid", "EUR", day, day, total, 0, "", clock.now(), clock.now())
    return UUID(int=sale.customer), UUID(int=1_000_000 + number), *sold


def _sales(count: int, days: int, habits: Habits) -> list[Sale]:
    chance = np.random.default_rng(count)
    found = []
    for customer in range(1, count + 1):
        rate, stop = chance.gamma(habits.r, 1 / habits.alpha) / 7, chance.beta(habits.a, habits.b)
        worth = chance.gamma(habits.q, 1 / habits.gamma)
        left = float(chance.integers(20, days))
        while left >= 0:
            found.append(Sale(customer, int(left), max(0.01, chance.gamma(habits.p) / worth)))
            if chance.random() < stop:
                break
            left -= chance.exponential(1 / rate)
    return found
