"""Closing the account of a person who is erased: by transactions, as everything in the ledger."""

from dataclasses import replace
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
            await self._ledger.write(Entry(account, self._forgiveness(account, by)))
            return account.balance
        lots = await self._ledger.transactions.get_open_lots(customer_id)
        await self._ledger.write_off_due(account, lots, by=by)
        left = [(lot.id, lot.remaining) for lot in lots if not lot.is_due(now)]
        points = sum(remaining for _, remaining in left)
        if points:
            closing = replace(
                self._adjustment(account, LoyaltyTransactionType.ADJUSTED_SUB, by),
                points=-points,
            )
            await self._ledger.write(Entry(account, closing.taking(left)))
        return points

    def _forgiveness(self, account: LoyaltyAccount, by: Principal) -> LoyaltyTransactionCreate:
        owed = -account.balance
        return replace(
            self._adjustment(account, LoyaltyTransactionType.ADJUSTED_ADD, by), points=owed, debt_change=owed
        )

    def _adjustment(
        self, account: LoyaltyAccount, kind: LoyaltyTransactionType, by: Principal
    ) -> LoyaltyTransactionCreate:
        return LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=kind,
            points=0,
            reason_code=closing_reason,
            created_by=by.id,
            created_at=self._clock.now(),
        )
