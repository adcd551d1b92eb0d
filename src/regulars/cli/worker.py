"""`regulars worker`: run background work, as a program of its own or beside the API."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import typer
from procrastinate.exceptions import ProcrastinateException
from psycopg import OperationalError

from regulars.cli.context import ready_database, with_secret
from regulars.jobs.worker import run_worker
from regulars.kit.errors import Unavailable
from regulars.kit.logs import configure_logging
from regulars.kit.settings import Settings, load_settings

log = logging.getLogger(__name__)


def run_background_work(
    until_empty: bool = typer.Option(False, "--until-empty", help="Do what is due, and end when no job is left."),
) -> None:
    """Run jobs from the queue until stopped.

    `regulars serve` on the embedded database does this by itself; beside a server of your own, run one or more.
    """
    settings = load_settings()
    configure_logging()
    with ready_database(settings) as url:
        settings = with_secret(settings)
        if until_empty:
            asyncio.run(run_worker(url, settings, until_empty=True, starts_due_work=True))
        else:
            asyncio.run(_work_until_told(url, settings))


@contextmanager
def background_worker(url: str, settings: Settings) -> Iterator[None]:
    """Run jobs in a thread until the block ends; those that still run then have 20 seconds."""
    loop = asyncio.new_event_loop()
    work = loop.create_task(_keep_working(url, settings))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(work)
        loop.close()

    thread = Thread(target=run, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(work.cancel)
        thread.join()


async def _work_until_told(url: str, settings: Settings) -> None:
    work = asyncio.create_task(_keep_working(url, settings))
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


async def _keep_working(url: str, settings: Settings) -> None:
    """Run jobs until cancelled: a worker that ends because its database went away is followed by the next."""
    this = asyncio.current_task()
    # To be cancelled may end in another error, while the database is away: it is to stop all the same.
    while this is None or not this.cancelling():
        try:
            await run_worker(url, settings, install_signal_handlers=False, starts_due_work=True)
        except (OperationalError, ProcrastinateException, Unavailable) as error:
            log.warning("the worker ended, another one follows: %s", type(error).__name__)
        await asyncio.sleep(1)
