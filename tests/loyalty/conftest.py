"""Every test of the ledger ends with the guards and the audit: nothing may be left that does not add up."""

from collections.abc import AsyncIterator

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.settings import Settings
from regulars.loyalty.audit import AuditService
from regulars.loyalty.service import LoyaltyService
from tests.loyalty.shop import Shop, check_guards


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, store_timezone="Europe/Berlin")


@pytest.fixture
async def shop(connection: Connection, settings: Settings, clock: Clock) -> AsyncIterator[Shop]:
    """The services on the test's connection, at a time that the test can move; audited when the test is over."""
    shop = Shop(connection, settings, clock)
    yield shop
    await require_sound(connection)


@pytest.fixture
def loyalty(shop: Shop) -> LoyaltyService:
    return shop.loyalty


async def require_sound(connection: Connection) -> None:
    await check_guards(connection)
    audit = await AuditService(connection).audit_ledger()
    assert audit.counts == dict.fromkeys(audit.counts, 0)


@pytest.fixture
async def audited_url(own_database_url: str) -> AsyncIterator[str]:
    """A database of the test's own, audited when the test is over."""
    yield own_database_url
    async with connect(own_database_url) as connection:
        await require_sound(connection)
