"""Changes of accounts by several at once, and who may go."""

import asyncio
from uuid import UUID

import pytest

from regulars.accounts.errors import LastAdmin
from regulars.accounts.passwords import PasswordHashing
from regulars.accounts.schemas_users import UserCreate, UserUpdate
from regulars.accounts.users import UserService
from regulars.kit.clock import Clock
from regulars.kit.database import Database
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from tests.conftest import RolledBackDatabase
from tests.factories.accounts import make_user
from tests.factories.customers import make_customer


async def enabled_admins(database: Database) -> int:
    async with database.transaction() as connection:
        cursor = await connection.execute("SELECT count(*) FROM users WHERE role = 'admin' AND is_enabled")
        [(count,)] = await cursor.fetchall()
        return int(count)


async def test_of_admins_who_disable_and_demote_each_other_at_once_one_stays(
    own_database_url: str, clock: Clock
) -> None:
    async with Database(own_database_url, size=4) as database:
        users = UserService(database, Settings(_env_file=None), clock, PasswordHashing())
        async with database.transaction() as connection:
            admins = [(await make_user(connection, clock, role="admin")).id for _ in range(4)]
        both = [users.disable_user(admins[0], by=operator), users.disable_user(admins[1], by=operator)]
        both += [users.update_user(id_, UserUpdate(role="staff"), by=operator) for id_ in admins[2:]]
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [LastAdmin]
        assert await enabled_admins(database) == 1


async def test_a_customer_gets_one_login_of_two_at_once(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=4) as database:
        users = UserService(database, Settings(_env_file=None), clock, PasswordHashing())
        async with database.transaction() as connection:
            customer = await make_customer(connection, clock)

        async def link(email: str) -> UUID | None:
            try:
                data = UserCreate.model_validate({"email": email, "role": "customer", "customer_id": str(customer.id)})
                return (await users.create_user(data, by=operator)).id
            except Validation:
                return None

        made = await asyncio.gather(*(link(f"{number}@example.com") for number in range(4)))
        assert len([id_ for id_ in made if id_]) == 1


@pytest.mark.parametrize("role", ["staff", "analyst"])
async def test_others_than_admins_can_all_go(database: RolledBackDatabase, clock: Clock, role: str) -> None:
    users = UserService(database, Settings(_env_file=None), clock, PasswordHashing())
    data = UserCreate.model_validate({"email": "ann@example.com", "role": role})
    user = await users.create_user(data, by=operator)
    await users.disable_user(user.id, by=operator)
    assert not (await users.get_user(user.id)).is_enabled
