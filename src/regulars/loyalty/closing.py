"""Closing the account of a person who is erased: by transactions, as everything in the ledger."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import LoyaltyAccount, LoyaltyTransactionCreate, LoyaltyTransactionType

closing_reason = "account_closed"


class AccountClosing:
    """Brings accounts to zero, in the caller's transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)

    async def close(self, customer_id: UUID, *, by: Principal) -> int:
        """Take all points off an account, whoever's it is; points owed are forgiven.

        What has expired by the clock is written off as expired, the rest by an adjustment with the reason
        `account_closed`. An account at zero stays as it is, so closing it again does nothing.

        Returns:
            Points taken off by the adjustment; below zero where debt was forgiven.
        """
        accounts = await self._ledger.accounts.lock_accounts([customer_id])
        if not accounts or accounts[0].balance == 0:
            return 0
        account, now = accounts[0], self._clock.now()
        if account.balance < 0:
            owed = -account.balance
            forgiven = replace(_adjustment(account, owed, now=now, by=by), debt_change=owed)
            await self._ledger.write(Entry(account, forgiven))
            return -owed
        lots = await self._ledger.transactions.get_open_lots(customer_id)
        left = await self._ledger.write_off_due(account, lots, now=now, by=by)
        points = sum(lot.remaining for lot in left)
        if points:
            await self._ledger.write(
                Entry(account, replace(_adjustment(account, -points, now=now, by=by), spends=True))
            )
        return points


def _adjustment(account: LoyaltyAccount, points: int, *, now: datetime, by: Principal) -> LoyaltyTransactionCreate:
    kind = LoyaltyTransactionType.ADJUSTED_ADD if points > 0 else LoyaltyTransactionType.ADJUSTED_SUB
    return LoyaltyTransactionCreate(
        customer_id=account.customer_id,
        transaction_type=kind,
        points=points,
        reason_code=closing_reason,
        created_by=by.id,
        created_at=now,
    )
