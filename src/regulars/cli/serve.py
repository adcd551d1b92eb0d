"""`regulars serve`: the API, with the embedded PostgreSQL kept running for as long."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import typer

from regulars.cli.context import ready_database, require_secret, secret_of, with_secret
from regulars.cli.listening import address_of, allow_many_connections, listen
from regulars.cli.process import AnsweringProcess
from regulars.cli.supervisor import Workers
from regulars.cli.worker import background_worker
from regulars.kit.delivery import messenger_from
from regulars.kit.errors import OperatorError
from regulars.kit.logs import configure_logging
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.repository_search import knows_latin_only
from regulars.kit.settings import Settings, load_settings

log = logging.getLogger(__name__)


def serve(
    host: str = typer.Option("127.0.0.1", help="Name or address to listen on."),
    port: int = typer.Option(8000, help="Port to listen on; 0 takes a free one."),
    workers: int = typer.Option(1, help="How many processes answer."),
) -> None:
    """Serve the API until told to stop."""
    settings = load_settings()
    require_secret(settings)
    messenger_from(settings)  # refuses what its worker could not use
    if workers < 1:
        raise OperatorError(f"{workers} workers cannot answer anybody.", "Use --workers with 1 or more.")
    listeners = listen(host, port)
    allow_many_connections()
    configure_logging()
    signal.signal(signal.SIGTERM, _leave)
    with ready_database(settings) as url, _kept_running(settings), _background_work(url, with_secret(settings)):
        # The workers read their settings from the environment, as the operator's other programs do.
        os.environ["REGULARS_DATABASE_URL"] = url
        os.environ["REGULARS_JWT_SECRET"] = secret_of(settings).get_secret_value()
        if knows_latin_only(url):
            log.warning(
                "searching names in other scripts than Latin reads every customer: run `regulars rebuild search`"
            )
        typer.echo(f"regulars answers at {address_of(listeners[0])} (Ctrl-C stops it)")
        _answer(listeners, workers, settings)


def _leave(*_: object) -> None:
    # Unwinds whatever is going on, so that the embedded PostgreSQL is stopped, last.
    sys.exit(0)


@contextmanager
def _kept_running(settings: Settings) -> Iterator[None]:
    """Bring the embedded PostgreSQL back within a second or two whenever it dies, until the block ends."""
    if settings.database_url:
        yield
        return
    server, leaving = EmbeddedPostgres(settings.data_dir), Event()
    with server:
        supervisor = Thread(target=_supervise, args=(server, leaving), name="postgres-supervisor", daemon=True)
        supervisor.start()
        try:
            yield
        finally:
            leaving.set()
            supervisor.join()


@contextmanager
def _background_work(url: str, settings: Settings) -> Iterator[None]:
    """Run jobs as well on the embedded database, where nobody else would; a server of one's own has its own workers."""
    if settings.database_url:
        yield
        return
    with background_worker(url, settings):
        yield


def _supervise(server: EmbeddedPostgres, leaving: Event) -> None:
    while not leaving.wait(1):
        try:
            server.ensure_running()
        except (OperatorError, OSError) as error:  # tried again in a second
            log.error("the embedded PostgreSQL cannot be started again: %s", error)  # noqa: TRY400 - it says it all


def _answer(listeners: list[socket.socket], workers: int, settings: Settings) -> None:
    if workers == 1:
        AnsweringProcess(listeners).run()
        return
    if code := Workers(listeners, workers, drain_seconds=settings.drain_seconds).run():
        raise typer.Exit(code)
