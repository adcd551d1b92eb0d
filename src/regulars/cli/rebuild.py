"""`regulars rebuild`: prove that metrics and scores are what the orders say, or put them right; index names anew."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeAlias

import typer

from regulars.analytics.repository_rebuild import ScoreDifference
from regulars.cli.context import migrated_database, ready_database
from regulars.customers.repository_purchases import MetricsDifference
from regulars.flows.rebuild import rebuild_metrics, rebuild_scores
from regulars.kit.database import Database
from regulars.kit.repository_search import index_every_script
from regulars.kit.settings import Settings, load_settings

app = typer.Typer(help="Metrics and scores, computed from the orders again; the index of names.", no_args_is_help=True)

Difference: TypeAlias = MetricsDifference | ScoreDifference
Work: TypeAlias = Callable[[Database, Settings, Callable[[Difference], None]], Awaitable[int]]

CheckOption = Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if anything differs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for each difference.")]


@app.command("metrics")
def metrics(check: CheckOption = False, as_json: JsonOption = False) -> None:
    """Orders, money and dates of every customer, from the orders."""

    async def work(database: Database, settings: Settings, tell: Callable[[Difference], None]) -> int:
        return await rebuild_metrics(database, settings.clock, repair=not check, tell=tell)

    _run(work, "metrics", check=check, as_json=as_json)


@app.command("scores")
def scores(check: CheckOption = False, as_json: JsonOption = False) -> None:
    """Segments and lifetime values of every scored customer, from the orders, by the run that answers for them."""

    async def work(database: Database, settings: Settings, tell: Callable[[Difference], None]) -> int:
        return await rebuild_scores(database, settings, settings.clock, repair=not check, tell=tell)

    _run(work, "scores", check=check, as_json=as_json)


@app.command("search")
def search() -> None:
    """The index of names, so that it knows the letters of every script; nobody else may be connected."""
    with migrated_database(load_settings()) as url:
        changed = index_every_script(url)
    typer.echo("The index of names knows every script now." if changed else "The index of names is made anew.")


def _run(work: Work, what: str, *, check: bool, as_json: bool) -> None:
    settings = load_settings()

    def tell(difference: Difference) -> None:
        typer.echo(json.dumps(asdict(difference), default=str) if as_json else _sentence(difference))

    async def run(url: str) -> int:
        async with Database(url, size=1) as database:
            return await work(database, settings, tell)

    with ready_database(settings) as url:
        wrong = asyncio.run(run(url))
    if not as_json:
        typer.echo(
            f"{wrong:,} customers whose {what} differ from their orders{'' if check or not wrong else '; put right'}."
        )
    if check and wrong:
        raise typer.Exit(1)


def _sentence(difference: Difference) -> str:
    if isinstance(difference, ScoreDifference):
        return f"{difference.customer_id}: {difference.kept} is stored, the orders say {difference.computed}"
    kept = (difference.kept_orders, difference.kept_net, difference.kept_first_at, difference.kept_last_at)
    computed = (difference.orders, difference.net, difference.first_at, difference.last_at)
    return (
        f"{difference.customer_id}: {_told(*kept, difference.kept_days)} is stored,"
        f" the orders say {_told(*computed, difference.days)}"
    )


def _told(orders: int, net: object, first: object, last: object, days: int) -> str:
    return f"{orders} orders on {days} days, {net} in all, from {first} to {last}"
