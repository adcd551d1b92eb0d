from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from regulars.customers.errors import CustomerErased
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal, operator
from regulars.loyalty.errors import (
    AlreadyCredited,
    CustomerInactive,
    InsufficientPoints,
    LimitExceeded,
    NotRestorable,
    SelfAdjustment,
)
from regulars.loyalty.limits import ClientLimits
from regulars.loyalty.models import Deadline
from regulars.loyalty.models import LoyaltyTransactionType as Kind
from tests.loyalty.shop import Shop, till


async def test_earning_writes_one_row_and_moves_the_balance(shop: Shop) -> None:
    customer = await shop.member()
    earned = await shop.earn(customer, 200, description="Purchase reward", order_id=uuid4(), expiry_days=365)
    assert (earned.seq, earned.points, earned.balance_before, earned.balance_after) == (1, 200, 0, 200)
    assert earned.transaction_type is Kind.EARNED
    assert earned.expires_at == datetime(2027, 6, 15, 22, 0, tzinfo=UTC)  # the end of 15 June in Berlin
    stored = await shop.ledger.get_transaction(earned.id)
    assert stored == earned
    assert stored.description == "Purchase reward"


async def test_the_expiry_of_an_award_is_its_own_or_the_programmes_or_never(shop: Shop) -> None:
    customer = await shop.member()
    assert (await shop.earn(customer, 1)).expires_at == datetime(2027, 6, 15, 22, 0, tzinfo=UTC)
    assert (await shop.earn(customer, 1, expiry_days=None)).expires_at is None
    assert (await shop.earn(customer, 1, expiry_days=1)).expires_at == datetime(2026, 6, 16, 22, 0, tzinfo=UTC)


async def test_an_order_earns_only_once(shop: Shop) -> None:
    customer, order = await shop.member(), uuid4()
    first = await shop.earn(customer, 10, order_id=order)
    with pytest.raises(AlreadyCredited) as refusal:
        await shop.earn(customer, 10, order_id=order)
    assert refusal.value.facts == {"transaction_id": first.id}


async def test_an_order_of_somebody_else_is_not_found(shop: Shop) -> None:
    customer, other, order = await shop.member(), await shop.member(), uuid4()
    await shop.earn(customer, 10, order_id=order)
    with pytest.raises(NotFound):
        await shop.earn(other, 10, order_id=order)


async def test_redeeming_uses_the_points_that_expire_soonest(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 50, expiry_days=None)
    await shop.earn(customer, 50, expiry_days=90)
    await shop.earn(customer, 50, expiry_days=30)
    await shop.redeem(customer, 70)
    balance = await shop.balance(customer)
    assert [deadline.points for deadline in balance.deadlines] == [30, 50]
    assert balance.deadlines[0].expires_at == datetime(2026, 9, 13, 22, 0, tzinfo=UTC)
    assert balance.spendable == 80


async def test_redeeming_more_than_there_is_says_how_much_there_is(shop: Shop) -> None:
    customer = await shop.member(points=20)
    with pytest.raises(InsufficientPoints) as refusal:
        await shop.redeem(customer, 21)
    assert refusal.value.facts == {"spendable": 20, "points_owed": 0}
    assert (await shop.redeem(customer, 20)).balance_after == 0


async def test_a_redemption_first_writes_off_what_is_due(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 30, expiry_days=1)
    await shop.earn(customer, 50, expiry_days=9)
    shop.wait(days=2)
    with pytest.raises(InsufficientPoints):
        await shop.redeem(customer, 51)
    await shop.redeem(customer, 50)
    rows = await shop.rows(customer)
    assert [(row.transaction_type, row.points) for row in rows[:2]] == [(Kind.REDEEMED, -50), (Kind.EXPIRED, -30)]


async def test_points_can_be_used_until_the_very_end_of_their_day(shop: Shop) -> None:
    customer = await shop.member()
    earned = await shop.earn(customer, 10, expiry_days=1)
    shop.wait(to=earned.expires_at.replace(hour=21, minute=59, second=59))
    assert await shop.spendable(customer) == 10
    shop.wait(to=earned.expires_at)
    assert await shop.spendable(customer) == 0
    with pytest.raises(InsufficientPoints):
        await shop.redeem(customer, 1)


async def test_the_balance_knows_what_expires_when(shop: Shop) -> None:
    customer = await shop.member()
    for days, points in ((30, 1), (31, 2), (60, 4), (90, 8), (91, 16), (None, 32)):
        await shop.earn(customer, points, expiry_days=days)
    balance = await shop.balance(customer)
    assert (balance.expiring_30_days, balance.expiring_60_days, balance.expiring_90_days) == (1, 7, 15)
    assert balance.next_deadline == Deadline(datetime(2026, 7, 15, 22, 0, tzinfo=UTC), 1)
    assert sum(deadline.points for deadline in balance.deadlines) == balance.spendable == 63
    soon = await shop.expiring(customer, days=31)
    assert [deadline.points for deadline in soon] == [1, 2]


async def test_a_customer_without_points_has_an_empty_balance(shop: Shop) -> None:
    balance = await shop.balance(await shop.member())
    assert (balance.balance, balance.spendable, balance.lifetime_points, balance.tier) == (0, 0, 0, "bronze")
    assert (balance.next_tier, balance.points_to_next_tier, balance.next_deadline) == ("silver", 10_000, None)


@pytest.mark.parametrize("state", [{"erased": True}, {"deleted": True}])
async def test_points_of_people_who_are_gone_are_not_found(shop: Shop, state: dict[str, bool]) -> None:
    customer = await shop.member(**state)
    for attempt in (shop.earn(customer, 1), shop.redeem(customer, 1), shop.spendable(customer)):
        with pytest.raises(NotFound):
            await attempt


