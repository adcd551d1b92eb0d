"""`regulars clients`: programs that may sign in."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import ApiClientCreate, ApiClientCreated, ApiClientPage, ApiClientResponse
from regulars.cli.context import one_transaction, ready_database
from regulars.cli.printing import print_rest
from regulars.cli.refusals import in_words
from regulars.kit.schemas import Page
from regulars.kit.security import operator
from regulars.kit.settings import load_settings

app = typer.Typer(help="Programs that may sign in: tills, shops, importers.", no_args_is_help=True)

Found = TypeVar("Found")
ClientId = Annotated[UUID, typer.Argument(help="The client_id.")]

no_client = "No program has this id. `regulars clients list` shows them."


@app.command("create")
def create_client(
    name: Annotated[str, typer.Option(help="What it is, such as 'till 4'.")],
    source: Annotated[str, typer.Option(help="The source of the orders that it writes.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as orders:write; repeatable.")],
    max_points_per_transaction: Annotated[int | None, typer.Option(help="The most points it moves at once.")] = None,
    max_points_per_day: Annotated[int | None, typer.Option(help="The most points it moves in a day.")] = None,
) -> None:
    """Add a program and print its id and secret. The secret is shown this once."""
    with in_words(no_client):
        data = ApiClientCreate(
            name=name,
            source=source,
            scopes=scope,
            max_points_per_transaction=max_points_per_transaction,
            max_points_per_day=max_points_per_day,
        )
    _print_secret(_run(lambda service: service.create_client(data, by=operator)))


@app.command("list")
def list_clients(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to show.")] = 100,
    offset: Annotated[int, typer.Option(min=0, max=100_000, help="How many to leave out at the start.")] = 0,
) -> None:
    """Show the programs that may sign in, newest first."""
    page: Page[ApiClientResponse] = _run(
        lambda service: service.list_clients(ApiClientPage(limit=limit, offset=offset))
    )
    for client in page.items:
        state = "enabled" if client.is_enabled else "disabled"
        typer.echo(f"{client.id} {state:9} {client.source:12} {client.name}: {' '.join(client.scopes)}")
    print_rest(page)


@app.command("rotate")
def rotate_secret(
    client_id: ClientId,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The old secret, and what was signed in with it, ends now.")
    ] = False,
) -> None:
    """Give a program a new secret and print it. The old one lives on for some days, so that it can be replaced."""
    overlap = timedelta(0) if at_once else None
    _print_secret(_run(lambda service: service.rotate_secret(client_id, by=operator, overlap=overlap)))


@app.command("disable")
def disable_client(client_id: ClientId) -> None:
    """Let a program sign in no more; whatever it does ends at once."""
    _run(lambda service: service.disable_client(client_id, by=operator))
    typer.echo(f"{client_id} may not sign in any more")


def _print_secret(created: ApiClientCreated) -> None:
    typer.echo(f"client_id     {created.id}\nclient_secret {created.client_secret}")


def _run(work: Callable[[ApiClientService], Awaitable[Found]]) -> Found:
    settings = load_settings()

    async def run(url: str) -> Found:
        async with one_transaction(url) as connection:
            return await work(ApiClientService(connection, settings, settings.clock))

    with in_words(no_client), ready_database(settings) as url:
        return asyncio.run(run(url))
