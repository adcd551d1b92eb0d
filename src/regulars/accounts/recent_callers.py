"""Callers whose session was open a moment ago: for some seconds a process need not ask the database again."""

from dataclasses import dataclass
from datetime import datetime

from regulars.kit.security import Principal

most_callers = 10_000


@dataclass(frozen=True)
class _Known:
    caller: Principal
    from_: float
    until: float


class RecentCallers:
    """Remembers callers by their access token.

    Args:
        seconds: For how long, and so how long a session that was closed by another process can go on; 0 remembers
            nobody.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, _Known] = {}

    def find(self, access_token: str, now: datetime) -> Principal | None:
        """The caller, if the token was found good lately and has not ended since."""
        known = self._known.get(access_token)
        return known.caller if known and known.from_ <= now.timestamp() < known.until else None

    def keep(self, access_token: str, caller: Principal, *, now: datetime, ends_at: float) -> None:
        """Remember a caller whose session was just found open.

        Args:
            access_token: As it was sent.
            caller: Whom it stands for.
            now: When that was found.
            ends_at: When the token ends, in seconds since 1970.
        """
        if not self._seconds:
            return
        if len(self._known) >= most_callers:
            self._known.clear()
        found_at = now.timestamp()
        self._known[access_token] = _Known(caller, found_at, min(found_at + self._seconds, ends_at))

    def forget(self) -> None:
        """Remember nobody: a session was closed here, and nobody may call with it from now on."""
        self._known.clear()
