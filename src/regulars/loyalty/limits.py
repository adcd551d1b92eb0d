"""How many points an API client may move: at once, and in a store day."""

from datetime import date

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.errors import LimitExceeded
from regulars.loyalty.repository_limits import ClientDayRepository


class ClientLimits:
    """Counts what API clients award, redeem and give back, in the transaction that does it.

    The client's counter of the day is locked until that transaction ends, so that the sum is exact however many ask
    at once. It is taken before any account, which keeps waiting in one direction.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._days = ClientDayRepository(connection)
        self._counted_on: date | None = None

    async def take(self, points: int, *, largest: int | None = None, by: Principal) -> None:
        """Count points that are about to be moved. Only API clients have limits here.

        Args:
            points: All of them.
            largest: The most of them in one transaction; by default all.
            by: Who moves them.

        Raises:
            LimitExceeded: says the limit, and whether it is that of a transaction or of a day.
        """
        at_once, in_a_day = by.max_points_per_transaction, by.max_points_per_day
        if at_once is not None and (largest or points) > at_once:
            raise LimitExceeded(limit=at_once, period="transaction")
        if in_a_day is None or by.id is None:
            return
        self._counted_on = self._clock.today()
        if not await self._days.take(by.id, self._counted_on, points, at_most=in_a_day):
            raise LimitExceeded(limit=in_a_day, period="day")

    async def give_back(self, points: int, *, by: Principal) -> None:
        """Uncount points that `take` counted and that were not moved, on the day on which it counted them."""
        if self._counted_on is not None and by.id is not None and points:
            await self._days.give_back(by.id, self._counted_on, points)
