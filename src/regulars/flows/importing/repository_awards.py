"""Which orders of an import are to earn points."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from regulars.kit.database import Repository


@dataclass(frozen=True)
class PaidOrder:
    """An order that earns by the programme, with the amounts that decide how much: its total before cash rounding."""

    id: UUID
    customer_id: UUID
    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal


class PaidOrdersRepository(Repository):
    """Reads orders of the import's session."""

    async def get_unawarded(self, batch: int) -> list[PaidOrder]:
        """Paid orders of a batch that have earned nothing, of customers who may earn; oldest first.

        An order that was refunded, in part or whole, is left alone: its claw-back would have nothing to count from.
        """
        return await self._all(
            PaidOrder,
            """
            SELECT orders.id, orders.customer_id, orders.total - orders.cash_rounding AS total,
                orders.tax_total, orders.shipping_total
            FROM matched
            JOIN orders ON orders.customer_id = matched.customer_id AND orders.id = matched.order_id
            JOIN customers ON customers.id = matched.customer_id
            WHERE matched.batch = %s AND matched.code IS NULL AND orders.status IN ('paid', 'fulfilled')
                AND customers.is_active AND customers.deleted_at IS NULL AND customers.erased_at IS NULL
                AND NOT (customers.is_guest AND customers.email IS NULL AND customers.phone IS NULL)
                AND NOT EXISTS (
                    SELECT FROM loyalty_transactions AS award
                    WHERE award.customer_id = orders.customer_id AND award.order_id = orders.id
                        AND award.transaction_type = 'EARNED' AND award.rule = 'purchase'
                )
            ORDER BY orders.ordered_at, orders.id
            """,
            [batch],
        )
