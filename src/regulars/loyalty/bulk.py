"""Awards to many customers, with a result for each line."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Literal
from uuid import UUID

from regulars.customers.errors import CustomerErased
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import NotFound, Refusal
from regulars.kit.security import Principal
from regulars.loyalty.errors import AlreadyCredited, CustomerInactive
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.limits import ClientLimits
from regulars.loyalty.models import ExpiryDays, LoyaltyAccount, LoyaltyTransaction, Programme
from regulars.loyalty.plans import award, too_many
from regulars.loyalty.retries import with_retries

batch_accounts = 500
# How often an account moves in one transaction of many: each move leaves a version of the row that the next must pass.
turns_at_once = 25


@dataclass(frozen=True)
class AwardLine:
    """One award of many; `trace_id` is that of the request that asks for it, if others ask too."""

    customer_id: UUID
    points: int
    order_id: UUID | None = None
    expiry_days: ExpiryDays = "programme"
    description: str | None = None
    metadata: Mapping[str, object] | None = None
    trace_id: str | None = None

    @property
    def rule(self) -> str:
        """An order earns once by its purchase, whichever way the award comes in."""
        return "purchase" if self.order_id else "award"


@dataclass(frozen=True)
class AwardOutcome:
    """What became of a line, by its place among the lines: its transaction, or why it was refused."""

    line: int
    transaction_id: UUID | None = None
    refusal: Refusal | None = None

    @property
    def status(self) -> Literal["earned", "refused"]:
        """Whether the points were given."""
        return "refused" if self.refusal else "earned"


@dataclass(frozen=True)
class _Orders:
    """What is known of the orders of a batch: who bought, who was credited, which were named in this turn."""

    buyers: Mapping[UUID, UUID]
    credited: Mapping[tuple[UUID, str], tuple[UUID, UUID]]
    seen: set[UUID] = field(default_factory=set)


class BulkAwardService:
    """Awards points to many customers in one transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)
        self._limits = ClientLimits(connection, clock)
        self._expiries: dict[ExpiryDays, datetime | None] = {}

    async def earn_all(self, lines: Sequence[AwardLine], *, by: Principal) -> list[AwardOutcome]:
        """Award many lines; one outcome for each, in the order given. A line that is refused does not touch the others.

        Raises:
            LimitExceeded: more points, in one line or in all, than the API client may move; nothing was awarded.
        """
        await self._limits.take(sum(line.points for line in lines), largest=max(line.points for line in lines), by=by)
        numbered = sorted(enumerate(lines), key=lambda item: item[1].customer_id)
        outcomes = [outcome for batch in batches_of_customers(numbered) for outcome in await self.earn(batch, by=by)]
        await self._limits.give_back(sum(lines[outcome.line].points for outcome in outcomes if outcome.refusal), by=by)
        return sorted(outcomes, key=lambda outcome: outcome.line)

    async def earn(self, lines: Sequence[tuple[int, AwardLine]], *, by: Principal) -> list[AwardOutcome]:
        """Award these numbered lines of at most 500 customers; those of one customer in the order given."""
        programme = await self._ledger.programmes.current()
        orders = [line.order_id for _, line in lines if line.order_id]
        buyers = await self._ledger.transactions.find_buyers(orders) if orders else {}
        outcomes: list[AwardOutcome] = []
        by_customer: dict[UUID, list[tuple[int, AwardLine]]] = defaultdict(list)
        for number, line in lines:
            by_customer[line.customer_id].append((number, line))
        for places in zip_longest(*by_customer.values()):
            turn = [place for place in places if place]  # the first has all customers, so they are locked in order
            accounts = await self._ledger.lock_many(sorted(line.customer_id for _, line in turn))
            named = [line.order_id for _, line in turn if line.order_id]
            credited = await self._ledger.transactions.find_awards(named) if named else {}
            by_id = {account.customer_id: account for account in accounts}
            outcomes += await self._earn_once(turn, by_id, _Orders(buyers, credited), programme, by)
        return await self._with_erased(outcomes, {number: line.customer_id for number, line in lines}, by)

    async def _with_erased(
        self, outcomes: list[AwardOutcome], customers: Mapping[int, UUID], by: Principal
    ) -> list[AwardOutcome]:
        """Say of a person who was erased that it was so, to callers who may know, as of an award alone."""
        missing = {
            outcome.line: customers[outcome.line] for outcome in outcomes if isinstance(outcome.refusal, NotFound)
        }
        if not missing or not by.sees_identifiers():
            return outcomes
        erased = await self._ledger.accounts.find_erased(list(missing.values()))
        return [
            replace(outcome, refusal=CustomerErased(erased_at=erased_at))
            if (erased_at := erased.get(missing.get(outcome.line)))
            else outcome
            for outcome in outcomes
        ]

    async def earn_free(self, awards: Sequence[tuple[AwardLine, Principal]]) -> list[LoyaltyTransaction | None]:
        """Award lines of different customers and orders, which different callers ask for, without waiting for anybody.

        Returns:
            A transaction for each line. None for one that is for `LoyaltyService` to award or to refuse: its account
            is held or was never opened, or something speaks against it.
        """
        ids = [line.customer_id for line, _ in awards]
        accounts = {account.customer_id: account for account in await self._ledger.lock_free(ids)}
        programme = await self._ledger.programmes.current()
        named = [line.order_id for line, _ in awards if line.order_id]
        buyers = await self._ledger.transactions.find_buyers(named) if named else {}
        orders = _Orders(buyers, await self._ledger.transactions.find_awards(named) if named else {})
        entries = {
            number: self._entry(account, line, programme, by)
            for number, (line, by) in enumerate(awards)
            if (account := accounts.get(line.customer_id)) and _refusal(line, account, orders) is None
        }
        written = iter(await self._ledger.write_all(list(entries.values())) if entries else [])
        return [next(written) if number in entries else None for number in range(len(awards))]

    async def _earn_once(
        self,
        turn: Sequence[tuple[int, AwardLine]],
        accounts: Mapping[UUID, LoyaltyAccount],
        orders: _Orders,
        programme: Programme,
        by: Principal,
    ) -> list[AwardOutcome]:
        """Award one line for each customer."""
        refused: list[AwardOutcome] = []
        accepted: list[tuple[int, Entry]] = []
        for number, line in turn:
            account = accounts.get(line.customer_id)
            refusal = _refusal(line, account, orders) if account else NotFound()
            if account is None or refusal:
                refused.append(AwardOutcome(number, refusal=refusal))
                continue
            if line.order_id:
                orders.seen.add(line.order_id)
            accepted.append((number, self._entry(account, line, programme, by)))
        if not accepted:
            return refused
        written = await self._ledger.write_all([entry for _, entry in accepted])
        earned = [
            AwardOutcome(number, transaction.id) for (number, _), transaction in zip(accepted, written, strict=True)
        ]
        return refused + earned

    def _entry(self, account: LoyaltyAccount, line: AwardLine, programme: Programme, by: Principal) -> Entry:
        if line.expiry_days not in self._expiries:  # a calendar lookup for each line would be a fifth of our work
            self._expiries[line.expiry_days] = self._ledger.expiry(line.expiry_days, programme)
        planned = award(
            account,
            line.points,
            programme=programme,
            rule=line.rule,
            order_id=line.order_id,
            expires_at=self._expiries[line.expiry_days],
            by=by,
            at=self._clock.now(),
        )
        if line.trace_id is not None:
            planned = replace(planned, trace_id=line.trace_id)
        return Entry(account, planned, programme, line.description, line.metadata)


