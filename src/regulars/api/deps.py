"""What endpoints ask for."""

from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import Depends, Header, Request

from regulars.accounts.password_changes import PasswordService
from regulars.accounts.service import AccountsService
from regulars.accounts.users import UserService
from regulars.flows.register_customer import RegistrationFlow
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.preconditions import Precondition, any_version, parse_if_match
from regulars.kit.settings import Settings


async def open_transaction(request: Request) -> Connection:
    """One transaction for the request: committed before the answer leaves, rolled back when the endpoint raises.

    The route ends it. As a generator it would be ended by the framework, at twice the price: in shields against a
    cancellation from which our own deadline spares a commit.
    """
    at_end: AsyncExitStack = request.state.at_end
    return await at_end.enter_async_context(request.app.state.database.transaction())


async def current_settings(request: Request) -> Settings:
    """The settings of the installation."""
    settings: Settings = request.app.state.settings
    return settings


async def current_clock(request: Request) -> Clock:
    """The clock of the shop."""
    clock: Clock = request.app.state.clock
    return clock


async def password_service(request: Request) -> PasswordService:
    """New passwords."""
    passwords: PasswordService = request.app.state.passwords
    return passwords


async def user_service(request: Request) -> UserService:
    """People who may sign in."""
    users: UserService = request.app.state.users
    return users


async def accounts_service(request: Request) -> AccountsService:
    """Sign-in, sessions and callers."""
    accounts: AccountsService = request.app.state.accounts
    return accounts


async def registration_flow(request: Request) -> RegistrationFlow:
    """Self-registration."""
    registrations: RegistrationFlow = request.app.state.registrations
    return registrations


async def open_database(request: Request) -> Transactions:
    """The database, for stories that need more than one transaction."""
    database: Transactions = request.app.state.database
    return database


async def if_match(
    request: Request,
    header: Annotated[
        str | None,
        Header(alias="If-Match", description="The ETag that was read, or *; without it the last writer wins."),
    ] = None,
) -> Precondition:
    """Which versions of the object the caller is ready to change."""
    return any_version if header is None else parse_if_match(", ".join(request.headers.getlist("if-match")))


TransactionDep = Annotated[Connection, Depends(open_transaction)]
SettingsDep = Annotated[Settings, Depends(current_settings)]
ClockDep = Annotated[Clock, Depends(current_clock)]
PasswordsDep = Annotated[PasswordService, Depends(password_service)]
UsersDep = Annotated[UserService, Depends(user_service)]
AccountsDep = Annotated[AccountsService, Depends(accounts_service)]
RegistrationsDep = Annotated[RegistrationFlow, Depends(registration_flow)]
DatabaseDep = Annotated[Transactions, Depends(open_database)]
IfMatchDep = Annotated[Precondition, Depends(if_match)]
