"""How often one client address may call the operations that need no token, and how often a caller may call the others.

Many people and tills share an address behind the router of a shop or a carrier, so these stop floods. What protects one
account or one mailbox counts apart, by account (`too-many-attempts`) and by the address that is written to.
"""

import math
from datetime import timedelta
from time import monotonic
from uuid import UUID

from regulars.kit.ratelimit import RateLimit, RateLimited, Window
from regulars.kit.security import Principal
from regulars.kit.settings import Settings

_quarter = timedelta(minutes=15)


def sign_in_rate(_: Settings) -> RateLimit:
    """Room for the 300 tills of a chain that sign in every quarter of an hour."""
    return RateLimit("sign-in", (Window(300, _quarter),))


def refresh_rate(_: Settings) -> RateLimit:
    """As for signing in: a token lives as long."""
    return RateLimit("refresh", (Window(300, _quarter),))


def password_rate(_: Settings) -> RateLimit:
    """Forgotten passwords and their mailed tokens."""
    return RateLimit("password", (Window(30, _quarter),))


def register_rate(settings: Settings) -> RateLimit:
    """New customers."""
    return RateLimit("register", (Window(settings.register_per_hour, timedelta(hours=1)),))


class CallerRates:
    """How many requests each caller sends to this process, so that one of them cannot take all of it.

    Kept in memory, because counting may cost next to nothing of what is counted: a number for each caller, the instant
    until which its requests are spread out at the rate that it has (the generic cell rate algorithm). A caller may
    send those of a minute at once.
    """

    _window = 60.0
    _most_kept = 10_000

    def __init__(self, settings: Settings) -> None:
        per_minute = {
            "customer": settings.customer_requests_per_minute,
            "service": settings.client_requests_per_minute,
        }
        self._intervals = {
            role: self._interval(per_minute.get(role, settings.staff_requests_per_minute))
            for role in ("customer", "service", "staff", "analyst", "admin")
        }
        self._long_interval = self._interval(settings.long_requests_per_minute)
        self._spread_until: dict[tuple[UUID | None, bool], float] = {}

    def take(self, caller: Principal, *, is_long: bool) -> None:
        """Count a request.

        Raises:
            RateLimited: it is one too many.
        """
        now = monotonic()
        self._count((caller.id, False), self._intervals[caller.role], now)
        if is_long:
            self._count((caller.id, True), self._long_interval, now)

    def _count(self, key: tuple[UUID | None, bool], interval: float, now: float) -> None:
        if not interval:
            return
        until = max(self._spread_until.get(key, now), now) + interval
        if until - now > self._window + interval / 2:
            raise RateLimited(retry_after=max(1, math.ceil(until - now - self._window)))
        self._spread_until[key] = until
        if len(self._spread_until) > self._most_kept:
            self._spread_until = {kept: until for kept, until in self._spread_until.items() if until > now}

    def _interval(self, per_minute: int) -> float:
        return self._window / per_minute if per_minute else 0.0
