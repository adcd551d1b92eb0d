"""What endpoints ask for."""

from contextlib import AsyncExitStack
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


async def open_transaction(request: Request) -> Connection:
    """One transaction for the request: committed before the answer leaves, rolled back when the endpoint raises.

    The route ends it. As a generator it would be ended by the framework, which shields it against a cancellation from
    which our own deadline spares a commit.
    """
    at_end: AsyncExitStack = request.state.at_end
    return await at_end.enter_async_context(request.app.state.database.transaction())


def part(name: str) -> Any:  # noqa: ANN401 - what FastAPI calls a dependency
    """A part of the application, as `create_app()` put it together."""

    async def of_application(request: Request) -> Any:  # noqa: ANN401 - any part
        return getattr(request.app.state, name)

    return Depends(of_application)


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
SettingsDep = Annotated[Settings, part("settings")]
ClockDep = Annotated[Clock, part("clock")]
PasswordsDep = Annotated[PasswordService, part("passwords")]
UsersDep = Annotated[UserService, part("users")]
AccountsDep = Annotated[AccountsService, part("accounts")]
RegistrationsDep = Annotated[RegistrationFlow, part("registrations")]
DatabaseDep = Annotated[Transactions, part("database")]
"""For stories that need more than one transaction."""

IfMatchDep = Annotated[Precondition, Depends(if_match)]
