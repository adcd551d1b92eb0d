"""The worker: takes jobs from the queue and runs them; several may work side by side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector
from psycopg.conninfo import make_conninfo

from regulars.jobs.tasks import register_tasks, stalled_seconds
from regulars.jobs.toolbox import Toolbox
from regulars.kit.database import Database
from regulars.kit.settings import Settings

concurrency = 4
statement_seconds = 300
lock_seconds = 10
shutdown_seconds = 20.0


async def run_worker(
    url: str, settings: Settings, *, install_signal_handlers: bool = True, until_empty: bool = False
) -> None:
    """Run jobs until stopped; jobs that do not end within 20 seconds of that are left to the next worker.

    Args:
        url: Address of the database.
        settings: Of the installation.
        install_signal_handlers: Whether SIGTERM and SIGINT stop the worker; False inside another program.
        until_empty: Return when no job is left, instead of waiting for more.
    """
    async with _worker_app(url) as app, _tools(url) as database:
        await app.run_worker_async(
            concurrency=concurrency,
            wait=not until_empty,
            listen_notify=not until_empty,
            install_signal_handlers=install_signal_handlers,
            shutdown_graceful_timeout=shutdown_seconds,
            stalled_worker_timeout=stalled_seconds,
            delete_jobs="never",
            additional_context={"toolbox": Toolbox(database, settings, settings.clock)},
        )


@asynccontextmanager
async def _worker_app(url: str) -> AsyncIterator[App]:
    app = App(connector=PsycopgConnector(conninfo=make_conninfo(url, application_name="regulars-queue"), max_size=4))
    register_tasks(app)
    async with app.open_async():
        yield app


@asynccontextmanager
async def _tools(url: str) -> AsyncIterator[Database]:
    async with Database(
        url, size=concurrency, statement_seconds=statement_seconds, lock_seconds=lock_seconds
    ) as database:
        yield database
