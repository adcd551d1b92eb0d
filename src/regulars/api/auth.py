"""Sign in, stay signed in, sign out, who am I."""

import base64
import binascii
from typing import Annotated

from fastapi import Form, Request

from regulars.accounts.errors import (
    InvalidCredentials,
    InvalidToken,
    SessionRevoked,
    TooManyAttempts,
    UnsupportedGrantType,
)
from regulars.accounts.schemas import LogoutRequest, PrincipalResponse, TokenForm, TokenRefreshRequest, TokenResponse
from regulars.accounts.service import IssuedTokens
from regulars.api.access import public, requires
from regulars.api.deps import AccountsDep
from regulars.api.routing import Router
from regulars.kit.security import Principal
from regulars.kit.validation import Validation

router = Router(prefix="/api/v1/auth", tags=["Auth"])

SignedIn = Annotated[Principal, requires("self")]


@router.post(
    "/token",
    operation_id="issue_token",
    summary="Sign in a person or an API client",
    dependencies=[public],
    response_model_exclude_none=True,
    refusals=[UnsupportedGrantType, InvalidCredentials, TooManyAttempts],
    members=(("error", "invalid_request"),),
)
async def issue_token(request: Request, form: Annotated[TokenForm, Form()], accounts: AccountsDep) -> TokenResponse:
    """OAuth2 token endpoint: `password` for people, `client_credentials` for programs.

    Problems carry the `error` of RFC 6749 beside their own members.
    """
    if form.grant_type == "password":
        _require(username=form.username, password=form.password)
        return _tokens(await accounts.sign_in(form.username, form.password))
    if form.grant_type == "client_credentials":
        client_id, secret = _client_credentials(request, form)
        return _tokens(await accounts.sign_in_client(client_id, secret))
    raise UnsupportedGrantType(error="unsupported_grant_type")


@router.post(
    "/refresh",
    operation_id="refresh_token",
    summary="New tokens for a refresh token",
    dependencies=[public],
    refusals=[InvalidToken, SessionRevoked],
)
async def refresh_token(refresh: TokenRefreshRequest, accounts: AccountsDep) -> TokenResponse:
    """The refresh token is replaced by a new one. Using one a second time ends the session."""
    return _tokens(await accounts.refresh(refresh.refresh_token))


@router.post("/logout", operation_id="logout", summary="Close this session, or all of them", status_code=204)
async def logout(caller: SignedIn, accounts: AccountsDep, which: LogoutRequest | None = None) -> None:
    """Access and refresh token die together."""
    await accounts.sign_out(caller, everywhere=which is not None and which.everywhere)


@router.get("/me", operation_id="get_me", summary="Who am I?")
async def get_me(caller: SignedIn) -> PrincipalResponse:
    """Role, scopes and the customer record of the caller."""
    return PrincipalResponse.model_validate({**vars(caller), "scopes": sorted(caller.scopes)})


def _tokens(issued: IssuedTokens) -> TokenResponse:
    return TokenResponse(
        access_token=issued.access_token,
        expires_in=issued.expires_in,
        refresh_token=issued.refresh_token,
        scope=" ".join(sorted(issued.scopes)),
    )


def _require(**fields: str) -> None:
    for name, value in fields.items():
        if not value:
            raise Validation.at(f"/{name}", "missing")


def _client_credentials(request: Request, form: TokenForm) -> tuple[str, str]:
    """Id and secret from HTTP Basic or from the form, never from both."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        _require(client_id=form.client_id, client_secret=form.client_secret)
        return form.client_id, form.client_secret
    if form.client_secret:
        raise Validation.at("/client_secret", "repeated")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidCredentials(error="invalid_client") from error
    return client_id, secret
