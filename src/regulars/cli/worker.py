"""`regulars worker`: run background work."""

import asyncio

import typer

from regulars.cli.context import ready_database
from regulars.jobs.worker import run_worker
from regulars.kit.settings import load_settings


def run_background_work(
    until_empty: bool = typer.Option(False, "--until-empty", help="End when no job is left, instead of waiting."),
) -> None:
    """Run jobs from the queue until stopped.

    `regulars serve` on the embedded database does this by itself; beside a server of your own, run one or more of these.
    """
    settings = load_settings()
    with ready_database(settings) as url:
        asyncio.run(run_worker(url, settings, until_empty=until_empty))
