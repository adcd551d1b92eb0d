"""Who may call a route. Every route says so, by scope and object rule, never by role.

MayRead = Annotated[Principal, requires("customers:read", own=True)]

@router.get("/retail-customers/{customer_id}")
async def get_customer(customer_id: Id, caller: MayRead, ...): ...

@router.post("/retail-customers/register", dependencies=[public])
async def register_customer(...): ...
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from regulars.accounts.errors import InvalidToken, Unauthenticated
from regulars.kit.errors import Forbidden, Unauthorized
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
        is_let_in = self.own and own and caller.role == "customer" and caller.may("self")
        return self.admits_to_all(caller) or is_let_in

    def admits_to_all(self, caller: Principal) -> bool:
        """Whether the caller holds a scope of the route, and is not let in for the own record only."""
        return any(map(caller.may, self.scopes))

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


@dataclass(frozen=True)
class PublicOr(Public):
    """Anyone; what an endpoint does for some callers only, it does for those with a scope.

    A token is looked at before the body, as everywhere. One that does not pass matters only where it is needed, so the
    endpoint gets what tells the caller or refuses.
    """

    scope: str

    async def admit(self, request: Request) -> None:
        """Let everybody in, and remember who it is or why that cannot be told."""
        try:
            await Requires((self.scope,), own=False).admit(request)
        except (Unauthorized, Forbidden) as refusal:
            request.state.unknown_because = refusal

    async def __call__(self, request: Request) -> "TellCaller":  # type: ignore[override]
        """What tells the caller, or refuses as `Requires.admit()` does."""

        def tell() -> Principal:
            if refusal := getattr(request.state, "unknown_because", None):
                raise refusal
            caller: Principal = request.state.principal
            return caller

        return tell


TellCaller = Callable[[], Principal]
Policy = Requires | Public

public: Any = Depends(Public())
"""Marks a route that needs no token: `dependencies=[public]`."""


def public_or(scope: str) -> Any:  # noqa: ANN401 - what FastAPI calls a dependency
    """Mark a route that needs no token but for what only callers with this scope may do."""
    return Depends(PublicOr(scope))


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
