"""The store days of orders and refunds, which follow from their instants and the time zone of the shop."""

from typing import Final
from uuid import UUID

from regulars.kit.database import Repository

customers_at_once: Final = 1_000


class StoreDayRepository(Repository):
    """Days of orders, set anew."""

    async def has_orders(self) -> bool:
        """Whether there is any order, and with it amounts and days."""
        return bool(await self._value("SELECT EXISTS (SELECT FROM orders)"))

    async def set_days(self, *, after: UUID, timezone: str) -> tuple[int, UUID | None]:
        """Set the days of the next customers' orders and refunds.

        The instant of a cancellation is not kept: its day stays, unless the order came in cancelled.

        Returns:
            How many orders and refunds got another day, and the last customer; None when there is no further one.
        """
        last = await self._value(
            "SELECT max(customer_id::text)::uuid FROM (SELECT DISTINCT customer_id FROM orders WHERE customer_id > %s"
            " ORDER BY customer_id LIMIT %s) AS next",
            [after, customers_at_once],
        )
        if last is None:
            return 0, None
        parameters = {"after": after, "last": last, "timezone": timezone}
        orders = await self._execute(
            """
            UPDATE orders SET ordered_on = (ordered_at AT TIME ZONE %(timezone)s)::date,
                cancelled_on = CASE WHEN cancelled_on = ordered_on
                    THEN (ordered_at AT TIME ZONE %(timezone)s)::date ELSE cancelled_on END
            WHERE customer_id > %(after)s AND customer_id <= %(last)s
                AND ordered_on <> (ordered_at AT TIME ZONE %(timezone)s)::date
            """,
            parameters,
        )
        refunds = await self._execute(
            """
            UPDATE refunds SET refunded_on = (refunded_at AT TIME ZONE %(timezone)s)::date
            WHERE customer_id > %(after)s AND customer_id <= %(last)s
                AND refunded_on <> (refunded_at AT TIME ZONE %(timezone)s)::date
            """,
            parameters,
        )
        return orders + refunds, last
