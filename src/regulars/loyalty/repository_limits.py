"""The counters behind the limits of API clients."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from regulars.kit.database import Repository


@dataclass(frozen=True)
class ClientLimit:
    """What a client may move; None is no limit. `is_taken` says whether the day's counter had room."""

    per_transaction: int | None
    per_day: int | None
    is_taken: bool


class ClientLimitRepository(Repository):
    """Counts points by client and store day."""

    async def take(self, client_id: UUID, day: date, points: int) -> ClientLimit | None:
        """Count points if the day has room for them; None if there is no such client. Only capped days are counted."""
        return await self._one(
            ClientLimit,
            """
            WITH caps AS (
                SELECT max_points_per_transaction AS per_transaction, max_points_per_day AS per_day
                FROM api_clients WHERE id = %(client_id)s
            ), counted AS (
                INSERT INTO loyalty_client_days AS known (client_id, day, points)
                SELECT %(client_id)s, %(day)s, %(points)s FROM caps WHERE %(points)s <= per_day
                ON CONFLICT (client_id, day) DO UPDATE SET points = known.points + excluded.points
                WHERE known.points + excluded.points <= (SELECT per_day FROM caps)
                RETURNING points
            )
            SELECT per_transaction, per_day, EXISTS (SELECT FROM counted) AS is_taken FROM caps
            """,
            {"client_id": client_id, "day": day, "points": points},
        )

    async def give_back(self, client_id: UUID, day: date, points: int) -> None:
        """Uncount points."""
        await self._execute(
            "UPDATE loyalty_client_days SET points = points - %s WHERE client_id = %s AND day = %s",
            [points, client_id, day],
        )
