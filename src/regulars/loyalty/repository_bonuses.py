"""Which contacts have had a welcome bonus, as keyed hashes: a person who is erased and comes back has had theirs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from regulars.kit.database import Repository


class WelcomeBonusRepository(Repository):
    """Contacts that were welcomed."""

    async def take(self, contacts: Sequence[bytes], customer_id: UUID, *, now: datetime) -> bool:
        """Whether none of the contacts has had a bonus; then they have it from now on."""
        taken = await self._execute(
            """
            INSERT INTO welcome_bonuses (contact_hash, customer_id, given_at)
            SELECT contact_hash, %(customer_id)s, %(now)s FROM unnest(%(contacts)s::bytea[]) AS c (contact_hash)
            WHERE NOT EXISTS (SELECT FROM welcome_bonuses WHERE contact_hash = ANY (%(contacts)s::bytea[]))
            ON CONFLICT (contact_hash) DO NOTHING
            """,
            {"contacts": list(contacts), "customer_id": customer_id, "now": now},
        )
        return taken == len(contacts)

    async def hand_over(self, source: UUID, target: UUID) -> None:
        """Note the contacts that were welcomed as one customer's as another's."""
        rows = await self._rows(
            "DELETE FROM welcome_bonuses WHERE customer_id = %s RETURNING contact_hash, given_at", [source]
        )
        await self._execute(
            """
            INSERT INTO welcome_bonuses (contact_hash, customer_id, given_at)
            SELECT contact_hash, %(target)s, given_at
            FROM unnest(%(hashes)s::bytea[], %(times)s::timestamptz[]) AS moved (contact_hash, given_at)
            """,
            {"target": target, "hashes": [row[0] for row in rows], "times": [row[1] for row in rows]},
        )

    async def purge(self, erased_before: datetime, *, at_most: int) -> int:
        """Forget the contacts of people who were erased before an instant; how many."""
        return await self._execute(
            """
            DELETE FROM welcome_bonuses WHERE contact_hash IN (
                SELECT b.contact_hash FROM welcome_bonuses AS b JOIN customers AS c ON c.id = b.customer_id
                WHERE c.erased_at <= %s LIMIT %s)
            """,
            [erased_before, at_most],
        )
