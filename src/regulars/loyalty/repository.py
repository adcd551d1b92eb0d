"""The ledger's own tables: transactions, lots, allocations. Rows are added, never changed; only a lot's rest moves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from regulars.formulas.points import OpenLot
from regulars.kit.errors import NotFound
from regulars.loyalty.models import Deadline, LotUse, LoyaltyTransaction, LoyaltyTransactionType
from regulars.loyalty.repository_posting import PostingRepository

_transactions = SQL("""
    SELECT t.id, t.customer_id, t.seq, t.transaction_type, t.points, t.balance_before, t.balance_after,
        t.qualifies, t.rule, t.reason_code, t.order_id, t.refund_id, t.reverses_transaction_id,
        t.programme_version, t.expires_at, t.created_by, t.created_at, n.description, n.metadata
    FROM loyalty_transactions AS t LEFT JOIN loyalty_notes AS n USING (customer_id, seq)
""")


class LoyaltyTransactionRepository(PostingRepository):
    """Reads and writes the ledger. Every write expects the customers' accounts to be locked by this transaction."""

    async def go_by_keys(self) -> None:
        """Let the rest of the transaction read by keys only, whatever the statistics say of tables that grow fast.

        A plan made while the tables were empty would read all of them, again for each batch.
        """
        await self._execute("""
            SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
                set_config('enable_mergejoin', 'off', true)
        """)

    async def add_notes(
        self, notes: Sequence[tuple[LoyaltyTransaction, str | None, Mapping[str, object] | None]]
    ) -> None:
        """Keep free text beside transactions, where it can be erased."""
        await self._execute(
            """
            INSERT INTO loyalty_notes (customer_id, seq, description, metadata)
            SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::jsonb[])
            """,
            [
                [transaction.customer_id for transaction, _, _ in notes],
                [transaction.seq for transaction, _, _ in notes],
                [description for _, description, _ in notes],
                [None if metadata is None else Jsonb(metadata) for _, _, metadata in notes],
            ],
        )

    async def get_transaction(self, transaction_id: UUID) -> LoyaltyTransaction:
        """One ledger row.

        Raises:
            NotFound: there is none with this id.
        """
        found = await self._one(
            LoyaltyTransaction,
            _transactions + SQL("WHERE t.id = %s"),
            [transaction_id],
        )
        if found is None:
            raise NotFound
        return found

    async def get_customer_transactions(
        self,
        customer_id: UUID,
        *,
        transaction_type: LoyaltyTransactionType | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before_seq: int | None = None,
        limit: int | None = 50,
    ) -> list[LoyaltyTransaction]:
        """A customer's ledger, newest first; `since` <= created_at < `until`; `before_seq` continues a page.

        Without a `limit`, all of it.
        """
        return await self._all(
            LoyaltyTransaction,
            _transactions
            + SQL("""
                WHERE t.customer_id = %(customer_id)s
                    AND (%(type)s::text IS NULL OR t.transaction_type = %(type)s)
                    AND (%(since)s::timestamptz IS NULL OR t.created_at >= %(since)s)
                    AND (%(until)s::timestamptz IS NULL OR t.created_at < %(until)s)
                    AND (%(before)s::bigint IS NULL OR t.seq < %(before)s)
                ORDER BY t.seq DESC LIMIT %(limit)s::bigint
            """),
            {
                "customer_id": customer_id,
                "type": transaction_type,
                "since": since,
                "until": until,
                "before": before_seq,
                "limit": limit,
            },
        )

    async def get_open_lots(self, customer_id: UUID) -> list[OpenLot]:
        """Lots that still hold points, due ones too, in the order of use."""
        return (await self.get_open_lots_of([customer_id])).get(customer_id, [])

    async def get_open_lots_of(self, customer_ids: Sequence[UUID]) -> dict[UUID, list[OpenLot]]:
        """All lots of these customers that still hold points, in the order of use."""
        lots: dict[UUID, list[OpenLot]] = {}
        for customer_id, *lot in await self._rows(
            """
            SELECT customer_id, id, remaining, earned_at, expires_at FROM point_lots
            WHERE customer_id = ANY ((SELECT %s::uuid[])::uuid[]) AND remaining > 0
            ORDER BY customer_id, expires_at, earned_at, id
            """,
            [list(customer_ids)],
        ):
            lots.setdefault(customer_id, []).append(OpenLot(*lot))
        return lots

    async def get_points_expiring_soon(self, customer_id: UUID, *, now: datetime, until: datetime) -> list[Deadline]:
        """A customer's points by deadline, for deadlines after `now` and up to `until`, earliest first."""
        return await self._all(
            Deadline,
            """
            SELECT expires_at, sum(remaining)::bigint AS points FROM point_lots
            WHERE customer_id = %s AND remaining > 0 AND expires_at > %s AND expires_at <= %s
            GROUP BY expires_at ORDER BY expires_at
            """,
            [customer_id, now, until],
        )

    async def get_expired_points(self, customer_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, list[OpenLot]]:
        """Lots whose points have expired by the clock and are not written off yet, by customer."""
        due: dict[UUID, list[OpenLot]] = {}
        for customer_id, *lot in await self._rows(
            """
            SELECT customer_id, id, remaining, earned_at, expires_at FROM point_lots
            WHERE customer_id = ANY (%s) AND remaining > 0 AND expires_at <= %s
            ORDER BY customer_id, expires_at, earned_at, id
            """,
            [list(customer_ids), now],
        ):
            due.setdefault(customer_id, []).append(OpenLot(*lot))
        return due

    async def get_customers_with_expired_points(self, *, now: datetime, limit: int) -> list[UUID]:
        """Some customers whose points have expired by the clock and are not written off yet.

        Without those under review: the guards may refuse what is written to them, and with it all of a batch.
        """
        rows = await self._rows(
            """
            SELECT DISTINCT customer_id FROM (
                SELECT customer_id FROM point_lots AS l
                WHERE remaining > 0 AND expires_at IS NOT NULL AND expires_at <= %s
                    AND NOT EXISTS (SELECT FROM loyalty_reviews AS r WHERE r.customer_id = l.customer_id)
                ORDER BY expires_at LIMIT %s
            ) AS due ORDER BY customer_id
            """,
            [now, limit],
        )
        return [customer_id for (customer_id,) in rows]

    async def get_oldest_expired(self, *, now: datetime) -> datetime | None:
        """When the first of the points expired that are not written off yet."""
        oldest: datetime | None = await self._value(
            "SELECT min(expires_at) FROM point_lots"
            " WHERE remaining > 0 AND expires_at IS NOT NULL AND expires_at <= %s",
            [now],
        )
        return oldest

    async def count_expired_lots(self, *, now: datetime, at_most: int) -> int:
        """Lots whose points have expired by the clock and are not written off yet, counted up to a bound."""
        found: int = await self._value(
            "SELECT count(*) FROM (SELECT FROM point_lots"
            " WHERE remaining > 0 AND expires_at IS NOT NULL AND expires_at <= %s LIMIT %s) AS due",
            [now, at_most],
        )
        return found

    async def get_total_points_by_type(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> dict[LoyaltyTransactionType, int]:
        """Sum of signed points by kind of transaction, over `since` <= created_at < `until`."""
        rows = await self._rows(
            """
            SELECT transaction_type, sum(points)::bigint FROM loyalty_transactions
            WHERE (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
                AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
            GROUP BY transaction_type
            """,
            {"since": since, "until": until},
        )
        return dict.fromkeys(LoyaltyTransactionType, 0) | {LoyaltyTransactionType(kind): n for kind, n in rows}

    async def find_claims(self, order_id: UUID, rule: str) -> list[tuple[UUID, UUID | None]]:
        """Whom an order belongs to, of those stored here, and who was credited for it: customer, and transaction."""
        return await self._rows(
            """
            SELECT customer_id, NULL FROM orders WHERE id = %(order_id)s
            UNION ALL
            SELECT customer_id, id FROM loyalty_transactions
            WHERE order_id = %(order_id)s AND rule = %(rule)s AND transaction_type = 'EARNED'
            """,
            {"order_id": order_id, "rule": rule},
        )

    async def find_awards(self, order_ids: Sequence[UUID]) -> dict[tuple[UUID, str], tuple[UUID, UUID]]:
        """Who was credited for orders: (order, rule) to (customer, transaction)."""
        rows = await self._rows(
            """
            SELECT order_id, rule, customer_id, id FROM loyalty_transactions
            WHERE order_id = ANY ((SELECT %s::uuid[])::uuid[]) AND transaction_type = 'EARNED'
            """,
            [list(order_ids)],
        )
        return {(order_id, rule): (customer_id, id_) for order_id, rule, customer_id, id_ in rows}

    async def find_buyers(self, order_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Whose orders these are, of those that are stored here."""
        rows = await self._rows(
            "SELECT id, customer_id FROM orders WHERE id = ANY ((SELECT %s::uuid[])::uuid[])", [list(order_ids)]
        )
        return dict(rows)

    async def has_welcome_bonus(self, customer_id: UUID) -> bool:
        """Whether the customer was given the welcome bonus."""
        found: bool = await self._value(
            """
            SELECT EXISTS (SELECT FROM loyalty_transactions
                           WHERE customer_id = %s AND transaction_type = 'EARNED' AND rule = 'welcome')
            """,
            [customer_id],
        )
        return found

    async def has_history(self, customer_id: UUID) -> bool:
        """Whether anything but a welcome bonus and its expiry was written for the customer, or a tier set by hand."""
        found: bool = await self._value(
            """
            SELECT EXISTS (SELECT FROM loyalty_transactions
                           WHERE customer_id = %(id)s AND transaction_type <> 'EXPIRED'
                               AND NOT (transaction_type = 'EARNED' AND coalesce(rule, '') = 'welcome'))
                OR EXISTS (SELECT FROM loyalty_tier_changes WHERE customer_id = %(id)s AND is_manual)
            """,
            {"id": customer_id},
        )
        return found

    async def get_lot_uses(self, transaction: LoyaltyTransaction) -> list[LotUse]:
        """What a redemption took from each lot, in the order of use."""
        return await self._all(
            LotUse,
            """
            SELECT l.id AS lot_id, l.origin_id, l.expires_at, -a.points AS points
            FROM point_allocations AS a JOIN point_lots AS l ON l.customer_id = a.customer_id AND l.id = a.lot_id
            WHERE a.customer_id = %s AND a.seq = %s
            ORDER BY l.expires_at, l.earned_at, l.id
            """,
            [transaction.customer_id, transaction.seq],
        )

    async def get_restored_points(self, transaction: LoyaltyTransaction) -> int:
        """How many points of a redemption were given back so far."""
        restored: int = await self._value(
            """
            SELECT coalesce(sum(points), 0)::bigint FROM loyalty_transactions
            WHERE customer_id = %s AND reverses_transaction_id = %s AND transaction_type = 'REDEEM_RESTORED'
            """,
            [transaction.customer_id, transaction.id],
        )
        return restored
