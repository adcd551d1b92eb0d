"""Tiers that people set, and tiers that follow from lifetime points."""

from collections.abc import Sequence
from datetime import date
from typing import TypeAlias
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

_Changes: TypeAlias = Sequence[tuple[LoyaltyAccount, AccountChange]]


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
        await self._write(_differing([(account, change)]), reason, by)
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
        changes = _differing(
            [(account, self._manual(account, update.tier, update.until)) for account in accounts.values()]
        )
        changed = [account.customer_id for account, _ in changes]
        result = bulk_result(update.customer_ids, changed=changed, refused=missing, atomic=update.atomic)
        await self._write(changes, update.reason, by)
        return result

    async def review_tiers(self, *, limit: int = 500, by: Principal) -> int:
        """Set the tiers that lifetime points no longer match, after claw-backs, ended tiers or new thresholds.

        Takes some customers at a time: again until it says 0.
        """
        now, thresholds = self._clock.now(), (await self._ledger.programmes.current()).thresholds
        ids = await self._ledger.accounts.get_accounts_to_review(now=now, thresholds=thresholds, limit=limit)
        # Looked at again under the lock: before it, somebody else may have changed them.
        accounts = [account for account in await self._ledger.lock_many(ids) if not account.has_manual_tier(now)]
        changes = _differing([(account, _reviewed(account, thresholds)) for account in accounts])
        await self._write(changes, None, by)
        return len(changes)

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

    async def _write(self, changes: _Changes, reason: str | None, by: Principal) -> None:
        if not changes:
            return
        now = self._clock.now()
        await self._ledger.accounts.bulk_update_tier([change for _, change in changes], now=now)
        await self._ledger.accounts.record_tier_changes(
            [
                TierChange.of(account, change, created_by=by.id, created_at=now, reason=reason)
                for account, change in changes
            ]
        )


def _differing(changes: _Changes) -> _Changes:
    """The changes that leave an account other than it was."""
    return [(account, change) for account, change in changes if change != account.unchanged()]


def _reviewed(account: LoyaltyAccount, thresholds: TierThresholds) -> AccountChange:
    earned = tier_for(account.lifetime_points, thresholds)
    return AccountChange(account.customer_id, 0, earned, tier_is_manual=False, tier_until=None)
