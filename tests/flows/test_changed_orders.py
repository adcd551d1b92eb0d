"""The points of an order follow it, whichever way a change of it comes in."""

import random
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regulars.flows import import_orders as flow
from regulars.flows.follow_orders import follow_changed_orders
from regulars.flows.refund_order import cancel_order, refund_order
from regulars.kit.database import Database, connect
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService
from regulars.loyalty.schemas import LoyaltyPointsEarn
from regulars.loyalty.service import LoyaltyService
from regulars.orders.models import OrderName
from regulars.orders.schemas_refunds import OrderCancel, RefundCreate
from tests.flows.shop import Shop

header = "order_id,ordered_at,total,shipping_total,email,status\n"


def line(total: str, status: str = "paid", *, order: str = "1", shipping: str = "0", email: str = "a") -> str:
    return f"{order},2026-01-02,{total},{shipping},{email}@example.com,{status}\n"


async def load(shop: Shop, *lines: str, **options: bool) -> None:
    result = await shop.load(header + "".join(lines), **options)
    assert result.rejected == 0, shop.codes


async def refund(shop: Shop, body: dict[str, Any], order: str = "1") -> None:
    async with connect(shop.url) as connection, connection.transaction():
        await refund_order(
            connection,
            OrderName("web", order),
            RefundCreate.model_validate({"refund_id": "R1"} | body),
            by=operator,
            settings=shop.settings,
            clock=shop.clock,
        )


async def counts(shop: Shop) -> dict[str, int]:
    async with connect(shop.url) as connection, connection.transaction():
        audit = await AuditService(connection).audit_ledger()
    return {rule: found for rule, found in audit.counts.items() if found}


def points(shop: Shop) -> tuple[int, int]:
    [found] = shop.query("SELECT balance, lifetime_points FROM loyalty_accounts")
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("atomic", [False, True])
async def test_an_order_cancelled_by_import_gives_its_points_back(shop: Shop, *, atomic: bool) -> None:
    await load(shop, line("33.00"), award=True)
    assert points(shop) == (33, 33)
    await load(shop, line("33.00", "cancelled"), atomic=atomic)
    assert points(shop) == (0, 0)
    assert shop.query("SELECT status FROM orders") == [("cancelled",)]
    assert await counts(shop) == {}


async def test_a_part_that_was_refunded_does_not_keep_an_import_from_cancelling(shop: Shop) -> None:
    await load(shop, line("100"), award=True)
    await refund(shop, {"amount": "30.00"})
    await load(shop, line("100", "cancelled"))
    assert shop.query("SELECT status, cancelled_on FROM orders") == [("cancelled", shop.clock.today())]
    assert points(shop) == (0, 0)
    assert shop.wrong_metrics() == []


async def test_a_total_lowered_to_what_was_refunded_leaves_no_points(shop: Shop) -> None:
    await load(shop, line("100"), award=True)
    await refund(shop, {"amount": "40.00"})
    await load(shop, line("40"))
    assert shop.query("SELECT status FROM orders") == [("refunded",)]
    assert points(shop) == (0, 0)
    assert await counts(shop) == {}


@pytest.mark.parametrize("award", [False, True])
async def test_a_lowered_order_keeps_what_it_would_have_earned(shop: Shop, *, award: bool) -> None:
    await load(shop, line("100"), award=True)
    await load(shop, line("40"), award=award)
    assert points(shop) == (40, 40)
    await refund(shop, {"amount": "20.00"})
    assert points(shop) == (20, 20)
    await refund(shop, {"amount": "20.00", "refund_id": "R2"})
    assert points(shop) == (0, 0)
    assert await counts(shop) == {}


@pytest.mark.parametrize("award", [False, True])
async def test_a_raised_order_earns_the_difference(shop: Shop, *, award: bool) -> None:
    await load(shop, line("40.50"), award=True)
    await load(shop, line("100.50"), award=award)
    assert points(shop) == (100, 100)
    await load(shop, line("70"), award=award)
    assert points(shop) == (70, 70)
    await load(shop, line("90"), award=award)
    await load(shop, line("90"), award=award)
    assert points(shop) == (90, 90)
    await refund(shop, {"amount": "90.00"})
    assert points(shop) == (0, 0)
    assert await counts(shop) == {}


async def test_a_changed_order_that_earned_nothing_earns_nothing(shop: Shop) -> None:
    await load(shop, line("100"))
    await load(shop, line("150"))
    await load(shop, line("150", "cancelled"))
    assert shop.query("SELECT count(*) FROM loyalty_transactions") == [(0,)]
    assert shop.query("SELECT count(*) FROM award_bases") == [(0,)]


async def test_points_of_a_tills_own_rules_follow_in_proportion(shop: Shop) -> None:
    await load(shop, line("100"), award=True)
    await load(shop, line("100", order="2"))
    [(customer, order)] = shop.query("SELECT customer_id, id FROM orders WHERE external_id = '2'")
    async with connect(shop.url) as connection, connection.transaction():
        await shop_award(shop, connection, customer, order, 300)
    await load(shop, line("40", order="2"))
    assert points(shop) == (220, 220)
    await load(shop, line("60", order="2"))
    await refund(shop, {"amount": "30.00"}, order="2")
    assert points(shop) == (190, 190)
    assert await counts(shop) == {}


