"""The log of erasures, and the customers who are due for one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.privacy.models import Erasure

_columns: Final = SQL(
    "customer_id, erased_at, reason, requested_by, proof, email_hash, phone_hash, points_closed, rows, completed_at,"
    " confirmed_at"
)


class ErasureRepository(Repository):
    """The log. A row is added once and outlives everything that it tells of."""

    async def add(self, erasure: Erasure) -> None:
        """Write down that a person is being erased; one who is written down already stays so."""
        values = {**vars(erasure), "rows": Jsonb(erasure.rows)}
        statement = SQL(
            "INSERT INTO erasure_log ({}) VALUES (%(customer_id)s, %(erased_at)s, %(reason)s, %(requested_by)s,"
            " %(proof)s, %(email_hash)s, %(phone_hash)s, %(points_closed)s, %(rows)s, %(completed_at)s,"
            " %(confirmed_at)s) ON CONFLICT (customer_id) DO NOTHING"
        ).format(_columns)
        await self._execute(statement, values)

    async def get(self, customer_id: UUID) -> Erasure | None:
        """The erasure of a customer."""
        return await self._one(
            Erasure, SQL("SELECT {} FROM erasure_log WHERE customer_id = %s").format(_columns), [customer_id]
        )

    async def close_record(self, customer_id: UUID, *, at: datetime) -> None:
        """Mark a locked customer as erased: from then on it is gone for everybody."""
        await self._execute(
            "UPDATE customers SET erased_at = %(at)s, deleted_at = coalesce(deleted_at, %(at)s), updated_at = %(at)s"
            " WHERE id = %(id)s",
            {"id": customer_id, "at": at},
        )

    async def add_points(self, customer_id: UUID, points: int) -> None:
        """Count points that were taken off after the account had been closed."""
        await self._execute(
            "UPDATE erasure_log SET points_closed = points_closed + %s WHERE customer_id = %s", [points, customer_id]
        )

    async def complete(
        self, customer_id: UUID, rows: Mapping[str, int], *, at: datetime, confirm: bool
    ) -> Erasure | None:
        """Write down that everything was removed, and how many rows; `confirm` if it was the second look."""
        return await self._one(
            Erasure,
            SQL(
                "UPDATE erasure_log AS e SET completed_at = coalesce(completed_at, %(at)s),"
                " confirmed_at = CASE WHEN %(confirm)s THEN %(at)s ELSE confirmed_at END,"
                " rows = (SELECT coalesce(jsonb_object_agg(t, n), '{{}}') FROM (SELECT t, sum(n::bigint) AS n FROM"
                "     (SELECT * FROM jsonb_each_text(e.rows) UNION ALL SELECT * FROM jsonb_each_text(%(rows)s))"
                "     AS counts (t, n) GROUP BY t HAVING sum(n::bigint) > 0) AS sums)"
                " WHERE customer_id = %(customer_id)s RETURNING {}"
            ).format(_columns),
            {"customer_id": customer_id, "rows": Jsonb(dict(rows)), "at": at, "confirm": confirm},
        )

    async def find_open(self, *, before: datetime, limit: int, but: Sequence[UUID] = ()) -> list[UUID]:
        """Customers, without some, whose erasure was broken off, or began before an instant: to be looked through."""
        found = await self._rows(
            "SELECT customer_id FROM erasure_log WHERE confirmed_at IS NULL AND erased_at < %s"
            " AND customer_id <> ALL (%s) ORDER BY erased_at LIMIT %s",
            [before, list(but), limit],
        )
        return [customer_id for (customer_id,) in found]

    async def has_erased(self, *, email_hash: bytes | None, phone_hash: bytes | None) -> bool:
        """Whether somebody with this address or number was erased, as long as their hashes are kept."""
        found: bool = await self._value(
            "SELECT EXISTS (SELECT FROM erasure_log WHERE email_hash = %s) OR"
            " EXISTS (SELECT FROM erasure_log WHERE phone_hash = %s)",
            [email_hash, phone_hash],
        )
        return found

    async def has_hashes(self) -> bool:
        """Whether there is anybody to be recognised."""
        found: bool = await self._value(
            "SELECT EXISTS (SELECT FROM erasure_log WHERE email_hash IS NOT NULL)"
            " OR EXISTS (SELECT FROM erasure_log WHERE phone_hash IS NOT NULL)"
        )
        return found

    async def get_contacts(self, customer_ids: Sequence[UUID]) -> list[tuple[str, UUID, str]]:
        """Addresses and phone numbers of customers: the kind, whose, and the value."""
        rows = await self._rows(
            """
            SELECT kind, id, value
            FROM customers, LATERAL (VALUES ('email', email), ('phone', phone)) AS contact (kind, value)
            WHERE id = ANY(%s) AND value IS NOT NULL
            """,
            [list(customer_ids)],
        )
        return [(kind, customer_id, value) for kind, customer_id, value in rows]

    async def last_erasures(self, hashes: Mapping[UUID, Sequence[bytes]]) -> dict[UUID, datetime]:
        """When people with these hashes of addresses and numbers were last erased, by whoever has them now."""
        pairs = [(customer_id, value) for customer_id, values in hashes.items() for value in values]
        rows = await self._rows(
            """
            SELECT asked.customer_id, max(log.erased_at)
            FROM unnest(%(ids)s::uuid[], %(hashes)s::bytea[]) AS asked (customer_id, hash), LATERAL (
                SELECT erased_at FROM erasure_log WHERE email_hash = asked.hash
                UNION ALL
                SELECT erased_at FROM erasure_log WHERE phone_hash = asked.hash
            ) AS log
            GROUP BY asked.customer_id
            """,
            {"ids": [customer_id for customer_id, _ in pairs], "hashes": [value for _, value in pairs]},
        )
        return dict(rows)

    async def forget_hashes(self, before: datetime, *, at_most: int) -> int:
        """Forget the hashes of address and number of people who were erased before an instant; of how many."""
        return await self._execute(
            "UPDATE erasure_log SET email_hash = NULL, phone_hash = NULL WHERE customer_id IN"
            " (SELECT customer_id FROM erasure_log WHERE num_nonnulls(email_hash, phone_hash) > 0 AND erased_at < %s"
            "  LIMIT %s)",
            [before, at_most],
        )

    async def find_deleted(self, *, before: datetime, limit: int, but: Sequence[UUID] = ()) -> list[UUID]:
        """Customers, without some, who were deleted before an instant and not erased yet."""
        found = await self._rows(
            "SELECT id FROM customers WHERE deleted_at <= %s AND erased_at IS NULL AND id <> ALL (%s)"
            " ORDER BY deleted_at LIMIT %s",
            [before, list(but), limit],
        )
        return [customer_id for (customer_id,) in found]

    async def find_inactive(
        self, *, before: datetime, limit: int, only: UUID | None = None, but: Sequence[UUID] = ()
    ) -> list[UUID]:
        """Customers of whom nothing was heard since an instant: no order, points, sign-in or mail that was opened.

        Args:
            before: The instant.
            limit: How many at most; the oldest come first.
            only: Whether this one is among them; None for all.
            but: Who is left out.
        """
        found = await self._rows(
            """
            SELECT c.id FROM customers c LEFT JOIN customer_metrics m ON m.customer_id = c.id
            WHERE c.created_at < %(before)s AND c.erased_at IS NULL AND c.deleted_at IS NULL
                AND (%(only)s::uuid IS NULL OR c.id = %(only)s) AND c.id <> ALL (%(but)s)
                AND (m.last_order_at IS NULL OR m.last_order_at < %(before)s)
                AND NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.ordered_at >= %(before)s)
                AND NOT EXISTS (
                    SELECT FROM loyalty_transactions t WHERE t.customer_id = c.id AND t.created_at >= %(before)s
                        AND t.transaction_type IN ('EARNED', 'REDEEMED', 'REDEEM_RESTORED'))
                AND NOT EXISTS (
                    SELECT FROM users u JOIN sessions s ON s.user_id = u.id
                    WHERE u.customer_id = c.id AND s.created_at >= %(before)s)
                AND NOT EXISTS (
                    SELECT FROM customer_engagement e WHERE e.customer_id = c.id AND e.last_activity_at >= %(before)s)
            ORDER BY c.created_at LIMIT %(limit)s
            """,
            {"before": before, "limit": limit, "only": only, "but": list(but)},
        )
        return [customer_id for (customer_id,) in found]

    async def entries(self) -> AsyncIterator[Erasure]:
        """The whole log, oldest first."""
        async with self._connection.cursor(name="erasure_log", row_factory=class_row(Erasure)) as cursor:
            await cursor.execute(SQL("SELECT {} FROM erasure_log ORDER BY erased_at, customer_id").format(_columns))
            async for erasure in cursor:
                yield erasure
