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
