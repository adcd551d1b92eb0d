"""In which segment customers were when a scoring run looked at them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL

from regulars.kit.database import Repository

# The segment at a moment is the one before the first change after it, or else the present one: only changes are read.
_segments_at = SQL("""
    SELECT DISTINCT ON (customer_id) customer_id, segment_before AS segment
      FROM segment_history
     WHERE changed_at > {moment}
     ORDER BY customer_id, changed_at, run_id
""")

segments_at_two_moments = SQL("""
    SELECT s.customer_id,
           CASE WHEN f.customer_id IS NULL THEN s.segment ELSE f.segment END AS segment_before,
           CASE WHEN l.customer_id IS NULL THEN s.segment ELSE l.segment END AS segment
      FROM customer_scores s
      LEFT JOIN ({first}) AS f ON f.customer_id = s.customer_id
      LEFT JOIN ({second}) AS l ON l.customer_id = s.customer_id
""").format(
    first=_segments_at.format(moment=SQL("%(first_moment)s::timestamptz")),
    second=_segments_at.format(moment=SQL("%(second_moment)s::timestamptz")),
)
"""A SELECT of everybody's segments at two moments, null where there was none yet."""


class RunMomentRepository(Repository):
    """When runs looked at the shop."""

    async def get_moments(self, run_ids: Sequence[UUID]) -> dict[UUID, datetime]:
        """When finished runs with RFM scores looked at the shop; unknown ones are left out."""
        rows = await self._rows(
            """
            SELECT id, started_at FROM scoring_runs
             WHERE id = ANY (%s) AND kind IN ('rfm', 'all') AND finished_at IS NOT NULL
            """,
            [list(run_ids)],
        )
        return dict(rows)
