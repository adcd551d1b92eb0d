"""How much was sent to prove addresses and numbers, day by day."""

from datetime import date
from typing import Literal

from regulars.kit.database import Repository

Medium = Literal["mail", "text"]


class SendingDayRepository(Repository):
    """How many messages of each medium went out on each store day."""

    async def take(self, day: date, medium: Medium, *, most: int) -> bool:
        """Count one more message of a day, unless there are so many already; whether it was counted."""
        counted = await self._execute(
            """
            INSERT INTO sending_days AS counted (day, medium, messages) VALUES (%(day)s, %(medium)s, 1)
            ON CONFLICT (day, medium) DO UPDATE SET messages = counted.messages + 1 WHERE counted.messages < %(most)s
            """,
            {"day": day, "medium": medium, "most": most},
        )
        return counted == 1
