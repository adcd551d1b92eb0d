"""Which lots a transaction touches, laid out from what was read under the account's lock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from regulars.formulas import points
from regulars.formulas.points import OpenLot, settle_debt
from regulars.kit.bounds import most_points_held
from regulars.kit.security import Principal
from regulars.kit.validation import Validation
from regulars.loyalty.errors import InsufficientPoints
from regulars.loyalty.models import (
    LotUse,
    LoyaltyAccount,
    LoyaltyTransactionCreate,
    LoyaltyTransactionType,
    NewLot,
    Programme,
)


def too_many(account: LoyaltyAccount, gained: int) -> Validation | None:
    """Why an account cannot take in so many points; None if it can."""
    if max(account.balance, account.lifetime_points) + gained <= most_points_held:
        return None
    return Validation.at("/points", "range", f"an account has at most {most_points_held} points")


def gain(
    account: LoyaltyAccount, create: LoyaltyTransactionCreate, *, expires_at: datetime | None
) -> LoyaltyTransactionCreate:
    """A gain with its points laid out: what settles debt, and a lot for the rest.

    Raises:
        Validation: the account would have more points than an account can.
    """
    if refusal := too_many(account, create.points):
        raise refusal
    settled, kept = settle_debt(account.balance, create.points)
    lots = (NewLot(kept, expires_at),) if kept else ()
    return replace(create, expires_at=expires_at, new_lots=lots, debt_change=settled)


def award(
    account: LoyaltyAccount,
    points: int,
    *,
    programme: Programme,
    rule: str,
    order_id: UUID | None,
    expires_at: datetime | None,
    by: Principal,
    at: datetime,
) -> LoyaltyTransactionCreate:
    """An award with its points laid out. It counts for the tier, and keeps the programme that it was given by."""
    create = LoyaltyTransactionCreate(
        customer_id=account.customer_id,
        transaction_type=LoyaltyTransactionType.EARNED,
        points=points,
        programme_version=programme.version,
        qualifies=True,
        rule=rule,
        order_id=order_id,
        created_by=by.id,
        created_at=at,
    )
    return gain(account, create, expires_at=expires_at)


def write_off(
    account: LoyaltyAccount, due: Sequence[OpenLot], *, now: datetime, by: Principal
) -> LoyaltyTransactionCreate:
    """The transaction that writes off due lots."""
    return LoyaltyTransactionCreate(
        customer_id=account.customer_id,
        transaction_type=LoyaltyTransactionType.EXPIRED,
        points=-sum(lot.remaining for lot in due),
        created_by=by.id,
        created_at=now,
        lot_changes=tuple((lot.id, -lot.remaining) for lot in due),
    )


def give_back(
    account: LoyaltyAccount,
    create: LoyaltyTransactionCreate,
    uses: Sequence[LotUse],
    *,
    already: int,
    grace_ends_at: datetime | None,
) -> LoyaltyTransactionCreate:
    """A restoration with its points laid out.

    Debt is settled first. The rest returns to the lots of the redemption, or where a lot's expiry has passed, to a
    new one that lives until the end of grace.

    Args:
        account: Whose points.
        create: The restoration.
        uses: What the redemption took, in the order of use.
        already: Points of the redemption that were given back before.
        grace_ends_at: Until when points live whose own expiry has passed.
    """
    now = create.created_at
    settled, kept = settle_debt(account.balance, create.points)
    returning = points.give_back([(used, used.points) for used in uses], already=already, points=kept)
    lapsed = tuple(NewLot(part, grace_ends_at, used.origin_id) for used, part in returning if used.is_due(now))
    return replace(
        create,
        expires_at=grace_ends_at if lapsed else None,
        new_lots=lapsed,
        lot_changes=tuple((used.lot_id, part) for used, part in returning if not used.is_due(now)),
        debt_change=settled,
    )


def require_points(account: LoyaltyAccount, due: Sequence[OpenLot], wanted: int) -> None:
    """Refuse a use of more points than can be spent by the clock.

    Args:
        account: Whose points.
        due: Lots that have expired and are not written off.
        wanted: Points to be used.

    Raises:
        InsufficientPoints: says how many can be spent and how many are owed.
    """
    spendable = max(account.balance, 0) - sum(lot.remaining for lot in due)
    if wanted > spendable:
        raise InsufficientPoints(spendable=spendable, points_owed=max(-account.balance, 0))
