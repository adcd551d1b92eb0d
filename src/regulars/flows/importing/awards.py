"""Points for imported orders, by the programme, through the same path as any bulk award."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from regulars.flows.importing.repository_awards import PaidOrdersRepository
from regulars.flows.importing.repository_matching import Batch
from regulars.flows.importing.result import ImportResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.loyalty.bulk import AwardLine, AwardOutcome, BulkAwardService, batch_accounts, turns_at_once
from regulars.loyalty.repository_programmes import ProgrammeRepository
from regulars.loyalty.retries import with_retries


class OrderAwards:
    """Awards what the orders of a batch earn: each order once, whoever else awards it."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._paid = PaidOrdersRepository(connection)
        self.orders = 0
        self.points = 0

    async def award(self, batch: Batch) -> None:
        """Award the paid orders of active customers in a batch that have earned nothing yet.

        Each transaction has up to 500 customers. When the import is killed between two of them, the next import of the
        file finds the orders written and the awards missing.
        """
        programme = await ProgrammeRepository(self._connection).current()
        lines = []
        for order in await self._paid.get_unawarded(batch.number):
            points = programme.points_for_order(order.amounts)
            if points:
                lines.append(AwardLine(order.customer_id, points, order.id))
        for portion in _portions(lines):
            outcomes = await with_retries(partial(self._earn, portion))
            for (_, line), outcome in zip(portion, sorted(outcomes, key=lambda outcome: outcome.line), strict=True):
                if outcome.transaction_id:
                    self.orders += 1
                    self.points += line.points

    def added_to(self, result: ImportResult) -> ImportResult:
        """The result of an import, with what was awarded."""
        return replace(result, points=self.points, orders_awarded=self.orders)

    async def _earn(self, portion: Sequence[tuple[int, AwardLine]]) -> list[AwardOutcome]:
        async with self._connection.transaction():
            return await BulkAwardService(self._connection, self._clock).earn(portion, by=operator)


def _portions(lines: Sequence[AwardLine]) -> Iterator[list[tuple[int, AwardLine]]]:
    """Numbered lines of up to 500 customers each, and of each customer up to two, in their order.

    Customers with equally many orders come together, because the lines of one customer are written one after the other:
    a few with many orders would keep the others waiting.
    """
    by_customer: dict[UUID, list[AwardLine]] = defaultdict(list)
    for line in lines:
        by_customer[line.customer_id].append(line)
    customers = sorted(by_customer.values(), key=len)
    for start in range(0, len(customers), batch_accounts):
        together = customers[start : start + batch_accounts]
        for done in range(0, len(together[-1]), turns_at_once):
            yield list(enumerate(line for some in together for line in some[done : done + turns_at_once]))
