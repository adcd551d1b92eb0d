"""Several processes that answer on the same sockets: started, replaced when they die, and ended together.

uvicorn's own supervisor holds the listening sockets until its last process is gone. The system goes on accepting for
it, and those connections are reset when it ends. This one stops the accepting first, for all processes at once.
"""

import logging
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from uvicorn.config import STARTUP_FAILURE

from regulars.cli.listening import accept_seconds, refuse_newcomers
from regulars.cli.process import drain, run_worker, stop

log = logging.getLogger(__name__)

pause_seconds = 0.5
"""Between the death of a process and its successor."""


class Workers:
    """So many processes, until a signal ends them: SIGTERM after a time to drain, a second one or Ctrl-C without."""

    def __init__(self, listeners: Sequence[socket.socket], count: int, *, drain_seconds: float) -> None:
        self._listeners, self._count, self._drain_seconds = list(listeners), count, drain_seconds
        self._running: dict[BaseProcess, Connection] = {}
        self._signals: list[int] = []
        self._wakes, self._woken = socket.socketpair()

    def run(self) -> int:
        """Answer until the end; the exit code of it all."""
        with self._listening_to_signals():
            for _ in range(self._count):
                self._start()
            code = self._keep_running()
            if signal.SIGINT not in self._signals and not code:
                self._send(drain)
                self._wait(self._drain_seconds, signals=2)
            self._finish()
        return code

    def _start(self) -> None:
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=run_worker, args=(self._listeners, theirs))
        process.start()
        theirs.close()
        self._running[process] = ours

    def _keep_running(self) -> int:
        """Replace whoever dies, until a signal comes; the exit code of one that could not even start."""
        while not self._signals:
            self._wait(None, signals=1)
            for process in self._bury():
                if process.exitcode == STARTUP_FAILURE:
                    return STARTUP_FAILURE
                log.warning("process %s died, another one follows", process.pid)
                self._wait(pause_seconds, signals=1)
                if not self._signals:
                    self._start()
        return 0

    def _finish(self) -> None:
        """Let nobody in any more, wait until the processes have everybody who was in, and then for their answers."""
        refuse_newcomers(self._listeners)
        time.sleep(accept_seconds)
        for listener in self._listeners:
            listener.close()
        self._send(stop)
        before = len(self._signals)
        while self._running:
            self._wait(None, signals=before + 1)
            self._bury()
            if len(self._signals) > before:
                for process in self._running:
                    process.kill()

    def _wait(self, seconds: float | None, *, signals: int) -> None:
        """Wait until a process ends, so many signals have come, or the time is over."""
        until = None if seconds is None else time.monotonic() + seconds
        while len(self._signals) < signals:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = wait([self._woken, *(process.sentinel for process in self._running)], left)
            if self._woken in ready:
                self._woken.recv(64)
            if not ready or len(ready) > (self._woken in ready):
                return

    def _bury(self) -> list[BaseProcess]:
        dead = [process for process in self._running if process.exitcode is not None]
        for process in dead:
            process.join()
            self._running.pop(process).close()
        return dead

    def _send(self, order: bytes) -> None:
        for orders in self._running.values():
            with suppress(OSError):  # it has ended
                orders.send_bytes(order)

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        for ours in (self._wakes, self._woken):
            ours.setblocking(False)
        wakes = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        before = {each: signal.signal(each, self._note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.set_wakeup_fd(wakes)
            self._wakes.close()
            self._woken.close()

    def _note(self, number: int, _: object) -> None:
        self._signals.append(number)
