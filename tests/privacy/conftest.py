"""A shop with a secret, and the two stories of privacy on the test's own transaction."""

import pytest

from regulars.flows.erase_customer import Erasures
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from tests.conftest import RolledBackDatabase


@pytest.fixture
def settings() -> Settings:
    return Settings(
        _env_file=None, jwt_secret="f3c1a0d2b4e6978812345678901234567890abcd", store_timezone="Europe/Berlin"
    )


@pytest.fixture
def erasures(database: RolledBackDatabase, settings: Settings, clock: Clock) -> Erasures:
    return Erasures(database, settings, clock)


@pytest.fixture
def exports(connection: Connection, settings: Settings, clock: Clock) -> CustomerDataExports:
    return CustomerDataExports(connection, settings, clock)
