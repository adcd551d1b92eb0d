"""`regulars users`: people who may sign in. The first administrator is made here."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from regulars.accounts.logins import login_name_of_new_account
from regulars.accounts.password_changes import PasswordService
from regulars.accounts.passwords import PasswordHashing, check_password, longest_password
from regulars.accounts.schemas_users import StaffRole, UserCreate, UserResponse, UserRole, UserSearchFilters, UserUpdate
from regulars.accounts.users import UserService
from regulars.cli.context import ready_database
from regulars.cli.printing import print_rest
from regulars.cli.refusals import in_words
from regulars.customers.identifiers import Email
from regulars.kit.database import Database
from regulars.kit.errors import OperatorError
from regulars.kit.schemas import Page
from regulars.kit.security import operator
from regulars.kit.settings import Settings, load_settings

app = typer.Typer(help="People who may sign in.", no_args_is_help=True)

Found = TypeVar("Found")
Address = Annotated[str, typer.Option(help="The address under which the person signs in.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]

nobody = "Nobody signs in under this address. `regulars users list` shows who does."


@app.command("create")
def create_user(
    email: Address,
    role: Annotated[StaffRole, typer.Option(help="What the person may do.")],
    password_stdin: FromStdin = False,
) -> None:
    """Add a person of the staff. Customers sign up by themselves."""
    settings = load_settings()
    password = _password(from_stdin=password_stdin)
    with in_words(nobody):
        check_password(password, role=role, context=[settings.brand_name, email])
        with ready_database(settings) as url:
            created = asyncio.run(add_user(url, settings, email, password, role=role))
    typer.echo(f"{created} may sign in as {role}")


@app.command("list")
def list_users(
    role: Annotated[StaffRole | None, typer.Option(help="Only people of this role.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to show.")] = 100,
    offset: Annotated[int, typer.Option(min=0, max=100_000, help="How many to leave out at the start.")] = 0,
) -> None:
    """Show who may sign in, newest first. Without --role the staff; customers are found through the API."""
    roles: list[UserRole] = [role] if role else ["staff", "analyst", "admin"]
    filters = UserSearchFilters(role=roles, limit=limit, offset=offset)
    page: Page[UserResponse] = _run(lambda service: service.search_users(filters))
    for user in page.items:
        state = "enabled" if user.is_enabled else "disabled"
        typer.echo(f"{user.role:8} {state:9} {user.created_at:%Y-%m-%d} {user.email}")
    print_rest(page)


@app.command("disable")
def disable_user(email: Address) -> None:
    """Let a person sign in no more; whatever they do ends at once."""

    async def disable(service: UserService) -> UserResponse:
        user = await service.find_by_email(email)
        await service.disable_user(user.id, by=operator)
        return user

    typer.echo(f"{_run(disable).email} may not sign in any more")


@app.command("set-role")
def set_role(
    email: Address, role: Annotated[StaffRole, typer.Option(help="What the person may do from now on.")]
) -> None:
    """Give a person of the staff another role; it takes effect at once."""

    async def change(service: UserService) -> UserResponse:
        user = await service.find_by_email(email)
        return await service.update_user(user.id, UserUpdate(role=role), by=operator)

    typer.echo(f"{_run(change).email} may sign in as {role}")


@app.command("set-password")
def set_password(email: Address, password_stdin: FromStdin = False) -> None:
    """Give a person a new password; whoever is signed in with the old one is signed out."""
    settings = load_settings()
    password = _password(from_stdin=password_stdin)

    async def set_new(url: str) -> None:
        async with Database(url, size=1) as database:
            service = PasswordService(database, settings, settings.clock, PasswordHashing())
            await service.set_by_operator(email, password, by=operator)

    with in_words(nobody), ready_database(settings) as url:
        asyncio.run(set_new(url))
    typer.echo("The password is set")


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
    data = UserCreate(email=Email(login_name_of_new_account(email)), role=role, password=password)
    async with Database(url, size=1) as database:
        service = UserService(database, settings, settings.clock, PasswordHashing())
        return (await service.create_user(data, by=operator)).email


def _run(work: Callable[[UserService], Awaitable[Found]]) -> Found:
    settings = load_settings()

    async def run(url: str) -> Found:
        async with Database(url, size=1) as database:
            return await work(UserService(database, settings, settings.clock, PasswordHashing()))

    with in_words(nobody), ready_database(settings) as url:
        return asyncio.run(run(url))


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
