"""What callers do with preferences."""

from collections.abc import Sequence
from uuid import UUID

from regulars.customers.access import require_own_or, require_visible
from regulars.customers.events import CustomerUpdated
from regulars.customers.models import stated_preferences
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import record_events
from regulars.kit.preconditions import Precondition, any_version
from regulars.kit.security import Principal
from regulars.kit.validation import Validation
from regulars.preferences.catalogue import checked_value, well_known
from regulars.preferences.errors import PreferenceExists
from regulars.preferences.events import Change, PreferenceChanged
from regulars.preferences.models import CustomerPreference, NewPreference, PreferenceType
from regulars.preferences.repository import CustomerPreferenceRepository
from regulars.preferences.schemas import (
    CustomerPreferenceCreate,
    CustomerPreferencesBulkUpdate,
    CustomerPreferenceUpdate,
)

most_preferences = 200


class PreferenceService:
    """Preferences, as far as one caller may see and change them; in one transaction.

    Each change locks the customer first, so that no two of them can pass the bound together.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)
        self._preferences = CustomerPreferenceRepository(connection)

    async def get_customer_preferences(
        self, customer_id: UUID, preference_type: PreferenceType | None = None, *, by: Principal
    ) -> list[CustomerPreference]:
        """What a customer stated, of all types or of one, by type and key.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
        """
        require_own_or("prefs:read", customer_id, by)
        require_visible(await self._customers.get(customer_id), by, "prefs:read")
        if by.sees_identifiers():
            await self._audit("list_preferences", by, customer_id)
        return await self._preferences.get_customer_preferences(customer_id, preference_type)

    async def create_preference(
        self, customer_id: UUID, preference: CustomerPreferenceCreate, *, by: Principal
    ) -> CustomerPreference:
        """Add a preference.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            PreferenceExists: the customer has one of this type and key; says which.
            Validation: the customer has as many as can be kept.
        """
        await self._lock(customer_id, by)
        new = preference.as_new()
        existing = await self._preferences.find_preference(customer_id, new.preference_type, new.preference_key)
        if existing is not None:
            raise PreferenceExists(preference_id=existing)
        [created] = await self._write(customer_id, [new], "create_preference", by)
        return created

    async def update_preference(
        self,
        customer_id: UUID,
        preference_id: UUID,
        update: CustomerPreferenceUpdate,
        *,
        by: Principal,
        precondition: Precondition = any_version,
    ) -> CustomerPreference:
        """Give a preference another value; without one, or with the value that it has, it stays, version and all.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller, or it has no such preference.
            PreconditionFailed: the preference has another version than the caller has read.
            Validation: its key is well known, and takes no such value.
        """
        await self._lock(customer_id, by)
        before = await self._preferences.get_preference(customer_id, preference_id)
        precondition.require(before.version)
        if "preference_value" not in update.model_fields_set:
            return before
        kind, key = before.preference_type, before.preference_key
        try:
            value = checked_value(kind, key, update.preference_value)
        except ValueError as error:
            raise Validation.at("/preference_value", "format", str(error)) from error
        written = await self._write(customer_id, [NewPreference(kind, key, value)], "update_preference", by)
        return written[0] if written else before

    async def update_customer_preferences(
        self, customer_id: UUID, update: CustomerPreferencesBulkUpdate, *, by: Principal
    ) -> list[CustomerPreference]:
        """Write up to 100 preferences, over those of the same type and key: all or none.

        Returns:
            All that were named, in that order.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            Validation: the customer would have more than can be kept.
        """
        await self._lock(customer_id, by)
        await self._write(
            customer_id, [each.as_new() for each in update.preferences], "update_customer_preferences", by
        )
        stored = await self._preferences.get_customer_preferences(customer_id)
        by_key = {(each.preference_type, each.preference_key): each for each in stored}
        return [by_key[each.preference_type, each.preference_key] for each in update.preferences]

    async def delete_preference(self, customer_id: UUID, preference_id: UUID, *, by: Principal) -> None:
        """Delete a preference.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller, or it has no such preference.
        """
        await self._lock(customer_id, by)
        preference = await self._preferences.get_preference(customer_id, preference_id)
        await self._preferences.delete_preference(customer_id, preference_id)
        await self._audit("delete_preference", by, customer_id, [preference])
        await record_events(self._connection, self._clock.now(), preference_changed(preference, "deleted"))
        await self._note_profile(customer_id, [preference])

    async def _lock(self, customer_id: UUID, by: Principal) -> None:
        require_own_or("prefs:write", customer_id, by)
        require_visible(await self._customers.lock(customer_id), by, "prefs:write")

    async def _write(
        self, customer_id: UUID, preferences: Sequence[NewPreference], action: str, by: Principal
    ) -> list[CustomerPreference]:
        now = self._clock.now()
        written = await self._preferences.bulk_upsert_preferences(customer_id, preferences, at=now)
        is_more = any(each.version == 1 for each in written)
        if is_more and await self._preferences.count_preferences(customer_id) > most_preferences:
            raise Validation(f"There would be more than {most_preferences} preferences.")
        if written:
            await self._audit(action, by, customer_id, written)
            changes = [preference_changed(each, "created" if each.version == 1 else "updated") for each in written]
            await record_events(self._connection, now, *changes)
            await self._note_profile(customer_id, written)
        return written

    async def _note_profile(self, customer_id: UUID, changed: Sequence[CustomerPreference]) -> None:
        """Let the profile have another version, and be told of, if it shows what changed."""
        keys = {(each.preference_type.value, each.preference_key) for each in changed}
        if fields := sorted(name for name, key in stated_preferences.items() if key in keys):
            now = self._clock.now()
            await self._customers.note_change(customer_id, at=now)
            await record_events(self._connection, now, CustomerUpdated(customer_id=customer_id, fields=fields))

    async def _audit(
        self, action: str, by: Principal, customer_id: UUID, touched: Sequence[CustomerPreference] = ()
    ) -> None:
        facts = {"preference_ids": [str(preference.id) for preference in touched]} if touched else {}
        await record_audit(
            self._connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
            facts=facts,
        )


def preference_changed(preference: CustomerPreference, change: Change) -> PreferenceChanged:
    """The event of a preference that is new, another, or gone."""
    kind, key = preference.preference_type, preference.preference_key
    return PreferenceChanged(
        customer_id=preference.customer_id,
        preference_id=preference.id,
        preference_type=kind,
        well_known_key=key if (kind, key) in well_known else None,
        change=change,
    )
