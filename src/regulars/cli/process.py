"""What each process of `serve` runs, and how it ends: answer what was accepted, accept nothing more, then go."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final

import typer
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE

from regulars.app import create_app
from regulars.cli.connections import LimitedConnection
from regulars.cli.listening import accept_seconds, refuse_newcomers
from regulars.kit.collector import collect_less_often
from regulars.kit.errors import OperatorError
from regulars.kit.logs import configure_logging

drain: Final = b"drain"
stop: Final = b"stop"


class AnsweringProcess:
    """Answers requests on sockets that listen already, until it is asked to end.

    Alone, it is asked by SIGTERM: /readyz says no at once, and the server stops when those who ask it have had time to
    notice; a second SIGTERM stops it without that delay, as does Ctrl-C. One of several is asked by the process that
    started it, which tells all of them at the same time, and ends by itself when that one is gone.
    """

    def __init__(self, listeners: Sequence[socket.socket], orders: Connection | None = None) -> None:
        self._listeners, self._orders = list(listeners), orders
        self._state: Any = None  # of the application, once the server has made it
        self._ending: asyncio.Task[None] | None = None
        self._server = Server(
            Config(
                self._create_app,
                factory=True,
                http=LimitedConnection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,  # the application writes a line of its own for each request
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=20,
            )
        )

    def run(self) -> None:
        """Answer until the end."""
        self._server.run(sockets=self._listeners)

    def _create_app(self) -> Callable[..., Awaitable[None]]:
        # Called by the server, in its event loop, after it has installed its own handlers of signals.
        configure_logging()
        app = create_app()
        self._state = app.state
        loop = asyncio.get_running_loop()
        if self._orders is None:
            loop.add_signal_handler(signal.SIGTERM, self._drain)
        else:
            # A service manager, or a terminal, may send its signal to every process; the first of them decides.
            for ignored in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(ignored, lambda: None)
            loop.add_reader(self._orders.fileno(), self._obey, self._orders)
        collect_less_often()
        return app

    def _obey(self, orders: Connection) -> None:
        try:
            order = orders.recv_bytes()
        except (EOFError, OSError):  # who started this process was killed: nobody keeps the database and the port
            asyncio.get_running_loop().remove_reader(orders.fileno())
            self._drain()
            return
        if order == stop:
            self._stop()
        elif order == drain:
            self._be_unready()

    def _drain(self) -> None:
        if self._state.shutdown.has_begun:
            self._finish()
            return
        self._be_unready()
        asyncio.get_running_loop().call_later(self._state.settings.drain_seconds, self._finish)

    def _be_unready(self) -> None:
        self._state.shutdown.has_begun = True
        self._state.connections.is_draining = True

    def _finish(self) -> None:
        refuse_newcomers(self._listeners)
        asyncio.get_running_loop().call_later(accept_seconds, self._stop)

    def _stop(self) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._take_over_and_stop())

    async def _take_over_and_stop(self) -> None:
        """Take what the system has accepted until nothing is left: to close a listening socket would reset it."""
        for listener in self._listeners:
            listener.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    accepted, _ = listener.accept()
                    accepted.setblocking(False)
                    await asyncio.get_running_loop().connect_accepted_socket(self._connection, accepted)
        self._server.should_exit = True

    def _connection(self) -> LimitedConnection:
        server = self._server
        return LimitedConnection(server.config, server.server_state, server.lifespan.state)


def run_worker(listeners: Sequence[socket.socket], orders: Connection) -> None:
    """One of several processes."""
    try:
        AnsweringProcess(listeners, orders).run()
    except OperatorError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(STARTUP_FAILURE)
