"""What each process of `serve` runs."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

from regulars.api.health import Shutdown
from regulars.app import create_app
from regulars.kit.collector import collect_less_often
from regulars.kit.logs import configure_logging


def create_worker() -> Callable[..., Awaitable[None]]:
    """The application; in one of several processes, it ends when the one that started them is gone.

    Called by the server, in its event loop, after it has installed its own handlers of signals.
    """
    configure_logging()
    if parent := parent_process():
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    app = create_app()
    _drain_before_stopping(app.state.shutdown, app.state.settings.drain_seconds)
    collect_less_often()
    return app


def _drain_before_stopping(shutdown: Shutdown, seconds: float) -> None:
    """Let SIGTERM first turn /readyz to no, and stop the server only when those who ask it have had time to notice.

    A second SIGTERM stops at once, as does Ctrl-C.
    """
    stop, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()

    def stop_now() -> None:
        if callable(stop):
            stop(signal.SIGTERM, None)

    def begin() -> None:
        if shutdown.has_begun:
            stop_now()
        else:
            shutdown.has_begun = True
            loop.call_later(seconds, stop_now)

    loop.add_signal_handler(signal.SIGTERM, begin)


def _end_with(parent: BaseProcess) -> None:
    # A killed parent cannot tell its workers to stop; they would hold the port and a database that nobody keeps.
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
