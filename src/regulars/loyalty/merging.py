"""What becomes of the points of a record without a history that becomes part of another."""

from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.closing import AccountClosing
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.plans import award
from regulars.loyalty.repository_bonuses import WelcomeBonusRepository


class AccountMerging:
    """Moves a welcome bonus, in the caller's transaction. All other points keep a record from being merged."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)
        self._welcomed = WelcomeBonusRepository(connection)
        self._closing = AccountClosing(connection, clock)

    async def has_history(self, customer_id: UUID) -> bool:
        """Whether anything but a welcome bonus happened to the points of a customer; the account is locked."""
        await self._ledger.accounts.lock_accounts([customer_id])
        return await self._ledger.transactions.has_history(customer_id)

    async def move_welcome_bonus(self, source: UUID, target: UUID, *, by: Principal) -> None:
        """Take what is left of the welcome bonus off one account, and give it to the other, unless that had one.

        The contacts that were welcomed stay so, in the name of the record that stays.
        """
        now = self._clock.now()
        await self._welcomed.hand_over(source, target)
        points = await self._closing.close(source, by=by)
        account, programme = await self._ledger.lock_for_award(target, by=by)
        if points <= 0 or await self._ledger.transactions.has_welcome_bonus(target):
            return
        expires_at = self._ledger.expiry("programme", programme)
        planned = award(
            account, points, programme=programme, rule="welcome", order_id=None, expires_at=expires_at, by=by, at=now
        )
        await self._ledger.write(Entry(account, planned, programme))
