"""`regulars users` and `regulars clients`: who may sign in. The first administrator is made here."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from regulars.accounts.enrolment import Enrolment, NewApiClient
from regulars.accounts.errors import WeakPassword
from regulars.accounts.passwords import (
    PasswordHash,
    PasswordHashing,
    check_password,
    longest_password,
    shortest_password,
)
from regulars.accounts.roles import scopes_of
from regulars.cli.context import one_transaction, ready_database
from regulars.customers.errors import EmailTaken
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings, load_settings
from regulars.kit.validation import Validation

users = typer.Typer(help="People who may sign in.", no_args_is_help=True)
clients = typer.Typer(help="Programs that may sign in: tills, shops, importers.", no_args_is_help=True)

StaffRole = Literal["staff", "analyst", "admin"]


@users.command("create")
def create_user(
    email: Annotated[str, typer.Option(help="The address under which the person signs in.")],
    role: Annotated[StaffRole, typer.Option(help="What the person may do.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add a person of the staff. Customers sign up by themselves."""
    settings = load_settings()
    password = _password(from_stdin=password_stdin)
    with _in_words():
        check_password(password, role=role, context=[settings.brand_name, email])
        with ready_database(settings) as url:
            created = asyncio.run(add_user(url, settings, email, password, role=role))
    typer.echo(f"{created} may sign in as {role}")


@clients.command("create")
def create_client(
    name: Annotated[str, typer.Option(help="What it is, such as 'till 4'.")],
    source: Annotated[str, typer.Option(help="The source of the orders that it writes.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as orders:write; repeatable.")],
) -> None:
    """Add a program and print its id and secret. The secret is shown this once."""
    settings = load_settings()
    with _in_words(), ready_database(settings) as url:
        created = asyncio.run(_create_client(url, settings, name, source, scope))
    typer.echo(f"client_id     {created.id}\nclient_secret {created.secret}")


async def add_user(url: str, settings: Settings, email: str, password: str, *, role: StaffRole) -> str:
    """Add a person of the staff, and return the address under which they sign in.

    Args:
        url: A database whose schema is current.
        settings: Those of the installation.
        email: The login name.
        password: One that `check_password` let pass.
        role: What the person may do.

    Raises:
        Validation: not an e-mail address.
        EmailTaken: somebody signs in under it already.
    """
    hashed: PasswordHash = await PasswordHashing().hash(password)
    async with one_transaction(url) as connection:
        user = await Enrolment(connection, settings.clock).create_user(email, hashed, role=role)
    return user.email


async def _create_client(url: str, settings: Settings, name: str, source: str, scopes: list[str]) -> NewApiClient:
    async with one_transaction(url) as connection:
        return await Enrolment(connection, settings.clock).create_api_client(name, source=source, scopes=scopes)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        raise OperatorError("There is no terminal to type a password at.", "Send it with --password-stdin.")
    if len(password) > longest_password:
        raise OperatorError("The password is too long.", f"Choose one of {longest_password} characters or fewer.")
    return password


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what the domain refuses into a line for the operator; none of them repeats what was typed."""
    try:
        yield
    except WeakPassword as error:
        raise OperatorError(error.title(), _stronger[str(error.facts["rule"])]) from error
    except EmailTaken as error:
        raise OperatorError("Somebody signs in under this e-mail address already.", "Use another.") from error
    except Validation as error:
        raise OperatorError(*_mistake[error.pointers()[0]]) from error


_mistake = {
    "/email": ("This is no e-mail address.", "Use one such as name@example.com."),
    "/scopes": ("A program cannot have this scope.", f"Choose from: {', '.join(sorted(scopes_of('service')))}."),
}
_stronger = {
    "too_short": f"Choose one of {shortest_password('staff')} characters or more; a sentence will do.",
    "breached": "It is on the lists that are tried first; choose another.",
    "context": "It is made of the shop's name or the address; choose another.",
}
