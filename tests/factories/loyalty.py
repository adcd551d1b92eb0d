"""Customers who collect points."""

from uuid import UUID, uuid4

from regulars.kit.clock import Clock
from regulars.kit.database import Connection

member_columns = "id, customer_number, is_active, created_at, updated_at"


async def make_member(
    connection: Connection, clock: Clock, *, is_active: bool = True, erased: bool = False, deleted: bool = False
) -> UUID:
    """A customer without points."""
    (customer_id,) = await make_members(connection, clock, 1)
    await connection.execute(
        "UPDATE customers SET is_active = %s, erased_at = %s, deleted_at = %s WHERE id = %s",
        [is_active, clock.now() if erased else None, clock.now() if deleted else None, customer_id],
    )
    return customer_id


async def make_members(connection: Connection, clock: Clock, count: int) -> list[UUID]:
    """Many customers without points."""
    ids = sorted(uuid4() for _ in range(count))
    await connection.execute(
        """
        INSERT INTO customers (id, customer_number, created_at, updated_at)
        SELECT id, 'CUST-20260615-' || lpad((9999 + n)::text, 5, '0'), %(now)s, %(now)s
        FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS t (id, n)
        """,
        {"ids": ids, "now": clock.now()},
    )
    return ids
