from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.kit.security import operator as shop_owner
from regulars.loyalty.errors import InsufficientPoints
from regulars.loyalty.models import LoyaltyTransactionType as Kind
from tests.loyalty.shop import Shop, check_guards


async def test_a_refund_of_spent_points_makes_debt_that_the_next_award_settles(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    await shop.redeem(customer, 60)
    (taken,) = await shop.refund(customer, order, "100")
    assert (taken.due, taken.taken, taken.written_off) == (100, 100, 0)
    balance = await shop.balance(customer)
    assert (balance.balance, balance.spendable, balance.points_owed) == (-60, 0, 60)
    with pytest.raises(InsufficientPoints) as refusal:
        await shop.redeem(customer, 1)
    assert refusal.value.facts == {"spendable": 0, "points_owed": 60}
    await shop.earn(customer, 100)
    balance = await shop.balance(customer)
    assert (balance.balance, balance.spendable, balance.points_owed) == (40, 40, 0)


async def test_a_refund_takes_from_the_orders_own_lot_before_others(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, expiry_days=10)
    await shop.earn(customer, 100, expiry_days=90, order_id=order)
    await shop.refund(customer, order, "50")
    balance = await shop.balance(customer)
    assert [deadline.points for deadline in balance.deadlines] == [100, 50]


async def test_parts_add_up_to_the_whole(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    taken = [(await shop.refund(customer, order, so_far, of="3"))[0].taken for so_far in ("1", "2", "3")]
    assert taken == [33, 33, 34]


async def test_the_same_refund_counts_once(shop: Shop) -> None:
    customer, order, refund = await shop.member(), uuid4(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    first = await shop.refund(customer, order, "40", refund_id=refund)
    assert await shop.refund(customer, order, "40", refund_id=refund) == first
    assert await shop.spendable(customer) == 60


async def test_expired_points_are_not_charged_twice(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, expiry_days=1, order_id=order)
    await shop.redeem(customer, 30)
    shop.wait(days=2)
    (taken,) = await shop.refund(customer, order, "100")
    assert (taken.due, taken.expired, taken.taken) == (100, 70, 30)
    assert (await shop.balance(customer)).points_owed == 30


async def test_a_refund_while_the_last_day_of_its_points_ends_takes_them_back(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, expiry_days=1, order_id=order)
    shop.wait(days=1)
    shop.pass_midnight()
    (taken,) = await shop.refund(customer, order, "100")
    assert (taken.taken, taken.expired) == (100, 0)
    await check_guards(shop.connection)


async def test_points_that_expired_after_a_redemption_was_undone_are_not_charged(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, expiry_days=1, order_id=order)
    redemption = await shop.redeem(customer, 100)
    shop.wait(days=2)
    await shop.restore(redemption.id)
    shop.wait(days=40)
    (taken,) = await shop.refund(customer, order, "100")
    assert (taken.expired, taken.taken, taken.transaction_id) == (100, 0, None)


@pytest.mark.parametrize("policy", ["cap_at_zero", "reduce_refund"])
async def test_a_programme_may_write_off_what_is_spent(shop: Shop, policy: str) -> None:
    await shop.change_programme(refund_policy=policy)
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    await shop.redeem(customer, 60)
    (taken,) = await shop.refund(customer, order, "100")
    assert (taken.taken, taken.written_off) == (40, 60)
    balance = await shop.balance(customer)
    assert (balance.balance, balance.lifetime_points) == (0, 0)


async def test_debt_stops_at_the_floor(shop: Shop) -> None:
    await shop.change_programme(debt_floor=-10)
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    await shop.redeem(customer, 100)
    (first,) = await shop.refund(customer, order, "5")
    assert (first.taken, first.written_off) == (5, 0)
    (second,) = await shop.refund(customer, order, "100")
    assert (second.taken, second.written_off) == (5, 90)
    assert (await shop.balance(customer)).points_owed == 10


async def test_a_refund_follows_the_rules_of_its_award(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 100, order_id=order)
    await shop.redeem(customer, 100)
    await shop.change_programme(refund_policy="cap_at_zero")
    await shop.refund(customer, order, "100")
    assert (await shop.balance(customer)).points_owed == 100


async def test_buying_and_returning_buys_no_tier(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 10_000, order_id=order)
    await shop.refund(customer, order, "100")
    balance = await shop.balance(customer)
    assert (balance.lifetime_points, balance.tier) == (0, "silver")  # the downgrade waits for the next review
    assert await shop.tiers.update_loyalty_tier(customer, by=shop_owner) == "bronze"


async def test_a_programme_may_downgrade_at_once(shop: Shop) -> None:
    await shop.change_programme(downgrades_at_once=True)
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, 10_000, order_id=order)
    await shop.refund(customer, order, "100")
    assert (await shop.balance(customer)).tier == "bronze"


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    earned=st.integers(1, 500),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    spent=st.integers(0, 500),
    waits=st.booleans(),
)
async def test_any_refunds_of_the_whole_take_back_what_was_earned_and_not_expired(
    shop: Shop, earned: int, steps: list[int], spent: int, *, waits: bool
) -> None:
    customer, order = await shop.member(), uuid4()
    await shop.earn(customer, earned, order_id=order, expiry_days=30)
    if spent := min(spent, earned):
        await shop.redeem(customer, spent)
    total, so_far, taken, expired = sum(steps), 0, 0, 0
    for number, step in enumerate(steps):
        if waits and number == len(steps) // 2:
            shop.wait(days=31)
        so_far += step
        for claw_back in await shop.refund(customer, order, str(so_far), of=str(total)):
            taken += claw_back.taken
            expired += claw_back.expired
    assert taken + expired == earned
    kinds = dict.fromkeys(Kind, 0) | {row.transaction_type: row.points for row in await shop.rows(customer, limit=100)}
    assert taken <= earned + kinds[Kind.EXPIRED]
    balance = await shop.balance(customer)
    assert balance.spendable == 0 or balance.points_owed == 0
    assert balance.lifetime_points == 0
