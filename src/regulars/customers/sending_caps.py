"""How much may be sent to prove contacts: to one address, for one customer, and by the whole shop in a day.

A limit on what is written to alone does not hold who writes another number into the own profile each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self
from uuid import UUID

from regulars.customers.repository_sending_days import Medium, SendingDayRepository
from regulars.customers.repository_verifications import VerificationKind
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.keyed_hashes import KeyedHashes
from regulars.kit.ratelimit import RateLimit, RateLimited, RateLimiter, Window
from regulars.kit.settings import Settings

to_an_address = RateLimit("send", (Window(3, timedelta(minutes=15)), Window(10, timedelta(days=1))))
"""Whatever the purpose: it protects the mailbox or telephone of somebody who perhaps never asked."""

# Whoever asks for these is nobody yet, or must not learn whether the address is known.
_of_customers: Final[frozenset[VerificationKind]] = frozenset({"email", "phone"})


@dataclass(frozen=True)
class SendingCaps:
    """The most that is sent in a day.

    Attributes:
        customer: By medium, for one customer, whatever the address; in any stretch of 24 hours.
        shop: By medium, for all together; in a store day.
    """

    customer: Mapping[Medium, int]
    shop: Mapping[Medium, int]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of an installation."""
        return cls(
            customer={"mail": settings.mails_per_customer_per_day, "text": settings.texts_per_customer_per_day},
            shop={"mail": settings.mails_per_day, "text": settings.texts_per_day},
        )


class SendingLimits:
    """Counts what is sent, in the caller's transaction: what is rolled back was not sent."""

    def __init__(self, connection: Connection, hashes: KeyedHashes, clock: Clock, caps: SendingCaps) -> None:
        self._limiter = RateLimiter(connection, hashes, clock)
        self._days = SendingDayRepository(connection)
        self._clock = clock
        self._caps = caps

    async def take(self, kind: VerificationKind, subject_id: UUID, address: str) -> None:
        """Count one more message, or refuse it.

        The count of the day comes last: all who send wait for each other there, until the transaction ends.

        Raises:
            RateLimited: the address, the customer or the shop has had its share; says when the next is let through.
        """
        medium: Medium = "text" if kind == "phone" else "mail"
        await self._limiter.take(to_an_address, address)
        if kind in _of_customers:
            most = Window(self._caps.customer[medium], timedelta(days=1))
            await self._limiter.take(RateLimit(f"{medium}s-of-customer", (most,)), str(subject_id))
        today, now = self._clock.today(), self._clock.now()
        if not await self._days.take(today, medium, most=self._caps.shop[medium]):
            left = self._clock.end_of(today) - now
            raise RateLimited(retry_after=max(1, int(left.total_seconds())))
