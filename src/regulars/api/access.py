"""Who may call a route. Every route says so, by scope and object rule, never by role.

MayRead = Annotated[Principal, requires("customers:read", own=True)]

@router.get("/retail-customers/{customer_id}")
async def get_customer(customer_id: Id, caller: MayRead, ...): ...

@router.post("/retail-customers/register", dependencies=[public])
async def register_customer(...): ...
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from regulars.accounts.errors import InvalidToken, Unauthenticated
from regulars.kit.security import InsufficientScope, Principal


@dataclass(frozen=True)
class Requires:
    """A caller with one of these scopes.

    Attributes:
        scopes: Any one of them opens the route.
        own: A customer is let in too, with the scope `self`: the service then shows the own record only.
        own_setting: A setting that can take `own` back.
    """

    scopes: tuple[str, ...]
    own: bool
    own_setting: str | None = None

    async def admit(self, request: Request) -> None:
        """Check token and scope, and keep the caller for the endpoint. Nothing of the body has been read.

        Raises:
            Unauthenticated: no bearer token was sent.
            InvalidToken: the token does not pass.
            SessionRevoked: its session has ended.
            InsufficientScope: the caller may not use this route.
        """
        caller: Principal = await request.app.state.accounts.principal_of(_bearer_token(request))
        request.state.principal = caller
        own = self.own_setting is None or getattr(request.app.state.settings, self.own_setting)
        if not self.admits(caller, own=own):
            raise InsufficientScope(scope="|".join(self.scopes))

    def admits(self, caller: Principal, *, own: bool = True) -> bool:
        """Whether the caller holds what the route asks for; `own` is whether the setting lets customers in."""
        return any(map(caller.may, self.scopes)) or (
            self.own and own and caller.role == "customer" and caller.may("self")
        )

    async def __call__(self, request: Request) -> Principal:
        """The caller who was let in."""
        caller: Principal = request.state.principal
        return caller


@dataclass(frozen=True)
class Public:
    """Anyone. A bearer token is not even read."""

    async def admit(self, request: Request) -> None:
        """Let everybody in."""

    async def __call__(self) -> None:
        """Nobody in particular."""


@dataclass(frozen=True)
class PublicBySetting(Public):
    """Anyone, if a setting says so; otherwise whoever has signed in."""

    setting: str

    async def admit(self, request: Request) -> None:
        """Let everybody in, or check the token."""
        if not getattr(request.app.state.settings, self.setting):
            await Requires(("self",), own=False).admit(request)

    async def __call__(self) -> None:
        """Nobody in particular."""


Policy = Requires | Public

public: Any = Depends(Public())
"""Marks a route that needs no token: `dependencies=[public]`."""


def requires(*scopes: str, own: bool = False, own_setting: str | None = None) -> Any:  # noqa: ANN401 - what FastAPI calls a dependency
    """Mark the caller of a route: it holds one of these scopes, or is a customer where `own` records are shown."""
    return Depends(Requires(scopes, own, own_setting))


def policy_of(dependant: Dependant) -> Policy | None:
    """The policy that a route carries, wherever among its dependencies."""
    return next(_policies(dependant), None)


def _policies(dependant: Dependant) -> Iterator[Policy]:
    for part in dependant.dependencies:
        if isinstance(part.call, Requires | Public):
            yield part.call
        yield from _policies(part)


def _bearer_token(request: Request) -> str:
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise InvalidToken
    scheme, _, token = given[0].partition(" ") if given else ("", "", "")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    return token.strip()
