"""The only place that asks what time it is."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Tells the time and the store's day. A test hands in one that stands still."""

    store_timezone: ZoneInfo
    stopped_at: datetime | None = None

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return self.stopped_at or utc_now()

    def today(self) -> date:
        """The store's current day."""
        return self.day_of(self.now())

    def day_of(self, instant: datetime) -> date:
        """The store's day in which an instant falls."""
        return instant.astimezone(self.store_timezone).date()

    def start_of(self, day: date) -> datetime:
        """The instant at which a store day begins, in UTC."""
        return datetime.combine(day, time.min, tzinfo=self.store_timezone).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """The instant at which a store day is over: the first one that no longer belongs to it, in UTC."""
        return self.start_of(day + timedelta(days=1))
