"""When work that comes round again was last begun and done, in the database."""

from datetime import datetime

from regulars.kit.database import Repository


class DueWorkRepository(Repository):
    """Rows of work, by name."""

    async def begin(self, name: str, *, now: datetime, done_before: datetime, begun_before: datetime) -> bool:
        """Take it on; False where it is not due, or somebody began it a moment ago.

        A row from the future was written by a clock that went wrong; it stops nothing.
        """
        return bool(
            await self._execute(
                """
                INSERT INTO due_work AS known (name, begun_at) VALUES (%(name)s, %(now)s)
                ON CONFLICT (name) DO UPDATE SET begun_at = excluded.begun_at
                WHERE (known.done_at IS NULL OR known.done_at <= %(done_before)s OR known.done_at > %(now)s)
                    AND (known.begun_at <= %(begun_before)s OR known.begun_at > %(now)s)
                """,
                {"name": name, "now": now, "done_before": done_before, "begun_before": begun_before},
            )
        )

    async def is_due(self, name: str, *, now: datetime, done_before: datetime) -> bool:
        """Whether it was not done since an instant."""
        return not await self._value(
            "SELECT done_at > %s AND done_at <= %s FROM due_work WHERE name = %s", [done_before, now, name]
        )

    async def end(self, name: str, *, at: datetime) -> None:
        """Note that it is done, as of the instant at which it was begun."""
        await self._execute(
            "INSERT INTO due_work (name, begun_at, done_at) VALUES (%(name)s, %(at)s, %(at)s)"
            " ON CONFLICT (name) DO UPDATE SET done_at = excluded.done_at",
            {"name": name, "at": at},
        )
