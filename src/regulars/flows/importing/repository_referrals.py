"""Who brought whom, in a file of customers: no line may lead back to its customer."""

from collections.abc import Mapping
from uuid import UUID

from psycopg.sql import SQL

from regulars.kit.database import Repository

# Each customer has one referrer at most, so that whoever is not reached from those without any goes round in a circle,
# or was brought by somebody who does. What is stored goes before what the file says.
_create_wanted = """
    CREATE TEMP TABLE wanted_referrals AS
    SELECT DISTINCT ON (matched.customer_id) matched.customer_id, matched.referrer_id
    FROM matched LEFT JOIN customers ON customers.id = matched.customer_id
    WHERE matched.code IS NULL AND matched.referrer_id IS NOT NULL AND customers.referrer_customer_id IS NULL
    ORDER BY matched.customer_id, matched.line
"""
_create_referring = """
    CREATE TEMP TABLE referring AS
    WITH RECURSIVE stored (customer_id, referrer_id) AS (
        SELECT id, referrer_customer_id FROM customers
        WHERE id IN (SELECT referrer_id FROM wanted_referrals) AND referrer_customer_id IS NOT NULL
        UNION
        SELECT id, referrer_customer_id FROM stored JOIN customers ON id = referrer_id
        WHERE referrer_customer_id IS NOT NULL
    )
    SELECT * FROM stored UNION ALL SELECT * FROM wanted_referrals
"""
_find_left = """
    WITH RECURSIVE in_order (id) AS (
        SELECT DISTINCT referrer_id FROM referring WHERE referrer_id NOT IN (SELECT customer_id FROM referring)
        UNION ALL
        SELECT customer_id FROM in_order JOIN referring ON referrer_id = id
    )
    SELECT customer_id, referrer_id FROM referring WHERE customer_id NOT IN (SELECT id FROM in_order)
"""
_reject = """
    UPDATE matched SET code = 'referrer-circle' FROM wanted_referrals AS wanted
    WHERE matched.customer_id = wanted.customer_id AND matched.code IS NULL AND matched.referrer_id IS NOT NULL
        AND wanted.customer_id = ANY(%s)
"""


class ReferralsRepository(Repository):
    """Looks at the referrers of a file as a whole."""

    async def reject_circles(self) -> None:
        """Reject the lines of customers whose referrers go round in a circle."""
        await self._execute("DROP TABLE IF EXISTS wanted_referrals, referring")
        await self._execute(_create_wanted)
        await self._execute(_create_referring)
        await self._execute(SQL("CREATE INDEX ON referring (referrer_id)"))
        await self._execute("ANALYZE referring")
        left: dict[UUID, UUID] = dict(await self._rows(_find_left))
        if left:
            await self._execute(_reject, [sorted(in_circles(left))])


def in_circles(referrers: Mapping[UUID, UUID]) -> set[UUID]:
    """Who, going from customer to referrer, is come back to."""
    found: set[UUID] = set()
    seen: set[UUID] = set()
    for start in referrers:
        path: dict[UUID, None] = {}
        one: UUID | None = start
        while one is not None and one not in seen and one not in path:
            path[one] = None
            one = referrers.get(one)
        if one in path:
            places = list(path)
            found.update(places[places.index(one) :])
        seen.update(path)
    return found
