from datetime import date
from uuid import UUID, uuid4

import pytest

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.bulk import BulkRejected
from regulars.kit.errors import NotFound
from regulars.kit.security import operator
from regulars.loyalty.repository_accounts import LoyaltyAccountRepository
from regulars.loyalty.schemas import BulkLoyaltyTierUpdate
from tests.loyalty.shop import Shop


async def test_earning_lifts_the_tier_at_once(shop: Shop) -> None:
    customer = await shop.member(points=9_999)
    assert (await shop.balance(customer)).tier is LoyaltyTier.BRONZE
    await shop.earn(customer, 1)
    balance = await shop.balance(customer)
    assert (balance.tier, balance.next_tier, balance.points_to_next_tier) == ("silver", "gold", 40_000)
    assert await shop.tier_changes(customer) == [("bronze", "silver", False, None)]


async def test_redeeming_and_expiry_do_not_touch_the_tier(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 10_000, expiry_days=1)
    await shop.redeem(customer, 4_000)
    shop.wait(days=2)
    await shop.expire()
    balance = await shop.balance(customer)
    assert (balance.lifetime_points, balance.tier, balance.balance) == (10_000, "silver", 0)


async def test_a_tier_set_by_hand_stays_until_a_higher_one_is_earned(shop: Shop) -> None:
    customer = await shop.member(points=20_000)
    assert await shop.tiers.update_loyalty_tier(customer, LoyaltyTier.BRONZE, reason="x", by=operator) == "bronze"
    await shop.earn(customer, 10)
    assert (await shop.balance(customer)).tier == "bronze"
    assert await shop.tiers.update_loyalty_tier(customer, by=operator) == "bronze"
    await shop.earn(customer, 30_000)
    balance = await shop.balance(customer)
    assert (balance.tier, balance.tier_is_manual) == ("gold", False)


async def test_a_tier_set_by_hand_ends_with_its_last_day(shop: Shop) -> None:
    customer = await shop.member(points=10)
    await shop.tiers.update_loyalty_tier(
        customer, LoyaltyTier.PLATINUM, reason="a guest", until=date(2026, 6, 20), by=operator
    )
    shop.wait(days=5)
    assert await shop.tiers.update_loyalty_tier(customer, by=operator) == "platinum"
    shop.wait(days=1)
    assert (await shop.balance(customer)).tier == "bronze"
    await shop.earn(customer, 10)
    balance = await shop.balance(customer)
    assert (balance.tier, balance.tier_is_manual, balance.tier_until) == ("bronze", False, None)
    assert await shop.tier_changes(customer) == [
        ("bronze", "platinum", True, "a guest"),
        ("platinum", "bronze", False, None),
    ]


async def test_many_tiers_are_set_at_once_with_an_outcome_for_each(shop: Shop) -> None:
    first, second, gone = await shop.member(), await shop.member(), await shop.member(deleted=True)
    update = BulkLoyaltyTierUpdate(customer_ids=[second, uuid4(), first, gone], tier="gold", reason="opening day")
    outcome = await shop.tiers.bulk_update_tier(update, by=operator)
    assert [item.outcome for item in outcome.items] == ["changed", "failed", "changed", "failed"]
    again = await shop.tiers.bulk_update_tier(update, by=operator)
    assert [item.outcome for item in again.items] == ["unchanged", "failed", "unchanged", "failed"]
    assert (await shop.balance(first)).tier == "gold"


async def test_all_tiers_or_none(shop: Shop) -> None:
    customer = await shop.member()
    update = BulkLoyaltyTierUpdate(customer_ids=[customer, uuid4()], tier="gold", reason="x", atomic=True)
    with pytest.raises(BulkRejected):
        await shop.tiers.bulk_update_tier(update, by=operator)
    assert (await shop.balance(customer)).tier == "bronze"


async def test_the_tier_of_nobody_is_not_found(shop: Shop) -> None:
    with pytest.raises(NotFound):
        await shop.tiers.update_loyalty_tier(uuid4(), by=operator)


async def test_a_review_sets_the_tiers_that_no_longer_fit(shop: Shop) -> None:
    returned, guest, owner = await shop.member(), await shop.member(), await shop.member()
    await shop.earn(returned, 10_000, order_id=returned)
    await shop.refund(returned, returned, "100")
    for customer, until in ((guest, date(2026, 6, 16)), (owner, None)):
        await shop.tiers.update_loyalty_tier(customer, LoyaltyTier.GOLD, reason="x", until=until, by=operator)
    assert await shop.tiers.review_tiers(limit=1, by=operator) == 1
    assert await shop.tiers.review_tiers(by=operator) == 0
    shop.wait(days=2)
    assert await shop.tiers.review_tiers(by=operator) == 1
    tiers = [(await shop.balance(customer)).tier for customer in (returned, guest, owner)]
    assert tiers == ["bronze", "bronze", "gold"]


async def test_a_tier_that_somebody_else_set_right_meanwhile_is_not_changed_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await shop.member(points=10)

    async def found_before(*_: object, **__: object) -> list[UUID]:
        return [customer]

    monkeypatch.setattr(LoyaltyAccountRepository, "get_accounts_to_review", found_before)
    assert await shop.tiers.review_tiers(by=operator) == 0
    assert await shop.tier_changes(customer) == []
