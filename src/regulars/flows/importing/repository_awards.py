"""Which orders of an import are to earn points."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from regulars.formulas.earning import OrderAmounts
from regulars.kit.database import Repository
from regulars.kit.money import minor_units


@dataclass(frozen=True)
class PaidOrder:
    """An order that earns by the programme, with the amounts that decide how much: its total before cash rounding."""

    id: UUID
    customer_id: UUID
    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal
    discount_total: Decimal
    lines_total: Decimal | None
    cash_rounding: Decimal
    currency: str

    @property
    def amounts(self) -> OrderAmounts:
        """What it came to."""
        return OrderAmounts(
            self.total,
            self.tax_total,
            self.shipping_total,
            self.discount_total,
            self.lines_total,
            self.cash_rounding,
            minor_units(self.currency),
        )


class PaidOrdersRepository(Repository):
    """Reads orders of the import's session."""

    async def get_unawarded(self, batch: int) -> list[PaidOrder]:
        """Paid orders of a batch that have earned nothing, of customers who may earn; oldest first.

        An order that was refunded, in part or whole, is left alone: its claw-back would have nothing to count from.
        """
        return await self._all(
            PaidOrder,
            """
            SELECT orders.id, orders.customer_id, orders.total, orders.tax_total, orders.shipping_total,
                orders.discount_total, orders.cash_rounding, orders.currency,
                (SELECT sum(l.total) FROM order_lines AS l
                 WHERE l.customer_id = orders.customer_id AND l.order_id = orders.id) AS lines_total
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
