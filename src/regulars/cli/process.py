"""What each process of `serve` runs."""

import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

from regulars.app import create_app
from regulars.kit.logs import configure_logging


def create_worker() -> Callable[..., Awaitable[None]]:
    """The application; in one of several processes, it ends when the one that started them is gone."""
    configure_logging()
    if parent := parent_process():
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    return create_app()


def _end_with(parent: BaseProcess) -> None:
    # A killed parent cannot tell its workers to stop; they would hold the port and a database that nobody keeps.
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
