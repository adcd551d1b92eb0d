"""The points of an order follow what happens to it: refunds, cancellations, changes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from regulars.formulas.points import OpenLot, claw_back_expired, use
from regulars.formulas.tiers import tier_for
from regulars.kit.bounds import most_points_of_order
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import (
    AccountChange,
    LoyaltyAccount,
    LoyaltyTransactionCreate,
    LoyaltyTransactionType,
    Programme,
    TierChange,
)
from regulars.loyalty.models_refunds import Award, AwardedOrder, ClawBack
from regulars.loyalty.plans import award as awarding
from regulars.loyalty.plans import write_off
from regulars.loyalty.repository_clawbacks import ClawBackRepository


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


@dataclass(frozen=True)
class _Due:
    """Points of one award that an order gives back."""

    order: AwardedOrder
    award: Award
    points: int


@dataclass(frozen=True)
class _Standing:
    """An order that earned, and how many of its points are more than it keeps; below zero, how many it lacks."""

    order: AwardedOrder
    awards: Sequence[Award]
    programme: Programme
    surplus: int

    def dues(self) -> list[_Due]:
        """What each award gives back; the latest is the first to give."""
        left, dues = self.surplus, []
        for award in reversed(self.awards):
            points = min(left, award.left)
            if points > 0:
                dues.append(_Due(self.order, award, points))
                left -= points
        return dues


class ClawBackService:
    """Brings the points of orders to what they keep, by the rules under which they were awarded."""

    def __init__(self, connection: Connection, clock: Clock, *, tells: bool = True) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock, tells=tells)
        self._claw_backs = ClawBackRepository(connection)
        self._programmes: dict[int, Programme] = {}

    async def claw_back_points(self, order: AwardedOrder, *, by: Principal) -> list[ClawBack]:
        """Take back what an order does not keep; nothing happens when this cause was booked before.

        Points come from the order's own lots, then from those that expire soonest. What is already spent becomes
        debt, or is written off: `written_off` says how much, so that a till can deduct it under `reduce_refund`. The
        points of a person who was erased are gone already.

        Returns:
            One entry for each award of the order that was touched.
        """
        accounts = await self._lock([order.customer_id])
        if order.customer_id not in accounts:
            return []
        booked = await self._claw_backs.get_claw_backs(order.customer_id, order.cause_id)
        if booked:
            return booked
        now = self._clock.now()
        await self._write_off(accounts, now=now, by=by)
        return await self._take_back(accounts, await self._standings([order]), now=now, by=by)

    async def follow(self, orders: Sequence[AwardedOrder], *, by: Principal) -> None:
        """Bring the points of many changed orders, of different customers, to what these keep; the lacking are given.

        Who is not active is given nothing.
        """
        accounts = await self._lock([order.customer_id for order in orders])
        now = self._clock.now()
        await self._write_off(accounts, now=now, by=by)
        standings = await self._standings([order for order in orders if order.customer_id in accounts])
        await self._take_back(accounts, [standing for standing in standings if standing.surplus > 0], now=now, by=by)
        lacking = [standing for standing in standings if standing.surplus < 0 and standing.order.may_earn]
        entries = [
            self._supplement(account, standing, now=now, by=by)
            for standing in lacking
            if (account := accounts[standing.order.customer_id]).is_active and not account.is_gone
        ]
        if entries:
            await self._ledger.write_all(entries)

    async def lock(self, customer_ids: Sequence[UUID]) -> None:
        """Let nobody else move the points of these customers until the transaction ends."""
        await self._lock(customer_ids)

    async def get_claw_backs(self, customer_id: UUID, refund_id: UUID) -> list[ClawBack]:
        """What a refund has done to the points; nothing if its order had earned none."""
        return await self._claw_backs.get_claw_backs(customer_id, refund_id)

    async def _lock(self, customer_ids: Sequence[UUID]) -> dict[UUID, LoyaltyAccount]:
        accounts = await self._ledger.lock_many(sorted(customer_ids))
        return {account.customer_id: account for account in accounts if account.erased_at is None}

    async def _standings(self, orders: Sequence[AwardedOrder]) -> list[_Standing]:
        """Of orders that earned anything, what they keep and what they have."""
        by_order: dict[UUID, list[Award]] = defaultdict(list)
        for award in await self._claw_backs.get_awards([(order.customer_id, order.order_id) for order in orders]):
            by_order[award.order_id].append(award)
        found = []
        for order in orders:
            awards = by_order[order.order_id]
            if not awards:
                continue
            programme = await self._programme(awards[0].programme_version)
            first = sum(award.points for award in awards if not award.is_supplement)
            kept = min(order.points_left(awards[0], first, programme), most_points_of_order)
            found.append(_Standing(order, awards, programme, sum(award.left for award in awards) - kept))
        return found

    async def _programme(self, version: int) -> Programme:
        if version not in self._programmes:
            self._programmes[version] = await self._ledger.programmes.get(version)
        return self._programmes[version]

    async def _take_back(
        self, accounts: Mapping[UUID, LoyaltyAccount], standings: Sequence[_Standing], *, now: datetime, by: Principal
    ) -> list[ClawBack]:
        """Charge what is due, one award of each customer at a time: each moves the account."""
        waiting = [dues for standing in standings if (dues := standing.dues())]
        if not waiting:
            return []
        made: list[ClawBack] = []
        while waiting:
            turn = [dues.pop(0) for dues in waiting]
            made += await self._charge_all(turn, now=now, by=by)
            waiting = [dues for dues in waiting if dues]
        await self._lower_lifetime(accounts, made, now=now, by=by)
        return made

    async def _write_off(self, accounts: Mapping[UUID, LoyaltyAccount], *, now: datetime, by: Principal) -> None:
        """Write off what has expired of these customers, before it is asked what is left of their awards."""
        lots = await self._ledger.transactions.get_open_lots_of(list(accounts))
        due = {id_: [lot for lot in found if lot.is_due(now)] for id_, found in lots.items()}
        entries = [
            Entry(accounts[id_], write_off(accounts[id_], lapsed, now=now, by=by))
            for id_, lapsed in due.items()
            if lapsed
        ]
        if entries:
            await self._ledger.write_all(entries)

    async def _charge_all(self, turn: Sequence[_Due], *, now: datetime, by: Principal) -> list[ClawBack]:
        ids = [due.order.customer_id for due in turn]
        accounts, lots = await self._lock(ids), await self._ledger.transactions.get_open_lots_of(ids)
        charges = []
        for due in turn:
            id_ = due.order.customer_id
            programme = await self._programme(due.award.programme_version)
            charges.append((due, _charge(due, accounts[id_], lots.get(id_, ()), programme)))
        entries = [
            Entry(accounts[due.order.customer_id], _transaction(due, charge, now=now, by=by))
            for due, charge in charges
            if charge.points
        ]
        written = await self._ledger.write_all(entries) if entries else []
        booked = {transaction.customer_id: transaction.id for transaction in written}
        made = [_claw_back(due, charge, booked.get(due.order.customer_id), now) for due, charge in charges]
        await self._claw_backs.record(made)
        return made

    async def _lower_lifetime(
        self, accounts: Mapping[UUID, LoyaltyAccount], made: Sequence[ClawBack], *, now: datetime, by: Principal
    ) -> None:
        points: dict[UUID, int] = defaultdict(int)
        for claw_back in made:
            points[claw_back.customer_id] += claw_back.lifetime_points
        programme = await self._ledger.programmes.current()
        changes = [_lowered(accounts[id_], lost, programme, now) for id_, lost in points.items() if lost]
        if not changes:
            return
        await self._ledger.accounts.bulk_update_tier(changes, now=now)
        moved = [
            TierChange.of(account, change, created_by=by.id, created_at=now)
            for change in changes
            if change.tier is not (account := accounts[change.customer_id]).tier
        ]
        if moved:
            await self._ledger.accounts.record_tier_changes(moved)

    def _supplement(self, account: LoyaltyAccount, standing: _Standing, *, now: datetime, by: Principal) -> Entry:
        """What an order that became larger earns besides, by the rules of its award, from now on."""
        planned = awarding(
            account,
            -standing.surplus,
            programme=standing.programme,
            rule=f"purchase:{len(standing.awards) + 1}",
            order_id=standing.order.order_id,
            expires_at=self._ledger.expiry("programme", standing.programme, earned_at=now),
            by=by,
            at=now,
        )
        return Entry(account, planned, standing.programme)


def _lowered(account: LoyaltyAccount, points: int, programme: Programme, now: datetime) -> AccountChange:
    change = replace(account.unchanged(), lifetime_points=-points)
    if not programme.downgrades_at_once or account.has_manual_tier(now):
        return change
    tier = tier_for(account.lifetime_points - points, programme.thresholds)
    return replace(change, tier=tier, tier_is_manual=False, tier_until=None)


def _transaction(due: _Due, charge: _Charge, *, now: datetime, by: Principal) -> LoyaltyTransactionCreate:
    return LoyaltyTransactionCreate(
        customer_id=due.order.customer_id,
        transaction_type=LoyaltyTransactionType.REFUND_CLAWBACK,
        points=-charge.points,
        programme_version=due.award.programme_version,
        order_id=due.order.order_id,
        refund_id=due.order.cause_id,
        reverses_transaction_id=due.award.transaction_id,
        created_by=by.id,
        created_at=now,
    ).taking(charge.taken)


def _claw_back(due: _Due, charge: _Charge, transaction_id: UUID | None, now: datetime) -> ClawBack:
    return ClawBack(
        customer_id=due.order.customer_id,
        refund_id=due.order.cause_id,
        award_id=due.award.transaction_id,
        order_id=due.order.order_id,
        transaction_id=transaction_id,
        due=charge.due,
        expired=charge.expired,
        written_off=charge.written_off,
        taken=charge.points,
        lifetime_points=charge.due if due.award.qualifies else 0,
        created_at=now,
    )


def _charge(due: _Due, account: LoyaltyAccount, lots: Sequence[OpenLot], programme: Programme) -> _Charge:
    award = due.award
    expired = claw_back_expired(due.points, already=award.charged_before, earned=award.points, expired=award.expired)
    own = [lot for lot in lots if lot.id == award.lot_id]
    others = [lot for lot in lots if lot.id != award.lot_id]
    from_own, short = use(own, due.points - expired)
    from_others, short = use(others, short)
    room = min(account.balance, 0) - programme.debt_floor if programme.refund_policy == "allow_debt" else 0
    debt = min(short, max(room, 0))
    return _Charge(due.points, expired, short - debt, [*from_own, *from_others], debt)