async def test_those_who_see_names_learn_that_a_customer_was_erased(shop: Shop) -> None:
    customer = await shop.member(erased=True)
    with pytest.raises(CustomerErased) as refusal:
        await shop.balance(customer, by=operator)
    assert refusal.value.facts == {"erased_at": shop.clock.now()}


async def test_points_of_a_deactivated_customer_stay_as_they_are(shop: Shop) -> None:
    customer = await shop.member(points=10)
    await shop.connection.execute("UPDATE customers SET is_active = false")
    for attempt in (shop.earn(customer, 1), shop.redeem(customer, 1), shop.adjust(customer, 1)):
        with pytest.raises(CustomerInactive):
            await attempt
    assert await shop.spendable(customer) == 10


async def test_adjustments_add_and_subtract_and_do_not_count_for_the_tier(shop: Shop) -> None:
    customer = await shop.member()
    added = await shop.adjust(customer, 20_000)
    assert (added.points, added.reason_code) == (20_000, "goodwill")
    assert (await shop.adjust(customer, -5_000)).balance_after == 15_000
    balance = await shop.balance(customer)
    assert (balance.lifetime_points, balance.tier) == (0, "bronze")
    with pytest.raises(InsufficientPoints):
        await shop.adjust(customer, -15_001)


async def test_staff_adjust_up_to_their_limit_and_never_themselves(shop: Shop) -> None:
    customer = await shop.member()
    clerk = Principal(id=uuid4(), kind="user", role="staff", scopes=frozenset(), customer_id=uuid4())
    await shop.adjust(customer, 1000, by=clerk)
    with pytest.raises(LimitExceeded):
        await shop.adjust(customer, 1001, by=clerk)
    owner = Principal(id=uuid4(), kind="user", role="admin", scopes=frozenset(), customer_id=customer)
    with pytest.raises(SelfAdjustment):
        await shop.adjust(customer, 1, by=owner)


async def test_points_that_a_client_did_not_move_come_off_the_day_that_they_were_counted_on(shop: Shop) -> None:
    await shop.connection.execute(
        "INSERT INTO api_clients (id, name, secret_hash, scopes, source, created_at, updated_at)"
        " VALUES (%s, 'till', '', '{}', 'till', now(), now())",
        [till.id],
    )
    shop.pass_midnight()
    limits, capped = ClientLimits(shop.connection, shop.clock), replace(till, max_points_per_day=100)
    await limits.take(100, by=capped)
    await limits.give_back(40, by=capped)
    cursor = await shop.connection.execute("SELECT points FROM loyalty_client_days")
    assert await cursor.fetchall() == [(60,)]


async def test_restored_points_return_to_their_lots(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 50, expiry_days=30)
    await shop.earn(customer, 50, expiry_days=60)
    before = await shop.balance(customer)
    redemption = await shop.redeem(customer, 80)
    restored = await shop.restore(redemption.id)
    assert (restored.points, restored.reverses_transaction_id) == (80, redemption.id)
    assert await shop.balance(customer) == before
    with pytest.raises(NotRestorable) as refusal:
        await shop.restore(redemption.id)
    assert refusal.value.facts == {"restorable": 0}


async def test_a_redemption_can_be_restored_in_parts_up_to_what_it_took(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 50, expiry_days=30)
    await shop.earn(customer, 50, expiry_days=60)
    redemption = await shop.redeem(customer, 100)
    await shop.restore(redemption.id, 60)
    balance = await shop.balance(customer)
    assert [deadline.points for deadline in balance.deadlines] == [10, 50]  # used last, back first
    with pytest.raises(NotRestorable):
        await shop.restore(redemption.id, 41)
    await shop.restore(redemption.id, 40)
    assert await shop.spendable(customer) == 100


async def test_points_whose_time_has_passed_come_back_with_days_of_grace(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 50, expiry_days=10)
    redemption = await shop.redeem(customer, 50)
    shop.wait(days=20)
    restored = await shop.restore(redemption.id)
    assert restored.expires_at == datetime(2026, 8, 4, 22, 0, tzinfo=UTC)
    assert await shop.spendable(customer) == 50
    shop.wait(days=31)
    assert await shop.spendable(customer) == 0


async def test_only_redemptions_can_be_restored(shop: Shop) -> None:
    customer = await shop.member()
    earned = await shop.earn(customer, 50)
    with pytest.raises(NotRestorable):
        await shop.restore(earned.id)
    with pytest.raises(NotFound):
        await shop.restore(uuid4())


async def test_the_welcome_bonus_is_given_once(shop: Shop) -> None:
    customer = await shop.member()
    assert (await shop.loyalty.give_welcome_bonus(customer, by=operator)).points == 100
    assert await shop.loyalty.give_welcome_bonus(customer, by=operator) is None
    await shop.change_programme(welcome_bonus_points=0)
    assert await shop.loyalty.give_welcome_bonus(await shop.member(), by=operator) is None


async def test_the_ledger_can_be_read_in_pages_and_by_kind(shop: Shop) -> None:
    customer = await shop.member()
    for _ in range(5):
        await shop.earn(customer, 10)
    shop.wait(days=1)
    await shop.redeem(customer, 5)
    rows = await shop.rows(customer, limit=4)
    assert [row.seq for row in rows] == [6, 5, 4, 3]
    rest = await shop.rows(customer, before_seq=3)
    assert [row.seq for row in rest] == [2, 1]
    spent = await shop.rows(customer, transaction_type=Kind.REDEEMED)
    assert [row.seq for row in spent] == [6]
    assert len(await shop.rows(customer, until=shop.clock.now())) == 5
    assert len(await shop.rows(customer, since=shop.clock.now())) == 1
