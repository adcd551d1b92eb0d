"""What callers send to sign in and what they get."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from regulars.accounts.passwords import longest_password
from regulars.customers.schemas import EmailText
from regulars.kit.schemas import RequestSchema, ResponseSchema
from regulars.kit.security import Role

AnyPassword: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=longest_password, json_schema_extra={"format": "password"})
]
NewPassword: TypeAlias = Annotated[
    AnyPassword,
    Field(description="8 characters or more, 15 for all but customers; not one that is tried first."),
]


class TokenForm(BaseModel):
    """OAuth2 form. Parameters it does not name are ignored, as RFC 6749 wants it."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"grant_type": "password", "username": "john@example.com", "password": "correct horse battery"}
            ]
        },
    )

    grant_type: Annotated[
        str, Field(max_length=50, examples=["password"], description="`password` or `client_credentials`.")
    ]
    username: Annotated[str, Field(max_length=254, description="The e-mail address, for `password`.")] = ""
    password: Annotated[str, Field(max_length=longest_password, json_schema_extra={"format": "password"})] = ""
    client_id: Annotated[
        str, Field(max_length=64, description="For `client_credentials`, unless sent by HTTP Basic.")
    ] = ""
    client_secret: Annotated[str, Field(max_length=128, json_schema_extra={"format": "password"})] = ""


class TokenResponse(ResponseSchema):
    """Tokens of a session."""

    access_token: str = Field(description="Send as `Authorization: Bearer <token>`.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="Life of the access token in seconds.", examples=[900])
    refresh_token: str | None = Field(description="Works once; API clients get none and sign in again.")
    scope: str = Field(description="Names of scopes with blanks between.", examples=["self self:password"])


class TokenRefreshRequest(RequestSchema):
    """The refresh token to exchange."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class LogoutRequest(RequestSchema):
    """Which sessions to close."""

    everywhere: bool = Field(default=False, description="Close all sessions of the caller, not only this one.")


class PasswordChange(RequestSchema):
    """The present password and the next."""

    current_password: AnyPassword
    new_password: NewPassword


class PasswordForgot(RequestSchema):
    """Whose password was forgotten."""

    email: EmailText


class PasswordReset(RequestSchema):
    """The token from the mail, and the next password."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    new_password: NewPassword


class PrincipalResponse(ResponseSchema):
    """Who is calling and what the caller may do."""

    id: UUID
    kind: Literal["user", "client"]
    role: Role
    scopes: list[str]
    customer_id: UUID | None = Field(description="The customer record that this person is.")
    source: str | None = Field(description="The one source under which an API client writes.")
