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
    WeakPassword,
)
from regulars.accounts.schemas import (
    LogoutRequest,
    PasswordChange,
    PasswordForgot,
    PasswordReset,
    PrincipalResponse,
    TokenForm,
    TokenRefreshRequest,
    TokenResponse,
)
from regulars.accounts.service import IssuedTokens
from regulars.api.access import public, requires
from regulars.api.client_address import client_address
from regulars.api.deps import AccountsDep, PasswordsDep
from regulars.api.rates import password_rate, refresh_rate, sign_in_rate
from regulars.api.routing import Router
from regulars.customers.errors import InvalidOrExpiredToken
from regulars.kit.schemas import Accepted
from regulars.kit.security import Principal
from regulars.kit.validation import Validation

router = Router(prefix="/api/v1/auth", tags=["Auth"])

MayChangePassword = Annotated[Principal, requires("self:password")]
SignedIn = Annotated[Principal, requires("self")]


@router.post(
    "/token",
    operation_id="issue_token",
    summary="Sign in a person or an API client",
    dependencies=[public],
    response_model_exclude_none=True,
    rate=sign_in_rate,
    refusals=[UnsupportedGrantType, InvalidCredentials, TooManyAttempts],
    members=(("error", "invalid_request"),),
    members_if_unavailable=(("error", "temporarily_unavailable"),),
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
    rate=refresh_rate,
    refusals=[InvalidToken, SessionRevoked],
)
async def refresh_token(request: Request, refresh: TokenRefreshRequest, accounts: AccountsDep) -> TokenResponse:
    """The refresh token is replaced by a new one. Using one a second time ends the session.

    The same client may send it again within `refresh_grace_seconds`, as two tabs of a browser do, and gets the same new
    one.
    """
    address = client_address(request.scope, request.app.state.trusted_proxies)
    client = f"{address} {request.headers.get('user-agent', '')}"
    return _tokens(await accounts.refresh(refresh.refresh_token, client=client))


@router.post("/logout", operation_id="logout", summary="Close this session, or all of them", status_code=204)
async def logout(caller: SignedIn, accounts: AccountsDep, which: LogoutRequest | None = None) -> None:
    """Access and refresh token die together."""
    await accounts.sign_out(caller, everywhere=which is not None and which.everywhere)


@router.get("/me", operation_id="get_me", summary="Who am I?")
async def get_me(caller: SignedIn) -> PrincipalResponse:
    """Role, scopes and the customer record of the caller."""
    return PrincipalResponse.model_validate({**vars(caller), "scopes": sorted(caller.scopes)})


@router.put(
    "/me/password",
    operation_id="change_password",
    summary="Change the own password",
    status_code=204,
    refusals=[WeakPassword, TooManyAttempts],
)
async def change_password(change: PasswordChange, caller: MayChangePassword, passwords: PasswordsDep) -> None:
    """All other sessions end within seconds. This one goes on: its access token and its refresh token stay good."""
    await passwords.change_own(caller, change.current_password, change.new_password)


@router.post(
    "/password/forgot",
    operation_id="forgot_password",
    summary="Mail a link for a new password",
    status_code=202,
    dependencies=[public],
    rate=password_rate,
)
async def forgot_password(forgotten: PasswordForgot, passwords: PasswordsDep) -> Accepted:
    """The same answer for any address: it does not say who has an account. The link works once, for an hour."""
    await passwords.forgot(forgotten.email)
    return Accepted()


@router.post(
    "/password/reset",
    operation_id="reset_password",
    summary="Set a password with the mailed token",
    status_code=204,
    dependencies=[public],
    rate=password_rate,
    refusals=[InvalidOrExpiredToken, WeakPassword],
)
async def reset_password(reset: PasswordReset, passwords: PasswordsDep) -> None:
    """All sessions of the person end. A weak password leaves the token as it was."""
    await passwords.reset(reset.token, reset.new_password)


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
