"""`regulars worker`: run background work, as a program of its own or beside the API."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import typer

from regulars.cli.context import ready_database, with_secret
from regulars.jobs.worker import run_worker
from regulars.kit.logs import configure_logging
from regulars.kit.settings import Settings, load_settings


def run_background_work(
    until_empty: bool = typer.Option(False, "--until-empty", help="End when no job is left, instead of waiting."),
) -> None:
    """Run jobs from the queue until stopped.

    `regulars serve` on the embedded database does this by itself; beside a server of your own, run one or more.
    """
    settings = load_settings()
    configure_logging()
    with ready_database(settings) as url:
        asyncio.run(run_worker(url, with_secret(settings), until_empty=until_empty))


@contextmanager
def background_worker(url: str, settings: Settings) -> Iterator[None]:
    """Run jobs in a thread until the block ends; those that still run then have 20 seconds."""
    loop = asyncio.new_event_loop()
    work = loop.create_task(run_worker(url, settings, install_signal_handlers=False))

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
