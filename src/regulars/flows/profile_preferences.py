"""Preferences that are fields of the profile: a change of the profile is an event of theirs too."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from uuid import UUID

from regulars.customers.models import stated_preferences
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import record_events
from regulars.preferences.repository import CustomerPreferenceRepository
from regulars.preferences.service import preference_changed


@asynccontextmanager
async def preferences_followed(
    connection: Connection, customer_id: UUID, fields: Collection[str], clock: Clock
) -> AsyncIterator[None]:
    """Record an event for each preference that the block changes by these fields of a locked profile."""
    if stated_preferences.keys().isdisjoint(fields):
        yield
        return
    preferences = CustomerPreferenceRepository(connection)
    before = {each.id: each for each in await preferences.get_customer_preferences(customer_id)}
    yield
    after = {each.id: each for each in await preferences.get_customer_preferences(customer_id)}
    events = [preference_changed(before[gone], "deleted") for gone in before.keys() - after.keys()]
    events += [
        preference_changed(each, "updated" if each.id in before else "created")
        for each in after.values()
        if before.get(each.id) != each
    ]
    await record_events(connection, clock.now(), *events)
