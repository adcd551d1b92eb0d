import pytest

from regulars.analytics.clv import CLVService
from regulars.analytics.rfm import RFMService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, store_timezone="Europe/Berlin")


@pytest.fixture
def rfm(connection: Connection, settings: Settings, clock: Clock) -> RFMService:
    return RFMService(connection, settings, clock)


@pytest.fixture
def clv(connection: Connection, settings: Settings, clock: Clock) -> CLVService:
    return CLVService(connection, settings, clock)
