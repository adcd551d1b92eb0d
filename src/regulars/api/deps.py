"""What endpoints ask for."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from regulars.accounts.password_changes import PasswordService
from regulars.accounts.service import AccountsService
from regulars.accounts.users import UserService
from regulars.flows.register_customer import RegistrationFlow
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.preconditions import Precondition, any_version, parse_if_match
from regulars.kit.settings import Settings


async def open_transaction(request: Request) -> AsyncIterator[Connection]:
    """One transaction for the request: committed before the answer leaves, rolled back when the endpoint raises."""
    async with request.app.state.database.transaction() as connection:
        yield connection


def _part(name: str) -> Any:  # noqa: ANN401 - what FastAPI calls a dependency
    """A part of the application, as `create_app()` put it together."""

    async def part(request: Request) -> Any:  # noqa: ANN401 - any part
        return getattr(request.app.state, name)

    return Depends(part)


async def if_match(
    request: Request,
    header: Annotated[
        str | None,
        Header(alias="If-Match", description="The ETag that was read, or *; without it the last writer wins."),
    ] = None,
) -> Precondition:
    """Which versions of the object the caller is ready to change."""
    return any_version if header is None else parse_if_match(", ".join(request.headers.getlist("if-match")))


# The scope "function" is what commits before the answer leaves; without it FastAPI would commit after.
TransactionDep = Annotated[Connection, Depends(open_transaction, scope="function")]
SettingsDep = Annotated[Settings, _part("settings")]
ClockDep = Annotated[Clock, _part("clock")]
PasswordsDep = Annotated[PasswordService, _part("passwords")]
UsersDep = Annotated[UserService, _part("users")]
AccountsDep = Annotated[AccountsService, _part("accounts")]
RegistrationsDep = Annotated[RegistrationFlow, _part("registrations")]
DatabaseDep = Annotated[Transactions, _part("database")]
"""For stories that need more than one transaction."""

IfMatchDep = Annotated[Precondition, Depends(if_match)]
