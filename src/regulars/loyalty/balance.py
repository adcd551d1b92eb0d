"""What a customer has, by the clock."""

from collections.abc import Sequence
from datetime import timedelta

from regulars.formulas.tiers import TierThresholds, next_tier
from regulars.kit.clock import Clock
from regulars.loyalty.models import Deadline, LoyaltyAccount, LoyaltyBalance


def balance_of(
    account: LoyaltyAccount, deadlines: Sequence[Deadline], *, thresholds: TierThresholds, clock: Clock
) -> LoyaltyBalance:
    """The balance as it would be if all that is due had been written off."""
    now = clock.now()
    usable = [deadline for deadline in deadlines if deadline.expires_at is None or deadline.expires_at > now]
    spendable, owed = sum(deadline.points for deadline in usable), max(-account.balance, 0)
    is_manual = account.has_manual_tier(now)
    following = next_tier(account.lifetime_points, thresholds)
    return LoyaltyBalance(
        customer_id=account.customer_id,
        balance=spendable - owed,
        spendable=spendable,
        points_owed=owed,
        lifetime_points=account.lifetime_points,
        tier=account.tier_at(now, thresholds),
        tier_is_manual=is_manual,
        tier_until=account.tier_until if is_manual else None,
        next_tier=following[0] if following else None,
        points_to_next_tier=following[1] if following else None,
        expiring_30_days=_expiring(usable, 30, clock),
        expiring_60_days=_expiring(usable, 60, clock),
        expiring_90_days=_expiring(usable, 90, clock),
        deadlines=usable,
    )


def _expiring(deadlines: Sequence[Deadline], days: int, clock: Clock) -> int:
    """Points whose last usable store day is today or one of the `days` that follow."""
    end = clock.end_of(clock.today() + timedelta(days=days))
    return sum(deadline.points for deadline in deadlines if deadline.expires_at and deadline.expires_at <= end)
