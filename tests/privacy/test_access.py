"""Whoever looks at a person in clear is written down, and the person can be told."""

from datetime import timedelta
from io import BytesIO

from regulars.accounts.roles import scopes_of
from regulars.customers.identifiers import CustomerNumber, Email
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal, Role, operator
from regulars.kit.settings import Settings
from regulars.privacy.consents import ConsentService
from regulars.privacy.models_consents import ConsentChannel
from regulars.privacy.repository_access import AccessRepository
from tests.factories.accounts import make_user
from tests.factories.customers import make_customer


async def looks_everywhere(connection: Connection, settings: Settings, clock: Clock, role: Role, city: str) -> None:
    """Read the only customer of a city in every way that a list of the shop's customers offers."""
    user = await make_user(connection, clock, role=role, email=f"{role}@shop.test")
    by = Principal(user.id, "user", role, scopes_of(role))
    customers = RetailCustomerService(connection, settings, clock)
    found = await customers.search_customers(RetailCustomerSearchFilters(city=[city]), by)
    [one] = found.items
    await customers.get_customer(one.id, by)
    if role == "staff":
        await customers.get_customer_by_number(CustomerNumber(one.customer_number), by)
        await customers.get_customer_by_email(Email(str(one.email)), by)


async def test_every_look_in_clear_is_one_row_without_values(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    customer, other = await make_customer(connection, clock, city="Bonn"), await make_customer(connection, clock)
    for role in ("staff", "analyst"):
        await looks_everywhere(connection, settings, clock, role, "Bonn")  # type: ignore[arg-type]
    reads = await AccessRepository(connection).get_accesses(customer.id, limit=100)
    assert sorted((read.action, read.actor, *read.fields) for read in reads) == [
        ("get_customer", "staff@shop.test"),
        ("get_customer_by_email", "staff@shop.test"),
        ("get_customer_by_number", "staff@shop.test"),
        ("search_customers", "staff@shop.test", "city"),
    ]
    assert await AccessRepository(connection).get_accesses(other.id, limit=100) == []
    stored = await (await connection.execute("SELECT string_agg(a::text, ' ') FROM audit_log a")).fetchone()
    assert stored is not None
    assert "Bonn" not in stored[0]
    assert str(customer.email) not in stored[0]


async def test_the_newest_come_first_and_the_rest_is_left_out(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    customer = await make_customer(connection, clock, city="Bonn")
    await looks_everywhere(connection, settings, clock, "staff", "Bonn")
    [last] = await AccessRepository(connection).get_accesses(customer.id, limit=1)
    assert last.action == "get_customer_by_email"


async def test_a_file_of_many_is_told_to_each_who_was_there(
    connection: Connection, settings: Settings, clock: Clock
) -> None:
    before = await make_customer(connection, clock)
    await RetailCustomerService(connection, settings, clock).export_customers(
        RetailCustomerSearchFilters(), BytesIO(), by=operator
    )
    await ConsentService(connection, clock).export_suppressions(ConsentChannel.EMAIL, BytesIO(), by=operator)
    after = await make_customer(connection, clock, created_at=clock.now() + timedelta(seconds=1))
    told = await AccessRepository(connection).get_accesses(before.id, limit=100)
    assert [(read.action, read.is_certain) for read in told] == [
        ("export_suppressions", False), ("export_customers", False)
    ]  # fmt: skip
    assert await AccessRepository(connection).get_accesses(after.id, limit=100) == []
