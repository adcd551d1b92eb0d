"""The worker: takes jobs from the queue and runs them; several may work side by side."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from regulars.jobs.tasks import Task, begin_what_is_due, register_tasks, stalled_seconds, tasks_on_demand
from regulars.jobs.toolbox import Toolbox
from regulars.kit.database import Database, runtime_conninfo
from regulars.kit.delivery import messenger_from
from regulars.kit.settings import Settings

concurrency = 4
statement_seconds = 300
lock_seconds = 10
shutdown_seconds = 20.0
look_again_seconds = 0.5
"""How long a job waits at most after the one before it that had the same lock: of its end the queue sends no word."""


async def run_worker(
    url: str,
    settings: Settings,
    *,
    tasks: Iterable[Task] = tasks_on_demand,
    install_signal_handlers: bool = True,
    until_empty: bool = False,
    starts_due_work: bool = False,
) -> None:
    """Run jobs until stopped; jobs that do not end within 20 seconds of that are left to the next worker.

    Args:
        url: Address of the database.
        settings: Of the installation.
        tasks: What can be queued, besides the worker's own housekeeping.
        install_signal_handlers: Whether SIGTERM and SIGINT stop the worker; False inside another program.
        until_empty: Return when no job is left, instead of waiting for more.
        starts_due_work: Whether what is due by itself is begun at once, and not within a minute.

    Raises:
        OperatorError: a setting of the delivery of messages cannot be used.
    """
    messenger = messenger_from(settings)
    async with _worker_app(url, tasks) as app, _tools(url) as database:
        toolbox = Toolbox(database, settings, settings.clock, messenger)
        if starts_due_work:
            await begin_what_is_due(toolbox)
        await app.run_worker_async(
            concurrency=concurrency,
            wait=not until_empty,
            listen_notify=not until_empty,
            fetch_job_polling_interval=look_again_seconds,
            install_signal_handlers=install_signal_handlers,
            shutdown_graceful_timeout=shutdown_seconds,
            stalled_worker_timeout=stalled_seconds,
            delete_jobs="never",
            additional_context={"toolbox": toolbox},
        )


@asynccontextmanager
async def _worker_app(url: str, tasks: Iterable[Task]) -> AsyncIterator[App]:
    app = App(connector=PsycopgConnector(conninfo=runtime_conninfo(url, application_name="regulars-queue"), max_size=4))
    register_tasks(app, tasks)
    async with app.open_async():
        yield app


@asynccontextmanager
async def _tools(url: str) -> AsyncIterator[Database]:
    # For each task one for its work, one to read beside it, and one for what it tells meanwhile.
    async with Database(
        url, size=3 * concurrency, statement_seconds=statement_seconds, lock_seconds=lock_seconds
    ) as database:
        yield database
