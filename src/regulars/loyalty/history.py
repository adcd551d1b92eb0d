"""What happened to points in the past, written for many customers at once: each event at its own instant.

A live system writes one event at a time, by its clock. Whoever knows the story of thousands of customers, as a demo
does, hands it in here; it takes the same steps with the same statements, one event of each customer in a turn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TypeAlias
from uuid import UUID

from regulars.formulas.earning import OrderAmounts, Returned
from regulars.formulas.points import OpenLot, use
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.security import Principal
from regulars.loyalty.bulk import batch_accounts, turns_at_once
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import LoyaltyAccount, LoyaltyTransactionCreate, LoyaltyTransactionType, Programme
from regulars.loyalty.models_refunds import AwardedOrder
from regulars.loyalty.plans import award, write_off
from regulars.loyalty.refunds import ClawBackService
from regulars.loyalty.retries import with_retries


@dataclass(frozen=True)
class PastAward:
    """Points that an order earned by the programme."""

    at: datetime
    order_id: UUID
    points: int


@dataclass(frozen=True)
class PastRedemption:
    """Points that were spent: as many whole portions as there were points for, up to a number; perhaps none."""

    at: datetime
    portion: int
    at_most: int


@dataclass(frozen=True)
class PastExpiry:
    """What was due was written off."""

    at: datetime


@dataclass(frozen=True)
class PastRefund:
    """A refund of an order took points back."""

    at: datetime
    order_id: UUID
    refund_id: UUID
    refunded_total: Decimal
    order_total: Decimal


PastEvent: TypeAlias = PastAward | PastRedemption | PastExpiry | PastRefund
History: TypeAlias = Mapping[UUID, Sequence[PastEvent]]


class HistoryService:
    """Writes the histories of at most 500 customers in one transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._ledger = PointsLedger(connection, clock, tells=False)
        self._expiries: dict[date, datetime | None] = {}

    async def write(self, histories: History, *, by: Principal) -> None:
        """Write each customer's events, which must be in the order of their instants and lie in the past."""
        await self._ledger.transactions.go_by_keys()
        programme = await self._ledger.programmes.current()
        for turn in range(max(map(len, histories.values()), default=0)):
            events = {id_: history[turn] for id_, history in sorted(histories.items()) if turn < len(history)}
            await self._write_turn(events, programme, by)

    async def _write_turn(self, events: Mapping[UUID, PastEvent], programme: Programme, by: Principal) -> None:
        """Write one event of each customer. The first turn has all customers, so they are locked in order."""
        refunds = {id_: event for id_, event in events.items() if isinstance(event, PastRefund)}
        others = [id_ for id_ in events if id_ not in refunds]
        uses = [id_ for id_ in others if not isinstance(events[id_], PastAward)]
        accounts = await self._ledger.lock_many(list(events))
        lots = await self._ledger.transactions.get_open_lots_of(uses) if uses else {}
        planned = [
            self._planned(account, events[account.customer_id], lots.get(account.customer_id, ()), programme, by)
            for account in accounts
            if account.customer_id not in refunds
        ]
        entries = [entry for entry in planned if entry]
        if entries:
            await self._ledger.write_all(entries)
        for customer_id, refund in refunds.items():
            service = ClawBackService(self._connection, replace(self._clock, stopped_at=refund.at), tells=False)
            returned = AwardedOrder(
                customer_id,
                refund.order_id,
                refund.refund_id,
                OrderAmounts(refund.order_total),
                Returned(other=refund.refunded_total),
            )
            await service.claw_back_points(returned, by=by)

    def _planned(
        self, account: LoyaltyAccount, event: PastEvent, lots: Sequence[OpenLot], programme: Programme, by: Principal
    ) -> Entry | None:
        if isinstance(event, PastAward):
            return self._award(account, event, programme, by)
        due = [lot for lot in lots if lot.is_due(event.at)]
        if isinstance(event, PastExpiry):
            return Entry(account, write_off(account, due, now=event.at, by=by)) if due else None
        if isinstance(event, PastRedemption):
            return self._redemption(account, event, [lot for lot in lots if not lot.is_due(event.at)], by)
        return None

    def _award(self, account: LoyaltyAccount, event: PastAward, programme: Programme, by: Principal) -> Entry:
        earned_on = self._clock.day_of(event.at)
        if earned_on not in self._expiries:  # a calendar lookup for each award would be a fifth of our work
            self._expiries[earned_on] = self._ledger.expiry("programme", programme, earned_at=event.at)
        planned = award(
            account,
            event.points,
            programme=programme,
            rule="purchase",
            order_id=event.order_id,
            expires_at=self._expiries[earned_on],
            by=by,
            at=event.at,
        )
        return Entry(account, planned, programme)

    def _redemption(
        self, account: LoyaltyAccount, event: PastRedemption, lots: Sequence[OpenLot], by: Principal
    ) -> Entry | None:
        spendable = sum(lot.remaining for lot in lots)
        points = min(spendable // event.portion, event.at_most) * event.portion
        if points <= 0:
            return None
        create = LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=LoyaltyTransactionType.REDEEMED,
            points=-points,
            created_by=by.id,
            created_at=event.at,
        )
        taken, _ = use(lots, points)
        return Entry(account, create.taking(taken))


async def write_histories(
    database: Transactions, clock: Clock, histories: History, *, by: Principal, at_once: int = 1
) -> None:
    """Write the histories of any number of customers: in a transaction those of 500, of each up to 25 events.

    Customers with equally many events come together: a few with many would keep the others waiting.

    Args:
        database: Where the transactions are opened.
        clock: Of the shop; tells when accounts were opened.
        histories: Events by customer, in the order of their instants.
        by: Who did it all.
        at_once: How many transactions may run at the same time; each needs a connection. They share no customers.
    """
    free = asyncio.Semaphore(at_once)

    async def write(part: History) -> None:
        async with database.transaction() as connection:
            await HistoryService(connection, clock).write(part, by=by)

    async def write_all(batch: Sequence[UUID]) -> None:
        async with free:
            for done in range(0, len(histories[batch[-1]]), turns_at_once):
                parts = {id_: histories[id_][done : done + turns_at_once] for id_ in batch}
                await with_retries(partial(write, {id_: part for id_, part in parts.items() if part}))

    ids = sorted(histories, key=lambda id_: (len(histories[id_]), id_))
    try:
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(ids), batch_accounts):
                group.create_task(write_all(ids[start : start + batch_accounts]))
    except BaseExceptionGroup as errors:  # one batch failed, the others were stopped: the caller gets the cause
        raise errors.exceptions[0] from errors
