"""Random sequences of everything that can happen to points, compared step by step with the model."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.errors import Refusal
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.bulk import AwardLine, BulkAwardService
from tests.conftest import as_owner
from tests.loyalty.shop import Shop, till
from tests.stateful.ledger_model import Customer, LedgerModel, Refused, zone

Result = TypeVar("Result")
start = datetime(2028, 2, 20, 10, tzinfo=UTC)  # a leap year, before the clocks change
points = st.integers(1, 300)
expiry_days = st.sampled_from([None, 1, 9, 36, 365])
who = st.integers(0, 2)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self, connection: Connection, runner: asyncio.Runner) -> None:
        super().__init__()
        self.run_async = runner.run
        self.stack = AsyncExitStack()
        self.shop: Shop = self.run_async(self.enter(connection))
        self.model = LedgerModel(start)
        self.ids: list[UUID] = []
        self.refunds: list[tuple[int, UUID, UUID, int]] = []

    async def enter(self, connection: Connection) -> Shop:
        await self.stack.enter_async_context(connection.transaction(force_rollback=True))
        return Shop(connection, Settings(_env_file=None), Clock(zone, stopped_at=start))

    def teardown(self) -> None:
        self.run_async(self.leave())

    async def leave(self) -> None:
        """Roll the example back, and sweep away its rows, which later audits would read past."""
        await self.stack.aclose()
        async with as_owner(self.shop.connection):
            await self.shop.connection.execute(
                "VACUUM loyalty_accounts, loyalty_transactions, point_lots, point_allocations"
            )

    # One step: the same thing in both worlds, with the same outcome

    def both(self, real: Callable[[], Awaitable[Any]], model: Callable[[], Result]) -> tuple[Any, Result | None]:
        with _outcome() as expected:
            expected.value = model()
        with _outcome() as found:
            found.value = self.run_async(self.commit(real))
        assert found.refusal == expected.refusal
        return found.value, expected.value

    async def commit(self, real: Callable[[], Awaitable[Any]]) -> Any:
        async with self.shop.connection.transaction():
            result = await real()
            await self.shop.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await self.shop.connection.execute("SET CONSTRAINTS ALL DEFERRED")
        return result

    def customer(self, index: int) -> tuple[UUID, Customer]:
        return self.ids[index], self.model.customers[index]

    @initialize()
    def three_customers(self) -> None:
        for index in range(3):
            self.ids.append(self.run_async(self.shop.member()))
            self.model.customers[index] = Customer()

    @rule(index=who, points=points | st.just(9_000), days=expiry_days, order=st.none() | st.uuids(version=4))
    def earn(self, index: int, points: int, days: int | None, order: UUID | None) -> None:
        id_, customer = self.customer(index)
        self.both(
            lambda: self.shop.earn(id_, points, expiry_days=days, order_id=order),
            lambda: self.model.earn(customer, points, days, order),
        )

    @precondition(lambda self: any(customer.awards for customer in self.model.customers.values()))
    @rule(data=st.data(), index=who)
    def earn_again_for_an_order(self, data: st.DataObject, index: int) -> None:
        id_, customer = self.customer(index)
        assume(customer.awards)
        order = data.draw(st.sampled_from(list(customer.awards)))
        self.both(lambda: self.shop.earn(id_, 5, order_id=order), lambda: self.model.earn(customer, 5, 365, order))

    @rule(lines=st.lists(st.tuples(who, points, expiry_days), min_size=1, max_size=6))
    def earn_in_bulk(self, lines: list[tuple[int, int, int | None]]) -> None:
        numbered = list(enumerate(AwardLine(self.ids[index], count, expiry_days=days) for index, count, days in lines))
        service = BulkAwardService(self.shop.connection, self.shop.clock)
        outcomes = self.run_async(self.commit(lambda: service.earn(numbered, by=till)))
        refused = {outcome.line for outcome in outcomes if outcome.refusal}
        # lots of one turn are equal but for their number, so the order between customers does not matter
        for number, (index, count, days) in enumerate(lines):
            customer = self.model.customers[index]
            assert (number in refused) is not customer.active
            if customer.active:
                self.model.earn(customer, count, days)

    @rule(index=who, points=points)
    def redeem(self, index: int, points: int) -> None:
        id_, customer = self.customer(index)
        written, redemption = self.both(
            lambda: self.shop.redeem(id_, points), lambda: self.model.redeem(customer, points)
        )
        if redemption:
            customer.redemptions[written.id] = redemption

    @rule(index=who, share=st.fractions(Fraction(1, 4), 1))
    def redeem_a_share(self, index: int, share: Fraction) -> None:
        wanted = int(self.model.spendable(self.model.customers[index]) * share)
        assume(wanted)
        self.redeem(index, wanted)

    @precondition(lambda self: any(customer.redemptions for customer in self.model.customers.values()))
    @rule(data=st.data(), index=who, share=st.sampled_from([Fraction(1, 3), Fraction(1), Fraction(2)]))
    def restore(self, data: st.DataObject, index: int, share: Fraction) -> None:
        _, customer = self.customer(index)
        assume(customer.redemptions)
        redemption_id, redemption = data.draw(st.sampled_from(list(customer.redemptions.items())))
        count = max(1, int(sum(used for _, used in redemption.uses) * share))
        self.both(
            lambda: self.shop.restore(redemption_id, count),
            lambda: self.model.restore(customer, redemption, count),
        )

    @rule(index=who, points=st.integers(-200, 200).filter(bool), days=expiry_days)
    def adjust(self, index: int, points: int, days: int | None) -> None:
        id_, customer = self.customer(index)
        more = {"expiry_days": days} if points > 0 else {}
        self.both(lambda: self.shop.adjust(id_, points, **more), lambda: self.model.adjust(customer, points, days))

    @precondition(lambda self: any(customer.awards for customer in self.model.customers.values()))
    @rule(data=st.data(), index=who, percent=st.sampled_from([1, 33, 50, 100]))
    def refund(self, data: st.DataObject, index: int, percent: int) -> None:
        _, customer = self.customer(index)
        assume(customer.awards)
        order = data.draw(st.sampled_from(list(customer.awards)))
        before = max((done for at, of, _, done in self.refunds if (at, of) == (index, order)), default=0)
        so_far = min(100, before + percent)
        assume(so_far > before)
        self.refunds.append((index, order, uuid4(), so_far))
        self.book_refund(*self.refunds[-1])

    @precondition(lambda self: self.refunds)
    @rule(data=st.data())
    def refund_again(self, data: st.DataObject) -> None:
        self.book_refund(*data.draw(st.sampled_from(self.refunds)))

    def book_refund(self, index: int, order: UUID, refund: UUID, so_far: int) -> None:
        id_, customer = self.customer(index)
        self.both(
            lambda: self.shop.refund(id_, order, str(so_far), refund_id=refund),
            lambda: self.model.refund(customer, order, refund, Fraction(so_far, 100)),
        )

    @rule()
    def run_the_expiry_job(self) -> None:
        due = sum(
            lot.points
            for customer in self.model.customers.values()
            for lot in customer.lots
            if not lot.live(self.model.now)
        )
        for customer in self.model.customers.values():
            self.model.write_off(customer)
        assert self.run_async(self.commit(self.shop.expire)).points == due
        assert self.run_async(self.commit(self.shop.expire)).points == 0

    @rule(hours=st.sampled_from([1, 13, 25, 24 * 8, 24 * 40]))
    def wait(self, hours: int) -> None:
        self.model.now += timedelta(hours=hours)
        self.shop.clock = replace(self.shop.clock, stopped_at=self.model.now)

    @rule(index=who)
    def deactivate_or_reactivate(self, index: int) -> None:
        id_, customer = self.customer(index)
        customer.active = not customer.active
        change = "UPDATE customers SET is_active = %s WHERE id = %s"
        self.run_async(self.shop.connection.execute(change, [customer.active, id_]))

    # After every step

    @invariant()
    def balances_and_lots_agree(self) -> None:
        self.run_async(self.compare())

    async def compare(self) -> None:
        for id_, customer in zip(self.ids, self.model.customers.values(), strict=True):
            balance = await self.shop.balance(id_)
            spendable = self.model.spendable(customer)
            assert balance.spendable == spendable
            assert balance.points_owed == customer.owed
            assert balance.balance == spendable - customer.owed
            assert balance.lifetime_points == customer.lifetime
            assert balance.tier == customer.tier
            assert {at.expires_at: at.points for at in balance.deadlines} == self.model.deadlines(customer)
            lots = await self.shop.ledger.get_open_lots(id_)
            assert [lot.remaining for lot in lots if not lot.is_due(self.model.now)] == [
                lot.points for lot in self.model.in_order(customer) if lot.points and lot.live(self.model.now)
            ]

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        audit = self.run_async(AuditService(self.shop.connection).audit_ledger())
        assert audit.violations == 0, audit.counts


class _Outcome:
    value: Any = None
    refusal: str | None = None


@contextmanager
def _outcome() -> Iterator[_Outcome]:
    outcome = _Outcome()
    try:
        yield outcome
    except Refused as refused:
        outcome.refusal = str(refused)
    except Refusal as refused:
        outcome.refusal = refused.slug()


@contextmanager
def _connected(url: str, runner: asyncio.Runner) -> Iterator[Connection]:
    """One connection for all examples, with plans that it makes once: planning would be most of the work."""
    stack = AsyncExitStack()
    connection = runner.run(stack.enter_async_context(connect(url)))
    runner.run(connection.execute("SET plan_cache_mode = force_generic_plan"))
    try:
        yield connection
    finally:
        runner.run(stack.aclose())


@pytest.mark.parametrize("examples", [int(os.environ.get("REGULARS_TEST_EXAMPLES", "200"))])
def test_the_ledger_does_what_the_model_does(database_url: str, examples: int) -> None:
    """200 examples of 50 steps; REGULARS_TEST_EXAMPLES asks for another number."""
    with asyncio.Runner() as runner, _connected(database_url, runner) as connection:
        run_state_machine_as_test(
            lambda: LedgerMachine(connection, runner),
            settings=settings(
                max_examples=examples,
                stateful_step_count=50,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
