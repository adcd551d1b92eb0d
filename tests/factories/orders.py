"""Orders of tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection

_names = count(1)


@dataclass(frozen=True)
class Refund:
    """Money paid back so many days ago."""

    amount: str
    days_ago: int = 0


async def make_order(
    connection: Connection,
    clock: Clock,
    customer_id: UUID,
    total: str = "10",
    *,
    days_ago: int = 0,
    ordered_at: datetime | None = None,
    refunds: Sequence[Refund] = (),
    cancelled_days_ago: int | None = None,
    source: str = "till",
) -> UUID:
    """An order with its identifier, refunds and what follows for the customer's metrics; answers its id."""
    instant = ordered_at or clock.now() - timedelta(days=days_ago)
    refunded = sum((Decimal(refund.amount) for refund in refunds), Decimal(0))
    order = {
        "customer_id": customer_id,
        "source": source,
        "external_id": f"O{next(_names)}",
        "status": _status(Decimal(total), refunded, cancelled=cancelled_days_ago is not None),
        "ordered_at": instant,
        "ordered_on": clock.day_of(instant),
        "total": Decimal(total),
        "refunded_total": refunded,
        "cancelled_on": None if cancelled_days_ago is None else _day(clock, cancelled_days_ago),
        "now": clock.now(),
    }
    cursor = await connection.execute(
        """
        INSERT INTO orders (customer_id, source, external_id, status, currency, ordered_at, ordered_on, total,
            refunded_total, cancelled_on, content_hash, created_at, updated_at)
        VALUES (%(customer_id)s, %(source)s, %(external_id)s, %(status)s, 'EUR', %(ordered_at)s, %(ordered_on)s,
            %(total)s, %(refunded_total)s, %(cancelled_on)s, '', %(now)s, %(now)s)
        RETURNING id
        """,
        order,
    )
    [order_id] = await cursor.fetchone() or [None]
    await connection.execute(
        "INSERT INTO order_identifiers (source, external_id, customer_id, order_id) VALUES (%s, %s, %s, %s)",
        [source, order["external_id"], customer_id, order_id],
    )
    for number, refund in enumerate(refunds):
        await _refund(connection, clock, customer_id, order_id, number, refund)
    await _recompute_metrics(connection, clock, customer_id)
    return order_id


async def _refund(
    connection: Connection, clock: Clock, customer_id: UUID, order_id: UUID, number: int, refund: Refund
) -> None:
    await connection.execute(
        """
        INSERT INTO refunds (customer_id, order_id, refund_id, amount, refunded_at, refunded_on, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        """,
        [
            customer_id,
            order_id,
            f"R{number}",
            Decimal(refund.amount),
            clock.now() - timedelta(days=refund.days_ago),
            _day(clock, refund.days_ago),
            clock.now(),
        ],
    )


async def _recompute_metrics(connection: Connection, clock: Clock, customer_id: UUID) -> None:
    await connection.execute("DELETE FROM customer_metrics WHERE customer_id = %s", [customer_id])
    await connection.execute(
        """
        INSERT INTO customer_metrics (customer_id, total_orders, net_spent, first_order_at, last_order_at,
            purchase_days, changed_at)
        SELECT %(id)s, count(*), coalesce(sum(total - refunded_total), 0), min(ordered_at), max(ordered_at),
            count(DISTINCT ordered_on), %(now)s
        FROM orders
        WHERE customer_id = %(id)s AND cancelled_on IS NULL AND (refunded_total < total OR total = 0)
        """,
        {"id": customer_id, "now": clock.now()},
    )


def _status(total: Decimal, refunded: Decimal, *, cancelled: bool) -> str:
    if cancelled:
        return "cancelled"
    if refunded == 0:
        return "paid"
    return "refunded" if refunded == total else "partially_refunded"


def _day(clock: Clock, days_ago: int) -> date:
    return clock.today() - timedelta(days=days_ago)
