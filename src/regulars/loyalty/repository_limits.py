"""The counters behind the limits of API clients."""

from datetime import date
from uuid import UUID

from regulars.kit.database import Repository


class ClientDayRepository(Repository):
    """Counts points by client and store day."""

    async def take(self, client_id: UUID, day: date, points: int, *, at_most: int) -> bool:
        """Count points if the day has room for them; whether it had. Others wait for the end of this transaction."""
        taken = await self._execute(
            """
            INSERT INTO loyalty_client_days AS known (client_id, day, points)
            SELECT %(client_id)s, %(day)s, %(points)s WHERE %(points)s::bigint <= %(at_most)s
            ON CONFLICT (client_id, day) DO UPDATE SET points = known.points + excluded.points
            WHERE known.points + excluded.points <= %(at_most)s
            """,
            {"client_id": client_id, "day": day, "points": points, "at_most": at_most},
        )
        return taken == 1

    async def give_back(self, client_id: UUID, day: date, points: int) -> None:
        """Uncount points."""
        await self._execute(
            "UPDATE loyalty_client_days SET points = points - %s WHERE client_id = %s AND day = %s",
            [points, client_id, day],
        )
