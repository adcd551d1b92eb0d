"""Writing off points whose time has come."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from regulars.formulas.points import OpenLot
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.security import Principal
from regulars.kit.validation import Validation
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.plans import write_off
from regulars.loyalty.retries import with_retries

batch_lots = 500


@dataclass(frozen=True)
class Expired:
    """What was written off."""

    customers: int = 0
    lots: int = 0
    points: int = 0

    def __add__(self, other: "Expired") -> "Expired":
        return Expired(self.customers + other.customers, self.lots + other.lots, self.points + other.points)


class ExpiryService:
    """Writes off one batch of what is due; the database's own transaction decides when it counts."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)

    async def find_due(self, *, as_of: datetime) -> list[UUID]:
        """Some customers with points that were due at `as_of` and are not written off; nobody under review."""
        return await self._ledger.transactions.get_customers_with_expired_points(now=as_of, limit=batch_lots)

    def due_at(self, as_of: datetime | None) -> Callable[[int], Awaitable[int]]:
        """What counts the lots that were due at an instant, or are now, up to a bound.

        Raises:
            Validation: the instant has not come yet.
        """
        instant = _passed(as_of, self._clock)
        return lambda at_most: self._ledger.transactions.count_expired_lots(now=instant, at_most=at_most)

    async def backlog_seconds(self) -> float:
        """For how long the oldest points wait to be written off; 0 when none do."""
        now = self._clock.now()
        oldest = await self._ledger.transactions.get_oldest_expired(now=now)
        return (now - oldest).total_seconds() if oldest else 0.0

    async def expire_loyalty_points(
        self, customer_ids: Sequence[UUID], *, as_of: datetime, wait: bool, by: Principal
    ) -> Expired:
        """Write off what of these customers was due at `as_of`.

        Args:
            customer_ids: Whose points.
            as_of: An instant that has passed.
            wait: Wait for accounts that another transaction holds; without it they are passed over.
            by: Who asks.
        """
        accounts = await self._ledger.accounts.lock_accounts(customer_ids, skip_locked=not wait)
        due = await self._ledger.transactions.get_expired_points(
            [account.customer_id for account in accounts], now=as_of
        )
        now = self._clock.now()
        entries = [
            Entry(account, write_off(account, due[account.customer_id], now=now, by=by))
            for account in accounts
            if account.customer_id in due
        ]
        if entries:
            await self._ledger.write_all(entries)
        lots: list[OpenLot] = [lot for entry in entries for lot in due[entry.account.customer_id]]
        return Expired(len(entries), len(lots), sum(lot.remaining for lot in lots))


async def expire_all(database: Transactions, clock: Clock, *, as_of: datetime | None = None, by: Principal) -> Expired:
    """Write off all that is due, batch by batch; several runs at once share the work.

    Accounts that are busy are passed over first and waited for when nothing else is left. Whose points do not add up
    is left alone until they do.

    Raises:
        Validation: `as_of` has not come yet.
    """
    instant, total, wait = _passed(as_of, clock), Expired(), False
    while True:

        async def batch(*, wait: bool = wait) -> tuple[int, Expired]:
            async with database.transaction() as connection:
                service = ExpiryService(connection, clock)
                found = await service.find_due(as_of=instant)
                return len(found), await service.expire_loyalty_points(found, as_of=instant, wait=wait, by=by)

        found, expired = await with_retries(batch)
        total += expired
        if not found:
            return total
        wait = expired.customers == 0


def _passed(as_of: datetime | None, clock: Clock) -> datetime:
    """The instant that was asked for, or now."""
    now = clock.now()
    if as_of is not None and as_of > now:
        raise Validation.at("/as_of", "range", "must not be in the future")
    return as_of or now
