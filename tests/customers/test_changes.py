"""Profiles change with the claims that follow them; changes for many touch whom they should, also when they cross."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from regulars.customers.errors import EmailTaken, PhoneTaken
from regulars.customers.identifiers import Email, Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_bulk import BulkCustomerStatusUpdate
from regulars.customers.service import RetailCustomerService
from regulars.kit.bulk import BulkResult
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer, set_columns


@pytest.fixture
def customers(connection: Connection) -> RetailCustomerRepository:
    return RetailCustomerRepository(connection)


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    ann = await make_customer(connection, clock, email=Email("ann@example.com"), phone=Phone("+4930123456"))
    await set_columns(connection, ann, is_email_verified=True, is_phone_verified=True)
    return ann


async def claims_of(connection: Connection, customer: RetailCustomer) -> dict[str, str]:
    cursor = await connection.execute(
        "SELECT kind, value FROM customer_identifiers WHERE customer_id = %s AND kind <> 'number'", [customer.id]
    )
    return dict(await cursor.fetchall())


async def test_an_address_that_changes_takes_its_claim_along_and_is_no_longer_proved(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository, ann: RetailCustomer
) -> None:
    later = clock.now() + timedelta(hours=1)
    changed = await customers.update_customer(ann.id, {"email": Email("ann@example.org")}, at=later)
    assert (changed.email, changed.version, changed.updated_at) == ("ann@example.org", 2, later)
    assert (changed.is_email_verified, changed.is_phone_verified) == (False, True)
    assert await customers.get(ann.id) == changed
    assert await claims_of(connection, ann) == {"email": "ann@example.org", "phone": "+4930123456"}


async def test_a_number_that_is_cleared_is_free_for_others(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository, ann: RetailCustomer
) -> None:
    changed = await customers.update_customer(ann.id, {"phone": None}, at=clock.now())
    assert (changed.phone, changed.is_phone_verified, changed.is_email_verified) == (None, False, True)
    assert await claims_of(connection, ann) == {"email": "ann@example.com"}
    assert (await make_customer(connection, clock, phone=Phone("+4930123456"))).id != ann.id


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"email": "bob@example.com", "phone": "+4930777"}, EmailTaken),
        ({"email": "free@example.com", "phone": "+4930999"}, PhoneTaken),
    ],
)
async def test_what_is_taken_leaves_everything_as_it_was(
    connection: Connection,
    clock: Clock,
    customers: RetailCustomerRepository,
    ann: RetailCustomer,
    changes: dict[str, str],
    refusal: type[Exception],
) -> None:
    await make_customer(connection, clock, email=Email("bob@example.com"), phone=Phone("+4930999"))
    with pytest.raises(refusal):
        await customers.update_customer(ann.id, changes, at=clock.now())
    assert await claims_of(connection, ann) == {"email": "ann@example.com", "phone": "+4930123456"}
    assert (await customers.get(ann.id)).is_email_verified


async def test_a_status_changes_neither_the_version_nor_what_else_there_is(
    clock: Clock, customers: RetailCustomerRepository, ann: RetailCustomer
) -> None:
    inactive = await customers.set_active(ann.id, is_active=False, at=clock.now())
    assert (inactive.is_active, inactive.version, inactive.deleted_at) == (False, 1, None)
    await customers.soft_delete(ann.id, at=clock.now())
    assert (await customers.get(ann.id)).deleted_at == clock.now()
    assert (await customers.set_active(ann.id, is_active=False, at=clock.now())).deleted_at == clock.now()
    restored = await customers.set_active(ann.id, is_active=True, at=clock.now())
    assert (restored.is_active, restored.deleted_at, restored.version) == (True, None, 1)
    assert restored.is_email_verified


async def test_bulk_status_updates(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository, ann: RetailCustomer
) -> None:
    bob, eve = await make_customer(connection, clock), await make_customer(connection, clock)
    await set_columns(connection, bob, is_active=False)
    changed = await customers.bulk_update_status([ann.id, bob.id, uuid4()], is_active=False, at=clock.now())
    assert changed == [ann.id]
    states = [(await customers.get(one.id)).is_active for one in (ann, bob, eve)]
    assert states == [False, False, True]
    assert (await customers.get(ann.id)).version == 1


@pytest.mark.parametrize(
    ("before", "add", "remove", "after"),
    [
        (["a", "b"], ["c", "a"], [], ["a", "b", "c"]),
        (["a", "b", "c"], [], ["b", "x"], ["a", "c"]),
        (["a"], ["b"], ["a"], ["b"]),
        (["a"], [], ["a"], []),
        ([], ["%", "'"], [], ["%", "'"]),
    ],
)
async def test_tags_are_added_and_removed(
    connection: Connection,
    clock: Clock,
    customers: RetailCustomerRepository,
    before: list[str],
    add: list[str],
    remove: list[str],
    after: list[str],
) -> None:
    ann, bob = await make_customer(connection, clock, tags=before), await make_customer(connection, clock)
    [change] = await customers.bulk_update_tags([ann.id], add=add, remove=remove, most=50, at=clock.now())
    assert (change.id, change.is_changed, change.is_too_long) == (ann.id, True, False)
    changed = await customers.get(ann.id)
    assert (changed.tags, changed.version) == (after, 2)
    assert await customers.get(bob.id) == bob


async def test_tags_that_are_so_already_stay(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    ann = await make_customer(connection, clock, tags=["a", "b"])
    [change] = await customers.bulk_update_tags([ann.id], add=["b", "a"], remove=["x"], most=50, at=clock.now())
    assert (change.is_changed, change.is_too_long) == (False, False)
    assert await customers.get(ann.id) == ann


async def test_nobody_gets_more_tags_than_there_may_be_but_who_has_more_may_lose_some(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    full, over = [await make_customer(connection, clock, tags=tags) for tags in (["a", "b"], ["a", "b", "c", "d"])]
    [more] = await customers.bulk_update_tags([full.id], add=["c"], remove=[], most=2, at=clock.now())
    [less] = await customers.bulk_update_tags([over.id], add=[], remove=["a"], most=2, at=clock.now())
    assert (more.is_changed, more.is_too_long, less.is_changed, less.is_too_long) == (False, True, True, False)
    assert await customers.get(full.id) == full
    assert (await customers.get(over.id)).tags == ["b", "c", "d"]


async def at_once(database: Database, changes: list[tuple[RetailCustomer, dict[str, str]]], clock: Clock) -> list[str]:
    """The changes, each in a transaction of its own; answers what became of each, by name."""

    async def change(customer: RetailCustomer, fields: dict[str, str]) -> str:
        try:
            async with database.transaction() as connection:
                repository = RetailCustomerRepository(connection)
                await repository.lock(customer.id)
                await repository.update_customer(customer.id, fields, at=clock.now())
        except (EmailTaken, PhoneTaken) as refusal:
            return type(refusal).__name__
        return "changed"

    return await asyncio.gather(*(change(customer, fields) for customer, fields in changes))


async def test_two_who_swap_addresses_at_once_do_not_wait_for_each_other(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=8, lock_seconds=5) as database, connect(own_database_url) as reader:
        ann = await make_customer(reader, clock, email=Email("a@example.com"), phone=Phone("+4930111"))
        bob = await make_customer(reader, clock, email=Email("b@example.com"), phone=Phone("+4930222"))
        for _ in range(20):
            outcomes = await at_once(
                database,
                [
                    (ann, {"email": "b@example.com", "phone": "+4930222"}),
                    (bob, {"email": "a@example.com", "phone": "+4930111"}),
                ],
                clock,
            )
            assert outcomes == ["EmailTaken", "EmailTaken"]
        assert await claims_of(reader, ann) == {"email": "a@example.com", "phone": "+4930111"}
        assert await claims_of(reader, bob) == {"email": "b@example.com", "phone": "+4930222"}


async def test_of_many_who_want_a_free_address_at_once_one_gets_it(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=8, lock_seconds=5) as database, connect(own_database_url) as reader:
        people = [await make_customer(reader, clock) for _ in range(16)]
        # The one who has it lets go of it at the same time.
        holder = await make_customer(reader, clock, email=Email("wanted@example.com"))
        wishes = [(one, {"email": "wanted@example.com"}) for one in people]
        outcomes = await at_once(database, [(holder, {"email": "other@example.com"}), *wishes], clock)
        assert outcomes[0] == "changed"
        winners = [one for one, outcome in zip(people, outcomes[1:], strict=True) if outcome == "changed"]
        assert len(winners) <= 1
        repository = RetailCustomerRepository(reader)
        assert await repository.find_claim("email", "wanted@example.com") == (winners[0].id if winners else None)
        for one in people:
            stored = await repository.get(one.id)
            assert await claims_of(reader, one) == {"email": stored.email}


async def test_bulk_changes_that_cross_wait_in_line(own_database_url: str, clock: Clock) -> None:
    settings = Settings(_env_file=None)
    async with Database(own_database_url, size=8, lock_seconds=5) as database, connect(own_database_url) as reader:
        ids = [(await make_customer(reader, clock)).id for _ in range(200)]

        async def set_all(is_active: bool, order: list[UUID]) -> BulkResult:
            async with database.transaction() as connection:
                update = BulkCustomerStatusUpdate(customer_ids=order, is_active=is_active)
                service = RetailCustomerService(connection, settings, clock)
                return await service.bulk_update_status(update, by=operator)

        for _ in range(10):
            results = await asyncio.gather(
                *(set_all(number % 2 == 0, ids if number % 4 < 2 else ids[::-1]) for number in range(8))
            )
            assert {result.changed for result in results} <= {0, 200}
            assert {result.failed for result in results} == {0}
        cursor = await reader.execute("SELECT count(DISTINCT is_active) FROM customers")
        assert await cursor.fetchone() == (1,)
