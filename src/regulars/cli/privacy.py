"""`regulars privacy`, `regulars customers erase` and `export-data`: what is known of a person, and the end of it."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from regulars.cli.context import one_transaction, ready_database, with_secret
from regulars.cli.customers import find_customer
from regulars.cli.printing import table_console
from regulars.customers.schemas import RetailCustomerResponse
from regulars.customers.service import RetailCustomerService
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.database import Database
from regulars.kit.errors import OperatorError
from regulars.kit.private_files import create_private
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings
from regulars.privacy.log_files import line_of, read_log
from regulars.privacy.models import Access, Erasure
from regulars.privacy.repository import ErasureRepository
from regulars.privacy.repository_access import AccessRepository

app = typer.Typer(help="Who looked at whom, and who was erased.", no_args_is_help=True)

Customer = Annotated[str, typer.Argument(metavar="NUMBER|EMAIL|ID", help="What identifies the customer.")]


def erase_customer(
    customer: Customer,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person for good; orders and points stay without a name."""
    settings = with_secret(load_settings())
    with ready_database(settings) as url:
        found = asyncio.run(_find(url, settings, customer))
        if not yes:
            typed = typer.prompt(f"This cannot be undone. Type {found.customer_number} to erase the person")
            if typed.strip() != found.customer_number:
                raise OperatorError("That is not the number of this customer.", "Nothing was erased.")
        erasure = asyncio.run(_erase(url, settings, found.id))
    typer.echo(f"erased: {sum(erasure.rows.values()):,} rows, {erasure.points_closed:,} points taken off the account")


def export_data(
    customer: Customer,
    to: Annotated[Path, typer.Option("--to", help="The zip file to write; it must not exist yet.")],
) -> None:
    """Write all that is stored about a person into a zip of JSON and CSV files."""
    settings = load_settings()
    if to.exists():
        raise OperatorError("There is such a file already.", "Name another with --to.")
    with ready_database(settings) as url:
        asyncio.run(_export(url, settings, customer, to))
    typer.echo(f"written: {to}", err=True)


@app.command("access-report")
def report_accesses(
    customer: Customer,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many entries, newest first.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show who looked at a customer or changed something."""
    settings = load_settings()
    with ready_database(settings) as url:
        accesses = asyncio.run(_accesses(url, settings, customer, limit))
    if as_json:
        for access in accesses:
            typer.echo(json.dumps(vars(access), default=str))
    else:
        _print_accesses(accesses)


@app.command("erasure-log")
def write_erasure_log() -> None:
    """Write the log of erasures to standard output; keep it beside the backups, and newer than they are."""
    settings = load_settings()
    with ready_database(settings) as url:
        asyncio.run(_write_log(url))


@app.command("replay-erasures")
def replay_erasures(
    log: Annotated[typer.FileText, typer.Argument(help="What `erasure-log` wrote; - for standard input.")],
) -> None:
    """Erase again whom a restored backup brought back."""
    settings = with_secret(load_settings())
    with ready_database(settings) as url:
        again = asyncio.run(_replay(url, settings, read_log(log)))
    typer.echo(f"erased again: {again:,} people")


async def _find(url: str, settings: Settings, customer: str) -> RetailCustomerResponse:
    async with one_transaction(url) as connection:
        return await find_customer(RetailCustomerService(connection, settings, settings.clock), customer)


async def _erase(url: str, settings: Settings, customer_id: UUID) -> Erasure:
    async with Database(url, size=1) as database:
        erasures = Erasures(database, settings, settings.clock)
        return await erasures.erase(customer_id, Request("request", operator))


async def _export(url: str, settings: Settings, customer: str, to: Path) -> None:
    found = await _find(url, settings, customer)
    async with one_transaction(url) as connection:
        with _new_file(to) as file:
            await CustomerDataExports(connection, settings, settings.clock).write_zip(found.id, file, by=operator)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that the block writes; when the block raises, there is none."""
    try:
        file = create_private(path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}).", "Name another with --to.") from error
    try:
        with file:
            yield file
    except BaseException:
        path.unlink()
        raise


async def _accesses(url: str, settings: Settings, customer: str, limit: int) -> list[Access]:
    """An erased person is named by the id alone, which is all that is left."""
    try:
        customer_id = UUID(customer)
    except ValueError:
        customer_id = (await _find(url, settings, customer)).id
    async with one_transaction(url) as connection:
        return await AccessRepository(connection).get_accesses(customer_id, limit=limit)


async def _write_log(url: str) -> None:
    async with one_transaction(url) as connection:
        async for erasure in ErasureRepository(connection).entries():
            typer.echo(line_of(erasure))


async def _replay(url: str, settings: Settings, log: Iterable[Erasure]) -> int:
    async with Database(url, size=1) as database:
        return await Erasures(database, settings, settings.clock).replay(log)


def _print_accesses(accesses: list[Access]) -> None:
    table = Table("when", "who", "did", "fields")
    for access in accesses:
        who = f"{access.actor_kind} {access.actor or ''}".strip()
        did = access.action if access.is_certain else f"{access.action} (of many, perhaps of this one)"
        table.add_row(f"{access.occurred_at:%Y-%m-%d %H:%M:%S}", Text(who), did, ", ".join(access.fields))
    table_console(140).print(table)
