"""Orders that changed after they were awarded, and whose points may not have followed yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from regulars.formulas.earning import OrderAmounts, Returned
from regulars.kit.database import Repository
from regulars.kit.money import minor_units
from regulars.orders.models import Order, OrderStatus


@dataclass(frozen=True)
class ChangedOrder:
    """An order as it is now, with what refunds paid back for it by what that was for."""

    customer_id: UUID
    order_id: UUID
    status: OrderStatus
    currency: str
    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal
    discount_total: Decimal
    lines_total: Decimal | None
    cash_rounding: Decimal
    refunded_for_goods: Decimal
    refunded_for_shipping: Decimal
    refunded: Decimal

    @property
    def amounts(self) -> OrderAmounts:
        """What it comes to."""
        return OrderAmounts(
            self.total,
            self.tax_total,
            self.shipping_total,
            self.discount_total,
            self.lines_total,
            self.cash_rounding,
            minor_units(self.currency),
        )

    @property
    def returned(self) -> Returned | None:
        """What was paid back; None if the order is void."""
        if self.status in ("cancelled", "refunded"):
            return None
        other = self.refunded - self.refunded_for_goods - self.refunded_for_shipping
        return Returned(self.refunded_for_goods, self.refunded_for_shipping, other)


class ChangedOrderRepository(Repository):
    """Keeps the amounts for which orders were awarded, from their first change on."""

    async def note(self, before: Order, *, lines_total: Decimal | None, now: datetime) -> None:
        """Keep what an order came to before it changes, if it was awarded and has not been changed before."""
        await self._execute(
            """
            INSERT INTO award_bases
            SELECT %(customer_id)s, %(id)s, %(total)s, %(discount_total)s, %(tax_total)s, %(shipping_total)s,
                %(cash_rounding)s, %(lines_total)s, false, %(now)s
            WHERE EXISTS (
                SELECT FROM loyalty_transactions
                WHERE customer_id = %(customer_id)s AND order_id = %(id)s AND transaction_type = 'EARNED'
            )
            ON CONFLICT (customer_id, order_id) DO UPDATE SET is_followed = false, changed_at = excluded.changed_at
            """,
            vars(before) | {"lines_total": lines_total, "metadata": None, "now": now},
        )

    async def find(self, *, limit: int) -> list[tuple[UUID, UUID]]:
        """Some orders whose points have not followed: customer and order, those of one customer together.

        Without those of customers under review: the guards may refuse what is written to them, and with it all of a
        batch; nor those of people who were erased, whose points are gone.
        """
        return await self._rows(
            """
            SELECT b.customer_id, b.order_id FROM award_bases AS b JOIN customers AS c ON c.id = b.customer_id
            WHERE NOT b.is_followed AND c.erased_at IS NULL
                AND NOT EXISTS (SELECT FROM loyalty_reviews AS r WHERE r.customer_id = b.customer_id)
            ORDER BY b.customer_id, b.order_id LIMIT %s
            """,
            [limit],
        )

    async def take(self, orders: Sequence[tuple[UUID, UUID]]) -> list[ChangedOrder]:
        """Read those of these orders that are still to be followed, and take them as followed.

        Whoever changes one of them meanwhile waits, and has it followed again.
        """
        columns = [[customer_id for customer_id, _ in orders], [order_id for _, order_id in orders]]
        taken = await self._rows(
            """
            UPDATE award_bases AS b SET is_followed = true
            FROM unnest((SELECT %s::uuid[]), (SELECT %s::uuid[])) AS asked (customer_id, order_id)
            WHERE b.customer_id = asked.customer_id AND b.order_id = asked.order_id AND NOT b.is_followed
            RETURNING b.customer_id, b.order_id
            """,
            columns,
        )
        # A statement that had to wait would see the orders as they were before.
        return await self._all(
            ChangedOrder,
            """
            SELECT o.customer_id, o.id AS order_id, o.status, o.currency, o.total, o.tax_total, o.shipping_total,
                o.discount_total, o.cash_rounding,
                (SELECT sum(l.total) FROM order_lines AS l WHERE l.customer_id = o.customer_id AND l.order_id = o.id)
                    AS lines_total,
                r.goods AS refunded_for_goods, r.shipping AS refunded_for_shipping, r.amount AS refunded
            FROM unnest((SELECT %s::uuid[]), (SELECT %s::uuid[])) AS taken (customer_id, order_id)
            JOIN orders AS o ON o.customer_id = taken.customer_id AND o.id = taken.order_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(r.amount), 0) AS amount, coalesce(sum(r.shipping_amount), 0) AS shipping,
                    coalesce(sum((SELECT sum(l.amount) FROM refund_lines AS l
                                  WHERE l.customer_id = r.customer_id AND l.refund_id = r.id)), 0) AS goods
                FROM refunds AS r WHERE r.customer_id = o.customer_id AND r.order_id = o.id
            ) AS r
            ORDER BY o.customer_id, o.id
            """,
            [[customer_id for customer_id, _ in taken], [order_id for _, order_id in taken]],
        )
