from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from regulars.kit.clock import Clock
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.closing import AccountClosing
from regulars.loyalty.expiry import Expired, expire_all
from regulars.loyalty.models import LoyaltyTransactionType as Kind
from tests.conftest import RolledBackDatabase
from tests.loyalty.shop import Shop, check_guards


@pytest.mark.parametrize(
    ("zone", "earned", "days", "end"),
    [
        ("Europe/Berlin", "2026-03-28T12:00Z", 1, "2026-03-29T22:00Z"),  # the clocks go forward on the 29th
        ("Europe/Berlin", "2026-10-24T12:00Z", 1, "2026-10-25T23:00Z"),  # and back on 25 October
        ("Europe/Berlin", "2026-06-15T21:59Z", 1, "2026-06-16T22:00Z"),  # still the 15th in Berlin
        ("Europe/Berlin", "2026-06-15T22:00Z", 1, "2026-06-17T22:00Z"),  # already the 16th
        ("UTC", "2028-02-29T12:00Z", 365, "2029-03-01T00:00Z"),  # 28 February 2029
        ("UTC", "2028-02-28T12:00Z", 1, "2028-03-01T00:00Z"),  # 29 February
        ("UTC", "2027-03-01T12:00Z", 365, "2028-03-01T00:00Z"),  # 29 February again
        ("Pacific/Kiritimati", "2026-06-15T11:00Z", 1, "2026-06-17T10:00Z"),  # 14 hours ahead
        ("Pacific/Pago_Pago", "2026-06-15T10:00Z", 1, "2026-06-16T11:00Z"),  # 11 hours behind: still the 14th
        ("Africa/Cairo", "2026-04-22T12:00Z", 1, "2026-04-23T22:00Z"),  # midnight of the 24th does not exist
    ],
)
async def test_points_live_until_the_end_of_the_stores_day(
    shop: Shop, zone: str, earned: str, days: int, end: str
) -> None:
    shop.clock = Clock(ZoneInfo(zone), stopped_at=datetime.fromisoformat(earned))
    customer = await shop.member()
    await shop.earn(customer, 10, expiry_days=days)
    moment = timedelta(microseconds=1)
    shop.wait(to=datetime.fromisoformat(end) - moment)
    assert await shop.spendable(customer) == 10
    assert await shop.expire() == Expired()
    shop.wait(to=datetime.fromisoformat(end))
    assert await shop.spendable(customer) == 0
    assert await shop.expire() == Expired(customers=1, lots=1, points=10)


async def test_a_run_writes_off_what_is_due_and_nothing_else(
    shop: Shop, database: RolledBackDatabase, settings: Settings
) -> None:
    customers = [await shop.member() for _ in range(3)]
    for customer in customers:
        await shop.earn(customer, 10, expiry_days=1)
        await shop.earn(customer, 20, expiry_days=2)
        await shop.earn(customer, 30, expiry_days=3)
        await shop.earn(customer, 40, expiry_days=None)
    await shop.redeem(customers[0], 15)
    shop.wait(days=3)
    assert await expire_all(database, shop.clock, by=operator) == Expired(customers=3, lots=5, points=75)
    assert await expire_all(database, shop.clock, by=operator) == Expired()
    assert [await shop.spendable(customer) for customer in customers] == [70, 70, 70]
    (row,) = await shop.rows(customers[1], transaction_type=Kind.EXPIRED)
    assert (row.points, row.created_by) == (-30, None)


async def test_a_run_goes_on_until_nothing_is_due(
    shop: Shop, database: RolledBackDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.loyalty.expiry.batch_lots", 2)
    for _ in range(5):
        await shop.earn(await shop.member(), 10, expiry_days=1)
    shop.wait(days=2)
    assert await expire_all(database, shop.clock, by=operator) == Expired(customers=5, lots=5, points=50)


async def test_a_run_for_an_earlier_instant_leaves_what_was_not_due_then(
    shop: Shop, database: RolledBackDatabase
) -> None:
    customer = await shop.member()
    await shop.earn(customer, 10, expiry_days=1)
    await shop.earn(customer, 20, expiry_days=2)
    shop.wait(days=5)
    as_of = datetime(2026, 6, 16, 22, 0, tzinfo=UTC)
    assert (await expire_all(database, shop.clock, as_of=as_of, by=operator)).points == 10


async def test_expiry_touches_deactivated_customers_too(shop: Shop) -> None:
    customer = await shop.member()
    await shop.earn(customer, 10, expiry_days=1)
    await shop.connection.execute("UPDATE customers SET is_active = false")
    shop.wait(days=2)
    assert (await shop.expire()).points == 10


async def test_points_expiring_soon_are_grouped_by_deadline(shop: Shop) -> None:
    customer = await shop.member()
    for days in (5, 5, 10):
        await shop.earn(customer, 10, expiry_days=days)
    soon = await shop.expiring(customer, days=7)
    assert [(deadline.points, deadline.expires_at) for deadline in soon] == [
        (20, datetime(2026, 6, 20, 22, 0, tzinfo=UTC))
    ]
    assert await shop.ledger.get_expired_points([customer], now=shop.clock.now()) == {}


async def test_an_account_that_is_closed_while_a_day_ends_loses_its_points_once(shop: Shop) -> None:
    customer = await shop.member()
    for days in (1, 2):
        await shop.earn(customer, 10, expiry_days=days)
    shop.wait(days=1)
    shop.pass_midnight()
    assert await AccountClosing(shop.connection, shop.clock).close(customer, by=operator) == 20
    await check_guards(shop.connection)
