"""Preferences in the database: one row for each type and key of a customer."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.kit.errors import NotFound
from regulars.preferences.models import CustomerPreference, NewPreference, PreferenceType


class CustomerPreferenceRepository(Repository):
    """Preferences on one connection. Whoever changes some has locked the customer."""

    async def get_customer_preferences(
        self, customer_id: UUID, preference_type: PreferenceType | None = None
    ) -> list[CustomerPreference]:
        """All preferences of a customer, or those of a type, by type and key."""
        return await self._all(
            CustomerPreference,
            """
            SELECT id, customer_id, preference_type, preference_key, preference_value, version, created_at, updated_at
            FROM customer_preferences
            WHERE customer_id = %(customer_id)s
                AND (%(type)s::text IS NULL OR preference_type = %(type)s)
            ORDER BY preference_type, preference_key
            """,
            {"customer_id": customer_id, "type": preference_type},
        )

    async def get_preference(self, customer_id: UUID, preference_id: UUID) -> CustomerPreference:
        """A preference of a customer.

        Raises:
            NotFound: the customer has none with this id.
        """
        preference = await self._one(
            CustomerPreference,
            """
            SELECT id, customer_id, preference_type, preference_key, preference_value, version, created_at, updated_at
            FROM customer_preferences
            WHERE customer_id = %s AND id = %s
            """,
            [customer_id, preference_id],
        )
        if preference is None:
            raise NotFound
        return preference

    async def find_preference(
        self, customer_id: UUID, preference_type: PreferenceType, preference_key: str
    ) -> UUID | None:
        """The id of the preference that a customer has under a type and key."""
        preference_id: UUID | None = await self._value(
            "SELECT id FROM customer_preferences"
            " WHERE customer_id = %s AND preference_type = %s AND preference_key = %s",
            [customer_id, preference_type, preference_key],
        )
        return preference_id

    async def upsert_preference(
        self, customer_id: UUID, preference: NewPreference, *, at: datetime
    ) -> CustomerPreference | None:
        """Write one preference as `bulk_upsert_preferences()` does; None if it had this value before."""
        written = await self.bulk_upsert_preferences(customer_id, [preference], at=at)
        return written[0] if written else None

    async def bulk_upsert_preferences(
        self, customer_id: UUID, preferences: Sequence[NewPreference], *, at: datetime
    ) -> list[CustomerPreference]:
        """Write preferences, over those of the same type and key; answers those that are different now.

        A preference that is new has version 1. One that has the value already keeps its version.
        """
        return await self._all(
            CustomerPreference,
            """
            INSERT INTO customer_preferences AS p
                (customer_id, preference_type, preference_key, preference_value, created_at, updated_at)
            SELECT %(customer_id)s, wanted.type, wanted.key, wanted.value, %(at)s, %(at)s
            FROM unnest(%(types)s::text[], %(keys)s::text[], %(values)s::jsonb[]) AS wanted (type, key, value)
            ON CONFLICT (customer_id, preference_type, preference_key) DO UPDATE
                SET preference_value = excluded.preference_value, version = p.version + 1,
                    updated_at = excluded.updated_at
                WHERE p.preference_value <> excluded.preference_value
            RETURNING p.id, p.customer_id, p.preference_type, p.preference_key, p.preference_value, p.version,
                p.created_at, p.updated_at
            """,
            {
                "customer_id": customer_id,
                "types": [preference.preference_type for preference in preferences],
                "keys": [preference.preference_key for preference in preferences],
                "values": [Jsonb(preference.preference_value) for preference in preferences],
                "at": at,
            },
        )

    async def count_preferences(self, customer_id: UUID) -> int:
        """How many preferences a customer has."""
        count: int = await self._value(
            "SELECT count(*) FROM customer_preferences WHERE customer_id = %s", [customer_id]
        )
        return count

    async def move(self, source: UUID, target: UUID) -> None:
        """Give one customer's preferences to another; of two under one type and key the one that changed last stays."""
        await self._execute(
            """
            INSERT INTO customer_preferences AS p
                (customer_id, id, preference_type, preference_key, preference_value, version, created_at, updated_at)
            SELECT %(target)s, id, preference_type, preference_key, preference_value, version, created_at, updated_at
            FROM customer_preferences WHERE customer_id = %(source)s
            ON CONFLICT (customer_id, preference_type, preference_key) DO UPDATE
                SET preference_value = excluded.preference_value, version = p.version + 1,
                    updated_at = excluded.updated_at
                WHERE p.updated_at < excluded.updated_at
            """,
            {"source": source, "target": target},
        )
        await self.delete_all_customer_preferences(source)

    async def delete_preference(self, customer_id: UUID, preference_id: UUID) -> None:
        """Delete a preference of a customer."""
        await self._execute(
            "DELETE FROM customer_preferences WHERE customer_id = %s AND id = %s", [customer_id, preference_id]
        )

    async def delete_all_customer_preferences(self, customer_id: UUID) -> int:
        """Delete all preferences of a customer; how many there were."""
        return await self._execute("DELETE FROM customer_preferences WHERE customer_id = %s", [customer_id])
