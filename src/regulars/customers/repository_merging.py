"""Two records of one person become one, in the database: what identifies them, and what the profile says."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL, Identifier, Placeholder

from regulars.customers.models import ContactKind, stated_preferences
from regulars.customers.repository_stated import StatedPreferencesRepository


class RecordMergingRepository(StatedPreferencesRepository):
    """Writes what becomes of two records that are locked."""

    async def move_claims(self, source: UUID, target: UUID, *, preferred: UUID, proved: ContactKind) -> None:
        """Let all that identifies one record identify the other, so that its number goes on being found.

        Args:
            source: The record that becomes part of the other.
            target: The record that stays.
            preferred: Which of them keeps its address and number where both have one.
            proved: What was proved just now; neither loses it, as whoever claims it sorts that out.
        """
        other = target if preferred == source else source
        await self._execute(
            """
            DELETE FROM customer_identifiers
            WHERE customer_id = %(other)s AND kind IN ('email', 'phone') AND kind <> %(proved)s
                AND kind IN (SELECT kind FROM customer_identifiers WHERE customer_id = %(preferred)s)
            """,
            {"other": other, "preferred": preferred, "proved": proved},
        )
        await self._execute("UPDATE customer_identifiers SET customer_id = %s WHERE customer_id = %s", [target, source])

    async def write(self, customer_id: UUID, columns: Mapping[str, object], *, at: datetime) -> None:
        """Write fields of a profile as they are given, preferences among them; claims are no matter of it."""
        await self.write_stated(
            customer_id, {name: value for name, value in columns.items() if name in stated_preferences}, at=at
        )
        columns = {name: value for name, value in columns.items() if name not in stated_preferences}
        assignments = SQL("").join(SQL("{} = {}, ").format(Identifier(name), Placeholder(name)) for name in columns)
        await self._execute(
            SQL("UPDATE customers SET {} version = version + 1, updated_at = %(at)s WHERE id = %(id)s").format(
                assignments
            ),
            {**columns, "id": customer_id, "at": at},
        )
