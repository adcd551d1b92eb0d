"""How often somebody may do something.

The instants of what was let through are kept in the database, so a limit holds across processes and restarts, and in
every stretch of time, not only between full hours. Who it was is kept as a keyed hash.

    twice_a_minute = RateLimit("greeting", (Window(2, timedelta(minutes=1)),))
    await RateLimiter(connection, hashes, clock).take(twice_a_minute, "203.0.113.9")
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import TooManyRequests
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.repository_ratelimit import RateLimitRepository


class RateLimited(TooManyRequests):
    """There were too many requests of this kind; wait before the next."""


@dataclass(frozen=True)
class Window:
    """At most so many within any stretch of this length."""

    most: int
    within: timedelta


@dataclass(frozen=True)
class RateLimit:
    """A limit.

    Attributes:
        kind: What is counted; the same subject is counted apart for each kind.
        windows: All of them hold.
    """

    kind: str
    windows: tuple[Window, ...]

    @property
    def most_kept(self) -> int:
        """How many instants decide."""
        return max(window.most for window in self.windows)

    @property
    def longest(self) -> timedelta:
        """After which time nothing is remembered."""
        return max(window.within for window in self.windows)

    def free_at(self, taken_at: Sequence[datetime]) -> datetime | None:
        """When the next one is let through; None if it never was full.

        Args:
            taken_at: When the last ones were, newest first.
        """
        ends = [taken_at[w.most - 1] + w.within for w in self.windows if len(taken_at) >= w.most]
        return max(ends, default=None)


class RateLimiter:
    """Counts in the caller's transaction: what is rolled back was not done."""

    def __init__(self, connection: Connection, hashes: KeyedHashes, clock: Clock) -> None:
        self._counts = RateLimitRepository(connection)
        self._hashes = hashes
        self._clock = clock

    async def take(self, limit: RateLimit, subject: str) -> None:
        """Count one more, or refuse it; others who count the same wait until the transaction ends.

        Args:
            limit: What is counted.
            subject: Who does it, or to whom it is done: an address, in one spelling.

        Raises:
            RateLimited: the limit is reached; says when the next one is let through.
        """
        now, subject_hash = self._clock.now(), self._hashes.of(limit.kind, subject)
        windows = [(window.most, now - window.within) for window in limit.windows]
        if await self._counts.take(
            limit.kind, subject_hash, windows, now=now, keep=limit.most_kept, forget_at=now + limit.longest
        ):
            return
        free_at = limit.free_at(await self._counts.taken_at(limit.kind, subject_hash))
        wait = (free_at or now) - now
        raise RateLimited(retry_after=max(1, math.ceil(wait.total_seconds())))
