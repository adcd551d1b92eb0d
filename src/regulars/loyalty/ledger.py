"""How every write to the ledger runs: lock the account, read, plan, write, move the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from regulars.formulas.points import OpenLot
from regulars.formulas.tiers import tier_after_earning
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.loyalty.access import require_present
from regulars.loyalty.errors import CustomerInactive
from regulars.loyalty.models import (
    AccountChange,
    ExpiryDays,
    LoyaltyAccount,
    LoyaltyTransaction,
    LoyaltyTransactionCreate,
    Programme,
    TierChange,
)
from regulars.loyalty.plans import write_off
from regulars.loyalty.repository import LoyaltyTransactionRepository
from regulars.loyalty.repository_accounts import LoyaltyAccountRepository
from regulars.loyalty.repository_programmes import ProgrammeRepository


@dataclass(frozen=True)
class Entry:
    """One transaction to write, and the account it is written to.

    `programme` is needed for gains that qualify: it says where the tiers begin.
    """

    account: LoyaltyAccount
    transaction: LoyaltyTransactionCreate
    programme: Programme | None = None
    description: str | None = None
    metadata: Mapping[str, object] | None = None


class PointsLedger:
    """The steps that all writes share, for one customer and for many alike.

    Args:
        connection: That of the transaction.
        clock: What time it is.
        tells: Whether what is written leaves events; history that is taken in does not.
    """

    def __init__(self, connection: Connection, clock: Clock, *, tells: bool = True) -> None:
        self.clock = clock
        self.transactions = LoyaltyTransactionRepository(connection, tells=tells)
        self.accounts = LoyaltyAccountRepository(connection, tells=tells)
        self.programmes = ProgrammeRepository(connection)

    async def lock(self, customer_id: UUID, *, by: Principal, active: bool = True) -> LoyaltyAccount:
        """Lock a customer's account, opening it on first use.

        Raises:
            NotFound: there is no such customer, or none any more.
            CustomerErased: the person was erased, for callers who may see identifiers.
            CustomerInactive: the customer is deactivated and `active` is asked for.
        """
        accounts = await self.lock_many([customer_id])
        if not accounts:
            found = await self.accounts.get_account(customer_id)
            if found:
                require_present(found[0], by)
            raise NotFound
        return _usable(accounts[0], by, active=active)

    async def lock_for_award(self, customer_id: UUID, *, by: Principal) -> tuple[LoyaltyAccount, Programme]:
        """Lock an account as `lock` does, and read the rules that hold now in the same statement."""
        locked = await self.accounts.lock_account_with_programme(customer_id)
        if locked is None:
            return await self.lock(customer_id, by=by), await self.programmes.current()
        account, programme = locked
        return _usable(account, by, active=True), programme

    async def lock_many(self, customer_ids: Sequence[UUID]) -> list[LoyaltyAccount]:
        """Lock the accounts of many customers by ascending id, opening those that are missing."""
        accounts = await self.accounts.lock_accounts(customer_ids)
        if len(accounts) < len(set(customer_ids)):
            await self.accounts.open_accounts(customer_ids, now=self.clock.now())
            accounts = await self.accounts.lock_accounts(customer_ids)
        return accounts

    async def lock_free(self, customer_ids: Sequence[UUID]) -> list[LoyaltyAccount]:
        """Lock those of these accounts that exist and that nobody holds, without waiting."""
        return await self.accounts.lock_accounts(customer_ids, skip_locked=True)

    def expiry(self, days: ExpiryDays, programme: Programme, *, earned_at: datetime | None = None) -> datetime | None:
        """The end of the store day that lies `days` after the day of earning, by default today; None means never."""
        chosen = programme.expiry_days if days == "programme" else days
        earned_on = self.clock.day_of(earned_at or self.clock.now())
        return None if chosen is None else self.clock.end_of(earned_on + timedelta(days=chosen))

    async def write(self, entry: Entry) -> LoyaltyTransaction:
        """Write one transaction and move its account."""
        return (await self.write_all([entry]))[0]

    async def write_all(self, entries: Sequence[Entry]) -> list[LoyaltyTransaction]:
        """Write one transaction for each of many locked accounts, and move the accounts; in the order given."""
        changes = [_change_of(entry) for entry in entries]
        written = await self.transactions.update_loyalty_points([entry.transaction for entry in entries], changes)
        moved = [
            TierChange.of(
                entry.account,
                change,
                created_by=entry.transaction.created_by,
                created_at=entry.transaction.created_at,
                trace_id=entry.transaction.trace_id,
            )
            for entry, change in zip(entries, changes, strict=True)
            if change.tier is not entry.account.tier
        ]
        if moved:
            await self.accounts.record_tier_changes(moved)
        noted = [
            (number, entry) for number, entry in enumerate(entries) if entry.description is not None or entry.metadata
        ]
        if noted:
            await self.transactions.add_notes(
                [(written[number], entry.description, entry.metadata) for number, entry in noted]
            )
        for number, entry in noted:
            written[number] = replace(written[number], description=entry.description, metadata=entry.metadata)
        return written

    async def write_off_due(
        self, account: LoyaltyAccount, lots: Sequence[OpenLot], *, now: datetime, by: Principal
    ) -> list[OpenLot]:
        """Write off the lots that have expired, before anything else is done with them; the others are returned.

        Args:
            account: Whose lots.
            lots: As they were read under the account's lock.
            now: The instant of whatever is done next: a lot must not expire between the two.
            by: Who does it.
        """
        due = [lot for lot in lots if lot.is_due(now)]
        if due:
            await self.write(Entry(account, write_off(account, due, now=now, by=by)))
        return [lot for lot in lots if not lot.is_due(now)]


def _usable(account: LoyaltyAccount, by: Principal, *, active: bool) -> LoyaltyAccount:
    require_present(account, by)
    if active and not account.is_active:
        raise CustomerInactive
    return account


def _change_of(entry: Entry) -> AccountChange:
    account, create = entry.account, entry.transaction
    if not create.qualifies or entry.programme is None:
        return account.unchanged()
    thresholds = entry.programme.thresholds
    is_manual = account.has_manual_tier(create.created_at)
    tier = tier_after_earning(
        account.tier_at(create.created_at, thresholds),
        is_manual=is_manual,
        before=account.lifetime_points,
        after=account.lifetime_points + create.points,
        thresholds=thresholds,
    )
    stays_manual = is_manual and tier is account.tier
    return AccountChange(
        customer_id=account.customer_id,
        lifetime_points=create.points,
        tier=tier,
        tier_is_manual=stays_manual,
        tier_until=account.tier_until if stays_manual else None,
    )
