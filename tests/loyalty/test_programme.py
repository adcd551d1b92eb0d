from decimal import Decimal
from uuid import uuid4

import pytest

from regulars.formulas.earning import OrderAmounts
from regulars.kit.security import operator
from regulars.loyalty.errors import ProgrammeChanged, TiersDoNotRise
from regulars.loyalty.programme import ProgrammeService
from regulars.loyalty.schemas_programme import LoyaltyProgrammeUpdate
from tests.loyalty.shop import Shop, till


async def test_a_change_adds_a_version_and_awards_keep_theirs(shop: Shop) -> None:
    customer = await shop.member()
    before = await shop.earn(customer, 1)
    await shop.change_programme(points_per_unit=Decimal(2), expiry_days=10)
    after = await shop.earn(customer, 1)
    assert (before.programme_version, after.programme_version) == (1, 2)
    history = await ProgrammeService(shop.connection, shop.clock).get_programme_history()
    assert [(one.version, one.points_per_unit, one.expiry_days) for one in history] == [(2, 2, 10), (1, 1, 365)]
    assert history[0].welcome_bonus_points == history[1].welcome_bonus_points == 100


async def test_a_change_made_from_an_old_version_is_refused(shop: Shop) -> None:
    await shop.change_programme(expiry_days=10)
    service = ProgrammeService(shop.connection, shop.clock)
    with pytest.raises(ProgrammeChanged) as refusal:
        await service.change_programme(LoyaltyProgrammeUpdate(based_on=1, expiry_days=20), by=operator)
    assert refusal.value.facts == {"version": 2}


async def test_tiers_that_do_not_rise_are_refused(shop: Shop) -> None:
    with pytest.raises(TiersDoNotRise):
        await shop.change_programme(silver_from=60_000)


async def test_an_order_earns_by_the_programme(shop: Shop) -> None:
    await shop.change_programme(points_per_unit=Decimal("0.5"), earning_base="without_tax")
    customer = await shop.member()
    award = await shop.loyalty.award_order(
        customer, uuid4(), OrderAmounts(Decimal("124.99"), Decimal("20.00"), Decimal("5.00")), by=till
    )
    assert award is not None
    assert (award.points, award.rule, award.programme_version) == (50, "purchase", 2)
    assert await shop.loyalty.award_order(customer, uuid4(), OrderAmounts(Decimal("1.99")), by=till) is None
