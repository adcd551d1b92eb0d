"""The accounts: one row for each customer, the lock that orders all writes, and the projections of the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL

from regulars.formulas.tiers import TierThresholds
from regulars.kit.database import Connection, Repository
from regulars.kit.logs import current_trace_id
from regulars.loyalty.events import TierChanged
from regulars.loyalty.models import AccountChange, Deadline, LoyaltyAccount, Programme, TierChange


class LoyaltyAccountRepository(Repository):
    """Reads, locks and moves accounts.

    Args:
        connection: That of the transaction.
        tells: Whether changes of tiers leave events; those of history do not.
    """

    def __init__(self, connection: Connection, *, tells: bool = True) -> None:
        super().__init__(connection)
        self._tells = tells

    async def open_accounts(self, customer_ids: Sequence[UUID], *, now: datetime) -> None:
        """Make the accounts that customers lack; ids of nobody are passed over."""
        await self._execute(
            """
            INSERT INTO loyalty_accounts (customer_id, created_at, updated_at)
            SELECT id, %(now)s, %(now)s FROM customers WHERE id = ANY (%(ids)s) AND erased_at IS NULL ORDER BY id
            ON CONFLICT (customer_id) DO NOTHING
            """,
            {"ids": list(customer_ids), "now": now},
        )

    async def lock_accounts(self, customer_ids: Sequence[UUID], *, skip_locked: bool = False) -> list[LoyaltyAccount]:
        """Lock accounts in the order of their ids, and read them as they are then.

        This lock orders everything that happens to a customer's points. Lots must be read by a later statement: in
        this one they could be older than the account.

        Args:
            customer_ids: Any order; those without an account are missing in the answer.
            skip_locked: Leave out accounts that another transaction holds.
        """
        query = SQL(
            """
            SELECT a.customer_id, a.balance, a.lifetime_points, a.last_seq, a.tier, a.tier_is_manual, a.tier_until,
                c.is_active, c.erased_at IS NOT NULL OR c.deleted_at IS NOT NULL AS is_gone, c.erased_at,
                EXISTS (SELECT FROM loyalty_reviews AS r WHERE r.customer_id = a.customer_id) AS is_under_review
            FROM loyalty_accounts AS a JOIN customers AS c ON c.id = a.customer_id
            WHERE a.customer_id = ANY ((SELECT %s::uuid[])::uuid[]) ORDER BY a.customer_id FOR NO KEY UPDATE OF a {}
            """
        ).format(SQL("SKIP LOCKED") if skip_locked else SQL(""))
        return await self._all(LoyaltyAccount, query, [list(customer_ids)])

    async def lock_account_with_programme(self, customer_id: UUID) -> tuple[LoyaltyAccount, Programme] | None:
        """Lock one account as `lock_accounts` does, and read the newest rules of the programme; None without one."""
        rows = await self._rows(
            """
            SELECT a.customer_id, a.balance, a.lifetime_points, a.last_seq, a.tier, a.tier_is_manual, a.tier_until,
                c.is_active, c.erased_at IS NOT NULL OR c.deleted_at IS NOT NULL, c.erased_at, p.*
            FROM loyalty_accounts AS a JOIN customers AS c ON c.id = a.customer_id,
                (SELECT * FROM loyalty_programmes ORDER BY version DESC LIMIT 1) AS p
            WHERE a.customer_id = %s FOR NO KEY UPDATE OF a
            """,
            [customer_id],
        )
        return (LoyaltyAccount(*rows[0][:10]), Programme(*rows[0][10:])) if rows else None

    async def update_loyalty_tier(self, change: AccountChange, *, now: datetime) -> None:
        """Set a tier and move lifetime points, without a transaction."""
        await self.bulk_update_tier([change], now=now)

    async def bulk_update_tier(self, changes: Sequence[AccountChange], *, now: datetime) -> None:
        """Set the tiers of many customers, and move their lifetime points, without a transaction."""
        await self._execute(
            """
            UPDATE loyalty_accounts AS a
            SET lifetime_points = a.lifetime_points + c.lifetime_points, updated_at = %(now)s,
                tier = c.tier, tier_is_manual = c.tier_is_manual, tier_until = c.tier_until
            FROM unnest((SELECT %(customer_id)s::uuid[]), (SELECT %(lifetime_points)s::bigint[]),
                        (SELECT %(tier)s::text[]), (SELECT %(tier_is_manual)s::bool[]),
                        (SELECT %(tier_until)s::timestamptz[]))
                    AS c (customer_id, lifetime_points, tier, tier_is_manual, tier_until)
            WHERE a.customer_id = c.customer_id
            """,
            {**_arrays(changes), "now": now},
        )

    async def get_accounts_to_review(self, *, now: datetime, thresholds: TierThresholds, limit: int) -> list[UUID]:
        """Some customers whose tier is not the one their lifetime points earn, and was not set by hand or has ended."""
        rows = await self._rows(
            """
            SELECT customer_id FROM loyalty_accounts
            WHERE (NOT tier_is_manual OR tier_until <= %(now)s)
                AND (tier_is_manual OR tier <> CASE
                    WHEN lifetime_points >= %(platinum)s THEN 'platinum' WHEN lifetime_points >= %(gold)s THEN 'gold'
                    WHEN lifetime_points >= %(silver)s THEN 'silver' ELSE 'bronze' END)
            ORDER BY customer_id LIMIT %(limit)s
            """,
            {"now": now, "limit": limit, **vars(thresholds)},
        )
        return [customer_id for (customer_id,) in rows]

    async def record_tier_changes(self, changes: Sequence[TierChange]) -> None:
        """Append to the history of tiers, and tell of each change."""
        await self._execute(
            """
            WITH asked AS (
                SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bool[], %s::timestamptz[], %s::text[],
                                     %s::uuid[], %s::timestamptz[], %s::text[])
                    AS asked (customer_id, tier_before, tier, is_manual, tier_until, reason, created_by, created_at,
                              trace_id)
            ), changed AS (
                INSERT INTO loyalty_tier_changes
                    (customer_id, tier_before, tier, is_manual, tier_until, reason, created_by, created_at)
                SELECT customer_id, tier_before, tier, is_manual, tier_until, reason, created_by, created_at FROM asked
            )
            INSERT INTO events (occurred_at, kind, customer_id, facts, trace_id)
            SELECT created_at, %s, customer_id,
                jsonb_build_object('tier_before', tier_before, 'tier', tier, 'is_manual', is_manual), trace_id
            FROM asked WHERE %s
            """,
            [
                [change.customer_id for change in changes],
                [change.tier_before.value for change in changes],
                [change.tier.value for change in changes],
                [change.is_manual for change in changes],
                [change.tier_until for change in changes],
                [change.reason for change in changes],
                [change.created_by for change in changes],
                [change.created_at for change in changes],
                [change.trace_id or current_trace_id.get() for change in changes],
                TierChanged.kind,
                self._tells,
            ],
        )

    async def find_erased(self, customer_ids: Sequence[UUID]) -> dict[UUID | None, datetime]:
        """When those of these customers were erased that were."""
        return dict(
            await self._rows(
                "SELECT id, erased_at FROM customers WHERE id = ANY (%s) AND erased_at IS NOT NULL",
                [list(customer_ids)],
            )
        )

    async def belongs_to(self, customer_id: UUID, user_id: UUID | None) -> bool:
        """Whether this login is the customer's own."""
        found: bool = await self._value(
            "SELECT EXISTS (SELECT FROM customers WHERE id = %s AND user_id = %s)", [customer_id, user_id]
        )
        return found

    async def get_account(self, customer_id: UUID) -> tuple[LoyaltyAccount, list[Deadline]] | None:
        """A customer's account and lots by deadline (due ones too), of one moment and without a lock.

        Empty for one who never had points, None if there is no such customer. Points that never expire come last.
        """
        rows = await self._rows(
            """
            SELECT c.id, coalesce(a.balance, 0), coalesce(a.lifetime_points, 0), coalesce(a.last_seq, 0),
                coalesce(a.tier, 'bronze'), coalesce(a.tier_is_manual, false), a.tier_until,
                c.is_active, c.erased_at IS NOT NULL OR c.deleted_at IS NOT NULL, c.erased_at,
                l.expires_at, coalesce(sum(l.remaining), 0)::bigint
            FROM customers AS c
            LEFT JOIN loyalty_accounts AS a ON a.customer_id = c.id
            LEFT JOIN point_lots AS l ON l.customer_id = c.id AND l.remaining > 0
            WHERE c.id = %s GROUP BY c.id, a.customer_id, l.expires_at ORDER BY l.expires_at
            """,
            [customer_id],
        )
        if not rows:
            return None
        return LoyaltyAccount(*rows[0][:10]), [Deadline(*row[10:]) for row in rows if row[11]]


def _arrays(changes: Sequence[AccountChange]) -> dict[str, list[Any]]:
    return {
        "customer_id": [change.customer_id for change in changes],
        "lifetime_points": [change.lifetime_points for change in changes],
        "tier": [change.tier.value for change in changes],
        "tier_is_manual": [change.tier_is_manual for change in changes],
        "tier_until": [change.tier_until for change in changes],
    }
