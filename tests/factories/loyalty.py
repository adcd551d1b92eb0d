"""Customers who collect points."""

from datetime import datetime
from uuid import UUID, uuid4

from regulars.kit.clock import Clock
from regulars.kit.database import Connection


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


async def break_accounts(connection: Connection) -> None:
    """Balances that no transaction explains, as only the owner of the tables could write them, past all guards."""
    for statement in (
        "SET LOCAL ROLE NONE",
        "ALTER TABLE loyalty_accounts DISABLE TRIGGER USER",
        "INSERT INTO loyalty_accounts (customer_id, balance, lifetime_points, tier, created_at, updated_at)"
        " SELECT id, 7, 0, 'bronze', created_at, created_at FROM customers",
        "RESET ROLE",
    ):
        await connection.execute(statement)  # type: ignore[arg-type]


async def make_account(
    connection: Connection,
    customer_id: UUID,
    *,
    balance: int = 0,
    lifetime: int = 0,
    tier: str = "bronze",
    tier_until: datetime | None = None,
    expires_at: datetime | None = None,
) -> None:
    """An account as it stands, past every rule of the ledger: only for tests that read accounts and roll back."""
    await connection.execute(
        """
        INSERT INTO loyalty_accounts
            (customer_id, balance, lifetime_points, tier, tier_is_manual, tier_until, created_at, updated_at)
        VALUES (%(id)s, %(balance)s, %(lifetime)s, %(tier)s, %(until)s::timestamptz IS NOT NULL, %(until)s,
            '2026-03-09T23:30:00Z', '2026-03-09T23:30:00Z')
        """,
        {"id": customer_id, "balance": balance, "lifetime": lifetime, "tier": tier, "until": tier_until},
    )
    if balance > 0:
        await connection.execute(
            """
            INSERT INTO point_lots (customer_id, id, seq, origin_id, earned, remaining, earned_at, expires_at)
            VALUES (%(id)s, %(lot)s, 1, %(lot)s, %(points)s, %(points)s, '2026-03-09T23:30:00Z', %(expires_at)s)
            """,
            {"id": customer_id, "lot": uuid4(), "points": balance, "expires_at": expires_at},
        )
