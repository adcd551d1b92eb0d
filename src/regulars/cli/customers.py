"""`regulars customers`: find customers, read one, write many to a file. The filters are those of the API."""

import asyncio
import json
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from regulars.cli.context import one_transaction, ready_database
from regulars.cli.customer_filters import parse_filters
from regulars.cli.printing import table_console
from regulars.customers.errors import CustomerErased
from regulars.customers.identifiers import parse_customer_number, parse_email
from regulars.customers.schemas import RetailCustomerListResponse, RetailCustomerResponse
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.kit.errors import NotFound, OperatorError
from regulars.kit.schemas import Page
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings

app = typer.Typer(help="Find customers and read them.", no_args_is_help=True)

Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="A filter of the API, such as city=Berlin; repeatable."),
]
Sort = Annotated[str, typer.Option(help="What they are sorted by; - in front for descending.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the API would answer.")]

_shown = ("customer_number", "name", "email", "city", "segment", "orders", "spent", "clv", "last_order")
_numbers = frozenset({"orders", "spent", "clv"})


@app.command("list")
def list_customers(
    filters: Filters = None,
    sort: Sort = "-created_at",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to show.")] = 50,
    offset: Annotated[int, typer.Option(min=0, max=100_000, help="How many to leave out at the start.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show the customers that match all filters; of a filter that is repeated, one value is enough."""
    settings = load_settings()
    wanted = parse_filters(filters or [], sort=sort, limit=limit, offset=offset)
    with ready_database(settings) as url:
        page = asyncio.run(_search(url, settings, wanted))
    if as_json:
        typer.echo(page.model_dump_json())
    else:
        _print_page(page)


@app.command("export")
def export_customers(filters: Filters = None, sort: Sort = "-created_at") -> None:
    """Write every customer that matches to standard output, as CSV."""
    settings, wanted = load_settings(), parse_filters(filters or [], sort=sort)
    with ready_database(settings) as url:
        rows = asyncio.run(_export(url, settings, wanted))
    typer.echo(f"{rows:,} customers", err=True)


@app.command("show")
def show_customer(
    customer: Annotated[str, typer.Argument(metavar="NUMBER|EMAIL|ID", help="What identifies the customer.")],
    as_json: AsJson = False,
) -> None:
    """Show everything about one customer."""
    settings = load_settings()
    with ready_database(settings) as url:
        found = asyncio.run(_read(url, settings, customer))
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _print_customer(found)


async def _search(
    url: str, settings: Settings, filters: RetailCustomerSearchFilters
) -> Page[RetailCustomerListResponse]:
    async with one_transaction(url) as connection:
        return await RetailCustomerService(connection, settings, settings.clock).search_customers(filters, by=operator)


async def _export(url: str, settings: Settings, filters: RetailCustomerSearchFilters) -> int:
    async with one_transaction(url) as connection:
        customers = RetailCustomerService(connection, settings, settings.clock)
        return await customers.export_customers(filters, typer.get_binary_stream("stdout"), by=operator)


async def _read(url: str, settings: Settings, identifier: str) -> RetailCustomerResponse:
    async with one_transaction(url) as connection:
        customers = RetailCustomerService(connection, settings, settings.clock)
        return await find_customer(customers, identifier)


async def find_customer(customers: RetailCustomerService, identifier: str) -> RetailCustomerResponse:
    """The customer whom the operator means.

    Raises:
        OperatorError: nobody is called so, or nobody any more.
    """
    try:
        return await _find(customers, identifier)
    except NotFound as error:
        raise OperatorError("There is no such customer.", "Look for it with `regulars customers list`.") from error
    except CustomerErased as error:
        raise OperatorError(error.title(), "Only the orders and the points are left.") from error


async def _find(customers: RetailCustomerService, identifier: str) -> RetailCustomerResponse:
    """The customer by whatever it is called: each form is unlike the others."""
    try:
        if "@" in identifier:
            return await customers.get_customer_by_email(parse_email(identifier), by=operator)
        if identifier.upper().startswith("CUST-"):
            return await customers.get_customer_by_number(parse_customer_number(identifier), by=operator)
        return await customers.get_customer(UUID(identifier), by=operator)
    except ValueError as error:
        raise OperatorError(
            "This identifies no customer.", "Give a number such as CUST-20260615-0001, an e-mail address or an id."
        ) from error


def _print_page(page: Page[RetailCustomerListResponse]) -> None:
    table = Table()
    for heading in _shown:
        table.add_column(heading.replace("_", " "), justify="right" if heading in _numbers else "left")
    for customer in page.items:
        table.add_row(*map(_as_text, _cells(customer)))
    console = table_console(140)
    console.print(table)
    total = f"about {page.total:,}" if page.total_is_estimate else f"{page.total:,}"
    console.print(f"{len(page.items):,} of {total} customers", highlight=False)


def _cells(customer: RetailCustomerListResponse) -> list[object]:
    name = " ".join(part for part in (customer.first_name, customer.last_name) if part)
    found = (customer.customer_number, name, customer.email, customer.city, customer.rfm_segment_label)
    return [*found, f"{customer.total_orders:,}", customer.total_spent, customer.clv, customer.last_order_date]


def _print_customer(customer: RetailCustomerResponse) -> None:
    table = Table(show_header=False, box=None)
    for name, value in json.loads(customer.model_dump_json()).items():
        table.add_row(name, _as_text(", ".join(value) if isinstance(value, list) else value))
    Console().print(table)


def _as_text(value: object) -> Text:
    """As it is: what people are called is neither markup nor a command to the terminal."""
    return Text("".join(character for character in str("" if value is None else value) if character.isprintable()))
