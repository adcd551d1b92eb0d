"""Whose opening balances they are, and who has one already."""

from collections.abc import Sequence
from uuid import UUID

from regulars.kit.database import Repository


class OpeningRepository(Repository):
    """Looks up customers of an import."""

    async def find_customers(self, numbers: Sequence[str]) -> dict[str, UUID]:
        """Customers by their numbers."""
        rows = await self._rows(
            "SELECT value, customer_id FROM customer_identifiers WHERE kind = 'number' AND value = ANY (%s)",
            [list(numbers)],
        )
        return dict(rows)

    async def find_opened(self, customer_ids: Sequence[UUID]) -> set[UUID]:
        """Those of the customers who have an opening balance."""
        rows = await self._rows(
            """
            SELECT customer_id FROM loyalty_transactions
            WHERE customer_id = ANY (%s) AND transaction_type = 'ADJUSTED_ADD' AND reason_code = 'opening_balance'
            """,
            [list(customer_ids)],
        )
        return {customer_id for (customer_id,) in rows}
