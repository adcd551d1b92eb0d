"""How many points an account may have, and how many one order may earn."""

from decimal import Decimal
from uuid import uuid4

import pytest

from regulars.formulas.earning import OrderAmounts
from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.bounds import most_points_held, most_points_of_order
from regulars.kit.security import operator
from regulars.kit.validation import Validation
from regulars.loyalty.bulk import AwardLine, BulkAwardService, bulk_earn
from regulars.loyalty.schemas import AdjustmentType, LoyaltyPointsAdjust, LoyaltyPointsEarn
from tests.conftest import RolledBackDatabase
from tests.loyalty.shop import Shop, till


async def test_an_account_that_is_full_takes_no_more(shop: Shop, database: RolledBackDatabase) -> None:
    full, other = await shop.member(), await shop.member()
    outcomes = await bulk_earn(database, shop.clock, [AwardLine(full, most_points_held)], by=till)
    assert outcomes[0].transaction_id is not None
    with pytest.raises(Validation) as refused:
        await shop.loyalty.earn_loyalty_points(LoyaltyPointsEarn(customer_id=full, points=1), by=operator)
    assert refused.value.pointers() == ["/points"]
    added = LoyaltyPointsAdjust(
        customer_id=full, points=1, adjustment_type=AdjustmentType.ADJUSTED_ADD, reason="goodwill"
    )
    with pytest.raises(Validation):
        await shop.loyalty.adjust_loyalty_points(added, by=operator)
    both = await bulk_earn(database, shop.clock, [AwardLine(full, 1), AwardLine(other, 1)], by=till)
    assert [outcome.status for outcome in both] == ["refused", "earned"]
    # Awards that share a transaction: the one that cannot be given does not spoil the other.
    together = await BulkAwardService(shop.connection, shop.clock).earn_free(
        [(AwardLine(full, 1), till), (AwardLine(other, 1), till)]
    )
    assert [given is not None for given in together] == [False, True]
    assert await shop.spendable(full) == most_points_held
    assert await shop.spendable(other) == 2


@pytest.mark.parametrize(
    ("total", "is_taken"), [("1000000000000", True), ("1000000000000.99", True), ("1000000000001", False)]
)
async def test_one_order_earns_no_more_than_one_award_may_have(shop: Shop, total: str, *, is_taken: bool) -> None:
    member = await shop.member()
    if is_taken:
        earned = await shop.loyalty.award_order(member, uuid4(), OrderAmounts(Decimal(total)), by=operator)
        assert earned is not None
        assert (earned.points, (await shop.balance(member)).tier) == (most_points_of_order, LoyaltyTier.PLATINUM)
        return
    with pytest.raises(Validation) as refused:
        await shop.loyalty.award_order(member, uuid4(), OrderAmounts(Decimal(total)), by=operator)
    assert refused.value.pointers() == ["/total"]
