"""Customers of tests."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from regulars.customers.identifiers import Email
from regulars.customers.models import CustomerProfile, NewCustomer, RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection

_names = count(1)


async def make_customer(
    connection: Connection,
    clock: Clock,
    *,
    external_ids: Mapping[str, str] | None = None,
    user_id: UUID | None = None,
    created_at: datetime | None = None,
    **profile: Any,
) -> RetailCustomer:
    """A customer with a name and an e-mail address of their own, unless other fields of the profile are given."""
    number = next(_names)
    known = {"first_name": "John", "last_name": f"Doe{number}", "email": Email(f"john.doe{number}@example.com")}
    instant = created_at or clock.now()
    return await RetailCustomerRepository(connection).create_customer(
        NewCustomer(
            profile=CustomerProfile(**known | profile),
            created_at=instant,
            created_on=clock.day_of(instant),
            external_ids=external_ids or {},
            user_id=user_id,
        )
    )


async def set_columns(connection: Connection, customer: RetailCustomer, **columns: Any) -> None:
    """Write columns of a customer's row as they stand, past every rule."""
    assignments = ", ".join(f"{name} = %({name})s" for name in columns)
    await connection.execute(f"UPDATE customers SET {assignments} WHERE id = %(id)s", {"id": customer.id, **columns})


async def make_metrics(
    connection: Connection,
    customer: RetailCustomer,
    *,
    orders: int = 1,
    spent: str = "10",
    first: datetime | None = None,
    last: datetime | None = None,
) -> None:
    """Purchase metrics of a customer who bought."""
    last = last or customer.created_at
    await connection.execute(
        """
        INSERT INTO customer_metrics (customer_id, total_orders, net_spent, first_order_at, last_order_at, changed_at)
        VALUES (%s, %s, %s, %s, %s, %s)
        """,
        [customer.id, orders, Decimal(spent), first or last, last, last],
    )


async def make_scores(
    connection: Connection,
    customer: RetailCustomer,
    *,
    scores: tuple[int, int, int] | None = (3, 3, 3),
    segment: str = "need_attention",
    clv: str | None = "100",
    p_buy: float | None = None,
    scored_at: datetime | None = None,
) -> None:
    """Scores of a customer."""
    recency, frequency, monetary = scores or (None, None, None)
    await connection.execute(
        """
        INSERT INTO customer_scores (customer_id, recency_score, frequency_score, monetary_score, segment,
            rfm_scored_at, clv, clv_scored_at, p_buy)
        VALUES (%(id)s, %(r)s, %(f)s, %(m)s, %(segment)s, %(at)s, %(clv)s, %(at)s, %(p_buy)s)
        """,
        {
            "id": customer.id,
            "r": recency,
            "f": frequency,
            "m": monetary,
            "segment": segment,
            "at": scored_at or customer.created_at,
            "clv": clv,
            "p_buy": p_buy,
        },
    )


async def make_unmeasured_order(
    connection: Connection, customer: RetailCustomer, day: date, *, cancelled: bool = False, total: str = "10"
) -> None:
    """A valid or a cancelled order of a customer on a store day, which the metrics know nothing of."""
    await connection.execute(
        """
        INSERT INTO orders (customer_id, source, external_id, status, currency, ordered_at, ordered_on, total,
            cancelled_on, content_hash, created_at, updated_at)
        VALUES (%(id)s, 'till', %(external_id)s, %(status)s, 'EUR', %(day)s, %(day)s, %(total)s, %(cancelled)s, '',
            now(), now())
        """,
        {
            "id": customer.id,
            "external_id": f"A{next(_names)}",
            "status": "cancelled" if cancelled else "paid",
            "day": day,
            "total": Decimal(total),
            "cancelled": day if cancelled else None,
        },
    )
