"""Tiers that people set, and tiers that follow from lifetime points."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from regulars.formulas.tiers import LoyaltyTier, TierThresholds, tier_for
from regulars.kit.bulk import BulkResult, bulk_result
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.validation import Validation
from regulars.loyalty.ledger import PointsLedger
from regulars.loyalty.models import AccountChange, LoyaltyAccount, TierChange
from regulars.loyalty.schemas import BulkLoyaltyTierUpdate


class LoyaltyTierService:
    """Sets tiers, one by one or many at once."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)

    async def update_loyalty_tier(
        self,
        customer_id: UUID,
        tier: LoyaltyTier | None = None,
        *,
        reason: str | None = None,
        until: date | None = None,
        by: Principal,
    ) -> LoyaltyTier:
        """Set a tier by hand, or without one, review it by lifetime points; says which tier holds now.

        A review leaves a tier alone that was set by hand and has not ended.

        Args:
            customer_id: Whose tier.
            tier: The tier to set; None reviews.
            reason: Why; kept beside the history, erased with the person.
            until: Last store day of a tier set by hand; None is until it is changed.
            by: Who asks.

        Raises:
            NotFound: there is no such customer.
            Validation: the tier would end in the past.
        """
        account = await self._ledger.lock(customer_id, by=by, active=False)
        thresholds = (await self._ledger.programmes.current()).thresholds
        if tier is not None:
            self.require_end_ahead(until)
            change = self._manual(account, tier, until)
        elif account.has_manual_tier(self._clock.now()):
            return account.tier
        else:
            change = _reviewed(account, thresholds)
        if change != account.unchanged():
            await self._write([account], [change], reason, by)
        return change.tier

    async def bulk_update_tier(self, update: BulkLoyaltyTierUpdate, *, by: Principal) -> BulkResult:
        """Set one tier by hand for many customers; one outcome for each id, in the order given.

        Raises:
            BulkRejected: all or none was asked for and some customers do not exist; nothing was changed.
            Validation: the tier would end in the past.
        """
        self.require_end_ahead(update.until)
        found = {account.customer_id: account for account in await self._ledger.lock_many(update.customer_ids)}
        accounts = {id_: account for id_, account in found.items() if not account.is_gone}
        missing = {id_: NotFound() for id_ in update.customer_ids if id_ not in accounts}
        changes = {id_: self._manual(account, update.tier, update.until) for id_, account in accounts.items()}
        changed = [id_ for id_, change in changes.items() if change != accounts[id_].unchanged()]
        result = bulk_result(update.customer_ids, changed=changed, refused=missing, atomic=update.atomic)
        if changed:
            await self._write([accounts[id_] for id_ in changed], [changes[id_] for id_ in changed], update.reason, by)
        return result

    async def review_tiers(self, *, limit: int = 500, by: Principal) -> int:
        """Set the tiers that lifetime points no longer match, after claw-backs, ended tiers or new thresholds.

        Takes some customers at a time: again until it says 0.
        """
        now, thresholds = self._clock.now(), (await self._ledger.programmes.current()).thresholds
        ids = await self._ledger.accounts.get_accounts_to_review(now=now, thresholds=thresholds, limit=limit)
        accounts = [account for account in await self._ledger.lock_many(ids) if not account.has_manual_tier(now)]
        if accounts:
            await self._write(accounts, [_reviewed(account, thresholds) for account in accounts], None, by)
        return len(accounts)

    def require_end_ahead(self, until: date | None) -> None:
        """Refuse a last day that has passed.

        Raises:
            Validation: the tier would end in the past.
        """
        if until and until < self._clock.today():
            raise Validation.at("/until", "range", "must not be in the past")

    def _manual(self, account: LoyaltyAccount, tier: LoyaltyTier, until: date | None) -> AccountChange:
        ends_at = self._clock.end_of(until) if until else None
        return AccountChange(account.customer_id, 0, tier, tier_is_manual=True, tier_until=ends_at)

    async def _write(
        self, accounts: Sequence[LoyaltyAccount], changes: Sequence[AccountChange], reason: str | None, by: Principal
    ) -> None:
        now = self._clock.now()
        await self._ledger.accounts.bulk_update_tier(changes, now=now)
        await self._ledger.accounts.record_tier_changes(
            [
                TierChange(
                    customer_id=account.customer_id,
                    tier_before=account.tier,
                    tier=change.tier,
                    is_manual=change.tier_is_manual,
                    tier_until=change.tier_until,
                    reason=reason,
                    created_by=by.id,
                    created_at=now,
                )
                for account, change in zip(accounts, changes, strict=True)
            ]
        )


def _reviewed(account: LoyaltyAccount, thresholds: TierThresholds) -> AccountChange:
    earned = tier_for(account.lifetime_points, thresholds)
    return AccountChange(account.customer_id, 0, earned, tier_is_manual=False, tier_until=None)
