"""What a refund does to the points of its order."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from regulars.formulas.points import OpenLot, claw_back_due, claw_back_expired, use
from regulars.formulas.tiers import tier_for
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import (
    Award,
    ClawBack,
    LoyaltyAccount,
    LoyaltyTransactionCreate,
    LoyaltyTransactionType,
    Programme,
    TierChange,
)
from regulars.loyalty.repository_clawbacks import ClawBackRepository


@dataclass(frozen=True)
class Refunded:
    """A refund as the ledger needs to know it.

    Attributes:
        customer_id: Who bought.
        order_id: What was bought.
        refund_id: The refund; for a cancellation, the order itself.
        refunded_total: All refunds of the order so far, this one included.
        order_total: What the order came to.
    """

    customer_id: UUID
    order_id: UUID
    refund_id: UUID
    refunded_total: Decimal
    order_total: Decimal


@dataclass(frozen=True)
class _Charge:
    """How the points that a refund makes due are met."""

    due: int
    expired: int
    written_off: int
    taken: list[tuple[UUID, int]]
    debt: int

    @property
    def points(self) -> int:
        return sum(points for _, points in self.taken) + self.debt


class ClawBackService:
    """Takes back what refunded orders earned, by the rules under which they earned it."""

    def __init__(self, connection: Connection, clock: Clock, *, tells: bool = True) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock, tells=tells)
        self._claw_backs = ClawBackRepository(connection)

    async def claw_back_points(self, refund: Refunded, *, by: Principal) -> list[ClawBack]:
        """Take back points in proportion to what was refunded; nothing happens when this refund was booked before.

        Points come from the order's own lots, then from those that expire soonest. What is already spent becomes
        debt, or is written off: `written_off` says how much, so that a till can deduct it under `reduce_refund`.

        Returns:
            One entry for each award of the order that the refund touched.

        Raises:
            NotFound: there is no such customer.
        """
        account = await self._ledger.lock(refund.customer_id, by=by, active=False)
        booked = await self._claw_backs.get_claw_backs(refund.customer_id, refund.refund_id)
        if booked:
            return booked
        now, lots = self._clock.now(), await self._ledger.transactions.get_open_lots(refund.customer_id)
        await self._ledger.write_off_due(account, lots, now=now, by=by)
        made: list[ClawBack] = []
        for award in await self._claw_backs.get_awards(refund.customer_id, refund.order_id):
            due = claw_back_due(
                award.points, refunded=refund.refunded_total, total=refund.order_total, already=award.due_before
            )
            if due:
                made.append(await self._claw_back(award, refund, due, now=now, by=by))
        await self._lower_lifetime(account, sum(claw_back.lifetime_points for claw_back in made), now=now, by=by)
        return made

    async def get_claw_backs(self, customer_id: UUID, refund_id: UUID) -> list[ClawBack]:
        """What a refund has done to the points; nothing if its order had earned none."""
        return await self._claw_backs.get_claw_backs(customer_id, refund_id)

    async def _claw_back(self, award: Award, refund: Refunded, due: int, *, now: datetime, by: Principal) -> ClawBack:
        account = await self._ledger.lock(award.customer_id, by=by, active=False)
        lots = await self._ledger.transactions.get_open_lots(award.customer_id)
        programme = await self._ledger.programmes.get(award.programme_version)
        charge = _charge(award, due, account, lots, programme)
        transaction_id = None
        if charge.points:
            create = LoyaltyTransactionCreate(
                customer_id=award.customer_id,
                transaction_type=LoyaltyTransactionType.REFUND_CLAWBACK,
                points=-charge.points,
                programme_version=award.programme_version,
                order_id=refund.order_id,
                refund_id=refund.refund_id,
                reverses_transaction_id=award.transaction_id,
                created_by=by.id,
                created_at=now,
            )
            transaction_id = (await self._ledger.write(Entry(account, create.taking(charge.taken)))).id
        claw_back = ClawBack(
            customer_id=award.customer_id,
            refund_id=refund.refund_id,
            award_id=award.transaction_id,
            order_id=refund.order_id,
            transaction_id=transaction_id,
            due=due,
            expired=charge.expired,
            written_off=charge.written_off,
            taken=charge.points,
            lifetime_points=due if award.qualifies else 0,
            created_at=now,
        )
        await self._claw_backs.record(claw_back)
        return claw_back

    async def _lower_lifetime(self, account: LoyaltyAccount, points: int, *, now: datetime, by: Principal) -> None:
        if points == 0:
            return
        programme = await self._ledger.programmes.current()
        change = replace(account.unchanged(), lifetime_points=-points)
        if programme.downgrades_at_once and not account.has_manual_tier(now):
            tier = tier_for(account.lifetime_points - points, programme.thresholds)
            change = replace(change, tier=tier, tier_is_manual=False, tier_until=None)
        await self._ledger.accounts.update_loyalty_tier(change, now=now)
        if change.tier is not account.tier:
            lowered = TierChange.of(account, change, created_by=by.id, created_at=now)
            await self._ledger.accounts.record_tier_changes([lowered])


def _charge(award: Award, due: int, account: LoyaltyAccount, lots: list[OpenLot], programme: Programme) -> _Charge:
    expired = claw_back_expired(due, already=award.charged_before, earned=award.points, expired=award.expired)
    own = [lot for lot in lots if lot.id == award.lot_id]
    others = [lot for lot in lots if lot.id != award.lot_id]
    from_own, short = use(own, due - expired)
    from_others, short = use(others, short)
    room = min(account.balance, 0) - programme.debt_floor if programme.refund_policy == "allow_debt" else 0
    debt = min(short, max(room, 0))
    return _Charge(due, expired, short - debt, [*from_own, *from_others], debt)
