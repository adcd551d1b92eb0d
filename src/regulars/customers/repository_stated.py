"""What the profile shows of the preferences: written where all preferences are, and nowhere else."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.customers.models import stated_preferences
from regulars.kit.database import Repository


class StatedPreferencesRepository(Repository):
    """Writes the preferences that are fields of the profile too. Whoever changes some has locked the customer."""

    async def write_stated(self, customer_id: UUID, values: Mapping[str, object], *, at: datetime) -> None:
        """Write fields of `stated_preferences`; one that is empty from now on is no preference any more."""
        emptied = [stated_preferences[name] for name, value in values.items() if not value]
        stated = [(*stated_preferences[name], Jsonb(value)) for name, value in values.items() if value]
        if emptied:
            await self._execute(
                """
                DELETE FROM customer_preferences p
                USING unnest(%(types)s::text[], %(keys)s::text[]) AS emptied (type, key)
                WHERE p.customer_id = %(customer_id)s AND p.preference_type = emptied.type
                    AND p.preference_key = emptied.key
                """,
                {
                    "customer_id": customer_id,
                    "types": [preference_type for preference_type, _ in emptied],
                    "keys": [key for _, key in emptied],
                },
            )
        if stated:
            await self._execute(
                """
                INSERT INTO customer_preferences AS p
                    (customer_id, preference_type, preference_key, preference_value, created_at, updated_at)
                SELECT %(customer_id)s, wanted.type, wanted.key, wanted.value, %(at)s, %(at)s
                FROM unnest(%(types)s::text[], %(keys)s::text[], %(values)s::jsonb[]) AS wanted (type, key, value)
                ON CONFLICT (customer_id, preference_type, preference_key) DO UPDATE
                    SET preference_value = excluded.preference_value, version = p.version + 1,
                        updated_at = excluded.updated_at
                    WHERE p.preference_value <> excluded.preference_value
                """,
                {
                    "customer_id": customer_id,
                    "types": [preference_type for preference_type, _, _ in stated],
                    "keys": [key for _, key, _ in stated],
                    "values": [value for _, _, value in stated],
                    "at": at,
                },
            )
