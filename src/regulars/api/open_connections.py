"""Which connections wait for their client, and which of them is given up first.

A connection costs little while we work for it, and much while its client is silent: it holds memory and a descriptor
for as long as the client likes. So those that wait are counted, for each client address and together, and when there
are too many, the one that has shown no sign of life for the longest goes. An honest request is on its way for moments,
so that it is never that one, not even where it shares its address with somebody hostile.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from regulars.api.client_address import Network
from regulars.kit.measures import Figure

sweep_seconds = 1.0
silent_seconds = 1.0
"""Who has been silent for less is never given up: many connections may well come in one moment."""
all_together = 5
"""How many times the limit of one address may wait in all."""


def most_connections() -> int:
    """How many connections a process may have: what the system allows, less what the rest of the work needs."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return files - min(512, files // 2) if files != resource.RLIM_INFINITY else 1 << 16


class Connection(Protocol):
    """What the register needs to know of a connection."""

    def client_address(self, trusted: Sequence[Network]) -> str | None:
        """Whose it is; None while only the proxy that speaks for the client is known."""

    def end_if_overdue(self, now: float) -> None:
        """Close it when its client has had its time."""

    def give_up(self) -> None:
        """Close it although its time is not over."""


class OpenConnections:
    """The connections of one process.

    Attributes:
        is_draining: Whether each answer is to be the last of its connection.
        given_up: How many were closed to make room.
    """

    def __init__(self, *, most_waiting: int, most: int, trusted: Sequence[Network] = ()) -> None:
        self.is_draining = False
        self.given_up = 0
        self._most_waiting, self._most, self._trusted = most_waiting, most, trusted
        self._all: set[Connection] = set()
        # Both begin with the one that has shown no sign of life for the longest.
        self._idle: dict[Connection, None] = {}
        self._waiting: dict[Connection, float] = {}
        self._next_sweep: asyncio.TimerHandle | None = None

    def add(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """A client has connected; nothing has come from it yet."""
        self._all.add(connection)
        self.wait(connection, loop.time())
        if len(self._all) > self._most:
            self._give_up(next(iter(self._idle or self._waiting)))
        if self._next_sweep is None:
            self._next_sweep = loop.call_later(sweep_seconds, self._sweep, loop)

    def wait(self, connection: Connection, now: float) -> None:
        """It is the client's turn: a request is not complete, or an answer not read. Said again, there is progress."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)
        self._waiting[connection] = now

    def work(self, connection: Connection) -> None:
        """It is our turn."""
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """All that was asked is answered; it may be used again."""
        self.work(connection)
        self._idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        self.work(connection)
        self._all.discard(connection)

    def figures(self) -> list[Figure]:
        """What Prometheus is told of them."""
        states = {"idle": len(self._idle), "waiting": len(self._waiting)}
        states["working"] = len(self._all) - sum(states.values())
        values = [("", {"state": state}, count) for state, count in states.items()]
        return [
            Figure("connections", "gauge", "Open connections, by whose turn it is.", values),
            Figure("connections_given_up_total", "counter", "Closed to make room.", [("", {}, self.given_up)]),
        ]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._all):
            connection.end_if_overdue(now)
        if len(self._waiting) > self._most_waiting:
            self._make_room(now)
        self._next_sweep = loop.call_later(sweep_seconds, self._sweep, loop) if self._all else None

    def _make_room(self, now: float) -> None:
        """Give up whoever is too much, of one address and in all, beginning with the one that is silent for longest."""
        addresses = {connection: connection.client_address(self._trusted) for connection in self._waiting}
        left, of_address = len(addresses), Counter(addresses.values())
        for connection, since in list(self._waiting.items()):
            address = addresses[connection]
            is_too_much = address is not None and of_address[address] > self._most_waiting
            if now - since >= silent_seconds and (is_too_much or left > self._most_waiting * all_together):
                self._give_up(connection)
                left, of_address[address] = left - 1, of_address[address] - 1

    def _give_up(self, connection: Connection) -> None:
        self.given_up += 1
        self.work(connection)
        connection.give_up()
