"""How many points an API client may move: at once, and in a store day."""

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.errors import LimitExceeded
from regulars.loyalty.repository_limits import ClientLimitRepository


class ClientLimits:
    """Counts what API clients award, redeem and give back, in the transaction that does it.

    The client's counter of the day is locked until that transaction ends, so that the sum is exact however many ask
    at once. It is taken before any account, which keeps waiting in one direction.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._limits = ClientLimitRepository(connection)

    async def take(self, points: int, *, largest: int | None = None, by: Principal) -> None:
        """Count points that are about to be moved. People and the operator have no limit here.

        Args:
            points: All of them.
            largest: The most of them in one transaction; by default all.
            by: Who moves them.

        Raises:
            LimitExceeded: says the limit, and whether it is that of a transaction or of a day.
        """
        if by.kind != "client" or by.id is None:
            return
        limit = await self._limits.take(by.id, self._clock.today(), points)
        if limit is None:
            return
        if limit.per_transaction is not None and (largest or points) > limit.per_transaction:
            raise LimitExceeded(limit=limit.per_transaction, period="transaction")
        if limit.per_day is not None and not limit.is_taken:
            raise LimitExceeded(limit=limit.per_day, period="day")

    async def give_back(self, points: int, *, by: Principal) -> None:
        """Uncount points that were counted in this transaction and not moved."""
        if by.kind == "client" and by.id is not None and points:
            await self._limits.give_back(by.id, self._clock.today(), points)
