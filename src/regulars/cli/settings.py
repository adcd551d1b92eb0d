"""`regulars settings`: those that the stored data depend on."""

import asyncio

import typer

from regulars.cli.context import migrated_database, one_transaction
from regulars.flows.kept_settings import NewDays, change_timezone
from regulars.kit.database import Database
from regulars.kit.repository_kept_settings import KeptSettingsRepository
from regulars.kit.settings import Settings, load_settings

app = typer.Typer(help="The settings that the stored data depend on.", no_args_is_help=True)


@app.command("show")
def show() -> None:
    """Print the values that the data were stored under."""
    settings = load_settings()
    with migrated_database(settings) as url:
        kept = asyncio.run(_kept(url))
    for name, value in kept.items():
        typer.echo(f"REGULARS_{name.upper()}={value}")


@app.command("timezone")
def timezone() -> None:
    """Move the store days of all orders to REGULARS_STORE_TIMEZONE, and metrics and scores with them.

    Nothing else may run meanwhile. Dates at which points and tiers expire stay as they were promised.
    """
    settings = load_settings()
    with migrated_database(settings) as url:
        done = asyncio.run(_changed(url, settings))
    typer.echo(
        f"{done.days:,} orders and refunds fall on another day now; the metrics of {done.customers:,} and the scores of"
        f" {done.scores:,} customers followed."
    )


async def _kept(url: str) -> dict[str, str]:
    async with one_transaction(url) as connection:
        return await KeptSettingsRepository(connection).get_all()


async def _changed(url: str, settings: Settings) -> NewDays:
    async with Database(url, size=1) as database:
        return await change_timezone(database, settings)
