"""When things were done that may be done so often only; one row for each who does them."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL, Placeholder

from regulars.kit.database import Repository

Edges = Sequence[tuple[int, datetime]]


class RateLimitRepository(Repository):
    """The instants of what was let through, newest first."""

    async def take(
        self, kind: str, subject_hash: bytes, windows: Edges, *, now: datetime, keep: int, forget_at: datetime
    ) -> bool:
        """Add an instant unless a window is full; whether it was added. Decided and done in one statement.

        Args:
            kind: What is counted.
            subject_hash: Who.
            windows: For each how many it holds, and the instant at which it begins.
            now: The instant to add.
            keep: How many instants to keep.
            forget_at: When the row may go.
        """
        parameters: dict[str, object] = {
            "kind": kind, "subject": subject_hash, "now": now, "keep": keep, "forget_at": forget_at
        }  # fmt: skip
        has_room = []
        for number, (most, begins) in enumerate(windows):
            parameters |= {f"most_{number}": most, f"begins_{number}": begins}
            has_room.append(
                SQL("coalesce(kept.taken_at[{}::int] <= {}, true)").format(
                    Placeholder(f"most_{number}"), Placeholder(f"begins_{number}")
                )
            )
        query = SQL("""
            INSERT INTO rate_limits AS kept (kind, subject_hash, taken_at, forget_at)
            VALUES (%(kind)s, %(subject)s, ARRAY[%(now)s::timestamptz], %(forget_at)s)
            ON CONFLICT (kind, subject_hash) DO UPDATE
            SET taken_at = (excluded.taken_at || kept.taken_at)[1:%(keep)s::int], forget_at = excluded.forget_at
            WHERE {has_room}
            RETURNING true
        """).format(has_room=SQL(" AND ").join(has_room))
        return await self._value(query, parameters) is not None

    async def taken_at(self, kind: str, subject_hash: bytes) -> list[datetime]:
        """The instants that are kept, newest first."""
        instants: list[datetime] | None = await self._value(
            "SELECT taken_at FROM rate_limits WHERE kind = %s AND subject_hash = %s", [kind, subject_hash]
        )
        return instants or []

    async def purge(self, now: datetime, *, at_most: int) -> int:
        """Delete rows that no window reaches back to; how many."""
        return await self._execute(
            "DELETE FROM rate_limits WHERE (kind, subject_hash) IN (SELECT kind, subject_hash FROM rate_limits"
            " WHERE forget_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [now, at_most],
        )