def _refusal(line: AwardLine, account: LoyaltyAccount, orders: _Orders) -> Refusal | None:
    if account.is_gone:
        return NotFound()
    if not account.is_active:
        return CustomerInactive()
    if line.order_id is None:
        return too_many(account, line.points)
    is_others = orders.buyers.get(line.order_id, line.customer_id) != line.customer_id
    if is_others or line.order_id in orders.seen:  # seen: two customers of one batch claim one order
        return NotFound()
    owner, transaction_id = orders.credited.get((line.order_id, line.rule), (None, None))
    if owner is None:
        return too_many(account, line.points)
    return AlreadyCredited(transaction_id=transaction_id) if owner == line.customer_id else NotFound()


async def bulk_earn(
    database: Transactions, clock: Clock, lines: Sequence[AwardLine], *, by: Principal, at_once: int = 1
) -> list[AwardOutcome]:
    """Award many lines, 500 customers in a transaction; one outcome for each line, in the order given.

    A line that is refused does not touch the others. Lines of one customer keep their order.

    Args:
        database: Where the transactions are opened.
        clock: What time it is.
        lines: The awards.
        by: Who asks.
        at_once: How many transactions may run at the same time; each needs a connection. They share no customers.
    """
    free = asyncio.Semaphore(at_once)

    async def award(batch: Sequence[tuple[int, AwardLine]]) -> list[AwardOutcome]:
        async with free, database.transaction() as connection:
            return await BulkAwardService(connection, clock).earn(batch, by=by)

    numbered = sorted(enumerate(lines), key=lambda item: item[1].customer_id)
    batches = batches_of_customers(numbered)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(with_retries(partial(award, batch))) for batch in batches]
    except BaseExceptionGroup as errors:  # one batch failed, the others were stopped: the caller gets the cause
        raise errors.exceptions[0] from errors
    return sorted((outcome for task in tasks for outcome in task.result()), key=lambda outcome: outcome.line)


def batches_of_customers(numbered: Sequence[tuple[int, AwardLine]]) -> list[list[tuple[int, AwardLine]]]:
    """Split lines, sorted by customer, so that no batch has more than 500 customers and none is split."""
    batches: list[list[tuple[int, AwardLine]]] = []
    customers: set[UUID] = set()
    for item in numbered:
        customer_id = item[1].customer_id
        if not batches or (customer_id not in customers and len(customers) == batch_accounts):
            batches.append([])
            customers = set()
        customers.add(customer_id)
        batches[-1].append(item)
    return batches
