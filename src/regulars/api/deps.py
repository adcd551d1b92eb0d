"""What endpoints ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from regulars.accounts.service import AccountsService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.settings import Settings


async def open_transaction(request: Request) -> AsyncIterator[Connection]:
    """One transaction for the request: committed before the answer leaves, rolled back when the endpoint raises."""
    async with request.app.state.database.transaction() as connection:
        yield connection


async def current_database(request: Request) -> Transactions:
    """The database itself, for work in many transactions."""
    database: Transactions = request.app.state.database
    return database


async def current_settings(request: Request) -> Settings:
    """The settings of the installation."""
    settings: Settings = request.app.state.settings
    return settings


async def current_clock(request: Request) -> Clock:
    """The clock of the shop."""
    clock: Clock = request.app.state.clock
    return clock


async def accounts_service(request: Request) -> AccountsService:
    """Sign-in, sessions and callers."""
    accounts: AccountsService = request.app.state.accounts
    return accounts


# The scope "function" is what commits before the answer leaves; without it FastAPI would commit after.
TransactionDep = Annotated[Connection, Depends(open_transaction, scope="function")]
DatabaseDep = Annotated[Transactions, Depends(current_database)]
SettingsDep = Annotated[Settings, Depends(current_settings)]
ClockDep = Annotated[Clock, Depends(current_clock)]
AccountsDep = Annotated[AccountsService, Depends(accounts_service)]