async def test_a_cancelled_order_is_not_taken_up_again_by_either_way(shop: Shop) -> None:
    await load(shop, line("33"), award=True)
    async with connect(shop.url) as connection, connection.transaction():
        await cancel_order(
            connection, OrderName("web", "1"), OrderCancel(), by=operator, settings=shop.settings, clock=shop.clock
        )
    assert (await shop.load(header + line("33"))).unchanged == 1  # as it was sent before
    for changed in (line("33", "fulfilled"), line("34")):
        await shop.load(header + changed, award=True)
        assert shop.codes == {2: "order-cancelled"}
    assert shop.query("SELECT status, total FROM orders") == [("cancelled", Decimal(33))]
    assert points(shop) == (0, 0)


async def test_no_order_goes_back_to_a_status_that_it_has_passed(shop: Shop) -> None:
    await load(shop, line("10", "fulfilled"))
    await load(shop, line("10", "pending"))
    assert shop.query("SELECT status FROM orders") == [("fulfilled",)]


async def test_who_is_not_active_loses_points_of_lowered_orders_and_earns_none_of_raised_ones(shop: Shop) -> None:
    await load(shop, line("50"), award=True)
    shop.query("UPDATE customers SET is_active = false")
    await load(shop, line("80"))
    assert points(shop) == (50, 50)
    await load(shop, line("20"))
    assert points(shop) == (20, 20)


async def test_an_import_killed_before_the_points_followed_is_caught_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(shop, line("33"), line("50", order="2", email="b"), award=True)

    async def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(flow, "follow_some", killed)
        with pytest.raises(KeyboardInterrupt):
            await load(shop, line("33", "cancelled"), line("20", order="2", email="b"))
    assert shop.query("SELECT sum(balance) FROM loyalty_accounts") == [(83,)]
    assert await counts(shop) == {}  # they are noted
    async with Database(shop.url, size=1) as database:
        assert await follow_changed_orders(database, shop.clock) == 2
        assert await follow_changed_orders(database, shop.clock) == 0
    assert shop.query("SELECT sum(balance) FROM loyalty_accounts") == [(20,)]
    assert await counts(shop) == {}


async def test_the_next_import_catches_up_too(shop: Shop) -> None:
    await load(shop, line("33"), award=True)
    shop.query("UPDATE orders SET status = 'cancelled', cancelled_on = ordered_on")
    assert await counts(shop) == {"void_orders": 1}
    shop.query("INSERT INTO award_bases SELECT customer_id, id, total, 0, 0, 0, 0, NULL, false, now() FROM orders")
    await load(shop, line("10", order="2"))
    assert points(shop) == (0, 0)
    assert await counts(shop) == {}


async def test_many_changed_orders_take_few_statements(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = [line("50", order=str(number), email=f"c{number}") for number in range(300)]
    await load(shop, *everybody, award=True)
    statements = count()
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, *args: Any, **more: Any) -> Any:
        next(statements)
        return await execute(self, *args, **more)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    await load(shop, *[text.replace(",50,", ",20,") for text in everybody])
    assert next(statements) < 120
    assert shop.query("SELECT DISTINCT balance FROM loyalty_accounts") == [(20,)]


runs = count(1)


@hypothesis_settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    totals=st.lists(st.integers(0, 20_000), min_size=1, max_size=5),
    shipping=st.integers(0, 500),
    refunded=st.integers(0, 100),
    seed=st.integers(0, 99),
)
async def test_whatever_an_order_went_through_it_has_the_points_of_what_it_is(
    shop: Shop, totals: list[int], shipping: int, refunded: int, seed: int
) -> None:
    """The points of an order that came as it is now, with the same refund after."""
    chance = random.Random(seed)  # noqa: S311 - invented orders need no secrets
    number = next(runs)
    changed, plain = (f"{number}-{kind}" for kind in ("changed", "plain"))
    amount = Decimal(min(totals) * refunded // 100) / 100
    after = chance.randrange(len(totals))
    for place, cents in enumerate(totals):
        text = line(f"{Decimal(cents + shipping) / 100}", order=changed, shipping=f"{Decimal(shipping) / 100}")
        await load(shop, text, award=True)
        if place == after and amount:
            await refund(shop, {"amount": f"{amount:.2f}"}, order=changed)
    await load(shop, text.replace(changed, plain), award=True)
    if amount:
        await refund(shop, {"amount": f"{amount:.2f}"}, order=plain)
    left = shop.query(
        """
        SELECT sum(t.points) - coalesce(sum((SELECT sum(due) FROM point_clawbacks c WHERE c.award_id = t.id)), 0)
        FROM loyalty_transactions t JOIN orders o ON o.customer_id = t.customer_id AND o.id = t.order_id
        WHERE t.transaction_type = 'EARNED' AND o.external_id = ANY(%s) GROUP BY o.id
        """,
        [[changed, plain]],
    )
    assert len({found for (found,) in left} | ({0} if len(left) < 2 else set())) == 1
    assert await counts(shop) == {}


async def shop_award(shop: Shop, connection: Any, customer: Any, order: Any, given_points: int) -> None:
    earn = LoyaltyPointsEarn(customer_id=customer, points=given_points, order_id=order)
    await LoyaltyService(connection, shop.settings, shop.clock).earn_loyalty_points(earn, by=operator)
