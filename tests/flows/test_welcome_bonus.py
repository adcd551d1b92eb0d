"""A welcome bonus is had once: by a customer, an e-mail address and a phone number."""

from datetime import timedelta
from uuid import UUID

from regulars.flows.housekeeping import forget_what_is_over
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.loyalty.service import LoyaltyService
from tests.conftest import RolledBackDatabase
from tests.factories.loyalty import make_members
from tests.loyalty.shop import Shop

mail, phone, another = b"m" * 32, b"p" * 32, b"a" * 32


async def welcomed(connection: Connection, clock: Clock, customer_id: UUID, *contacts: bytes) -> bool:
    service = LoyaltyService(connection, Settings(_env_file=None), clock)
    return await service.give_welcome_bonus(customer_id, contacts=contacts, by=operator) is not None


async def test_a_contact_is_welcomed_once(connection: Connection, clock: Clock) -> None:
    first, second, third, fourth = await make_members(connection, clock, 4)
    assert await welcomed(connection, clock, first, mail, phone)
    assert not await welcomed(connection, clock, first, another)
    assert not await welcomed(connection, clock, second, mail)
    assert not await welcomed(connection, clock, second, another, phone)
    assert await welcomed(connection, clock, third, another)
    assert await welcomed(connection, clock, fourth)


async def test_where_there_is_no_bonus_nobody_is_noted(connection: Connection, clock: Clock) -> None:
    [member] = await make_members(connection, clock, 1)
    shop = Shop(connection, Settings(_env_file=None), clock)
    await shop.change_programme(welcome_bonus_points=0)
    assert not await welcomed(connection, clock, member, mail)
    await shop.change_programme(welcome_bonus_points=50)
    assert await welcomed(connection, clock, member, mail)


async def test_it_is_remembered_for_a_year_after_erasure(
    connection: Connection, database: RolledBackDatabase, clock: Clock
) -> None:
    settings, (stays, goes) = Settings(_env_file=None), await make_members(connection, clock, 2)
    assert await welcomed(connection, clock, stays, phone)
    assert await welcomed(connection, clock, goes, mail)
    erased = "UPDATE customers SET erased_at = %s WHERE id = %s"
    await connection.execute(erased, [clock.now() - timedelta(days=365) + timedelta(seconds=1), goes])
    assert (await forget_what_is_over(database, settings, clock))["welcome_bonuses"] == 0
    await connection.execute(erased, [clock.now() - timedelta(days=365), goes])
    assert (await forget_what_is_over(database, settings, clock))["welcome_bonuses"] == 1
    cursor = await connection.execute("SELECT contact_hash FROM welcome_bonuses")
    assert await cursor.fetchall() == [(phone,)]
