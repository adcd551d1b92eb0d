"""Preferences in the database."""

from uuid import UUID, uuid4

import pytest

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.preferences.models import NewPreference, PreferenceType
from regulars.preferences.repository import CustomerPreferenceRepository
from tests.factories.customers import make_customer

shopping, payment = PreferenceType.SHOPPING, PreferenceType.PAYMENT


@pytest.fixture
async def customer_id(connection: Connection, clock: Clock) -> UUID:
    return (await make_customer(connection, clock)).id


@pytest.fixture
def preferences(connection: Connection) -> CustomerPreferenceRepository:
    return CustomerPreferenceRepository(connection)


async def test_a_preference_is_written_once_for_each_type_and_key(
    preferences: CustomerPreferenceRepository, customer_id: UUID, clock: Clock
) -> None:
    first = await preferences.upsert_preference(customer_id, NewPreference(shopping, "likes", ["a"]), at=clock.now())
    again = await preferences.upsert_preference(customer_id, NewPreference(shopping, "likes", ["b"]), at=clock.now())
    other = await preferences.upsert_preference(customer_id, NewPreference(payment, "likes", ["b"]), at=clock.now())
    assert first
    assert again
    assert other
    assert (again.id, again.version, again.preference_value) == (first.id, 2, ["b"])
    assert (other.id != first.id, other.version) == (True, 1)


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (None, "null"), ([], {}), ("1", 1)])
async def test_values_of_different_types_are_different(
    preferences: CustomerPreferenceRepository, customer_id: UUID, clock: Clock, before: int, after: bool
) -> None:
    await preferences.upsert_preference(customer_id, NewPreference(shopping, "k", before), at=clock.now())
    changed = await preferences.upsert_preference(customer_id, NewPreference(shopping, "k", after), at=clock.now())
    assert changed
    assert (changed.preference_value, type(changed.preference_value)) == (after, type(after))


async def test_the_same_value_again_changes_nothing(
    preferences: CustomerPreferenceRepository, customer_id: UUID, clock: Clock
) -> None:
    for value in (None, {"a": 1, "b": [None]}):
        await preferences.upsert_preference(customer_id, NewPreference(shopping, "k", value), at=clock.now())
        same = NewPreference(shopping, "k", {"b": [None], "a": 1} if value else None)
        assert await preferences.upsert_preference(customer_id, same, at=clock.now()) is None


async def test_preferences_are_read_by_type(
    preferences: CustomerPreferenceRepository, customer_id: UUID, clock: Clock, connection: Connection
) -> None:
    stranger = (await make_customer(connection, clock)).id
    new = [NewPreference(kind, key, 1) for kind in (shopping, payment) for key in ("b", "a")]
    for owner in (customer_id, stranger):
        await preferences.bulk_upsert_preferences(owner, new, at=clock.now())
    assert [each.preference_key for each in await preferences.get_customer_preferences(customer_id, shopping)] == [
        "a",
        "b",
    ]
    everything = await preferences.get_customer_preferences(customer_id)
    assert [(each.preference_type, each.preference_key) for each in everything] == [
        (payment, "a"), (payment, "b"), (shopping, "a"), (shopping, "b")
    ]  # fmt: skip
    assert await preferences.count_preferences(customer_id) == 4


async def test_preferences_are_found_and_deleted_under_their_customer_only(
    preferences: CustomerPreferenceRepository, customer_id: UUID, clock: Clock, connection: Connection
) -> None:
    stranger = (await make_customer(connection, clock)).id
    new = [NewPreference(shopping, key, 1) for key in ("a", "b", "c")]
    first, *_ = await preferences.bulk_upsert_preferences(customer_id, new, at=clock.now())
    await preferences.bulk_upsert_preferences(stranger, new, at=clock.now())
    assert await preferences.get_preference(customer_id, first.id) == first
    with pytest.raises(NotFound):
        await preferences.get_preference(stranger, first.id)
    with pytest.raises(NotFound):
        await preferences.get_preference(customer_id, uuid4())
    await preferences.delete_preference(stranger, first.id)
    assert await preferences.find_preference(customer_id, shopping, first.preference_key) == first.id
    await preferences.delete_preference(customer_id, first.id)
    assert await preferences.find_preference(customer_id, shopping, first.preference_key) is None
    assert await preferences.delete_all_customer_preferences(customer_id) == 2
    assert await preferences.count_preferences(stranger) == 3
