"""What administrators send and read about tills, shops and importers."""

from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from regulars.accounts.roles import scopes_of
from regulars.kit.bounds import most_points_of_order
from regulars.kit.schemas import (
    Instant,
    Limit,
    Offset,
    QuerySchema,
    RequestSchema,
    ResponseSchema,
    Source,
    Text,
    unchanged,
)

_service_scopes = sorted(scopes_of("service"))


def _of_a_program(scope: str) -> str:
    if scope not in _service_scopes:
        raise PydanticCustomError("enum", "{expected}", {"expected": ", ".join(_service_scopes)})
    return scope


def _each_once(scopes: list[str]) -> list[str]:
    return sorted(set(scopes))


Name: TypeAlias = Annotated[str, Text(100)]
ServiceScope: TypeAlias = Annotated[
    str, AfterValidator(_of_a_program), Field(json_schema_extra={"enum": _service_scopes})
]
ServiceScopes: TypeAlias = Annotated[
    list[ServiceScope], Field(min_length=1, max_length=len(_service_scopes)), AfterValidator(_each_once)
]
Cap: TypeAlias = Annotated[int, Field(ge=1, le=most_points_of_order)]


class ApiClientCreate(RequestSchema):
    """A program that shall be able to sign in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "till 4", "source": "till", "scopes": ["loyalty:earn"]}]}
    )

    name: Name = Field(description="What it is.")
    source: Source = Field(description="The one source under which it writes.")
    scopes: ServiceScopes = Field(description="What it may do, out of the scopes of the role service.")
    max_points_per_transaction: Cap | None = Field(default=None, description="Null for no cap.")
    max_points_per_day: Cap | None = Field(default=None, description="Null for no cap.")
    expires_at: Instant | None = Field(default=None, description="When it ends by itself; null for never.")


class ApiClientUpdate(RequestSchema):
    """What changes; what is left out stays. When scopes, source or state change, its tokens end: it signs in anew."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scopes": ["customers:lookup"]}]})

    name: Name = unchanged()
    source: Source = unchanged()
    scopes: ServiceScopes = unchanged()
    max_points_per_transaction: Cap | None = unchanged("Null takes the cap away.")
    max_points_per_day: Cap | None = unchanged("Null takes the cap away.")
    is_enabled: bool = unchanged("Whether it may sign in.")
    expires_at: Instant | None = unchanged("Null for never.")


class ApiClientResponse(ResponseSchema):
    """A program that may sign in, or once might."""

    id: UUID
    name: str
    source: str
    scopes: list[str]
    max_points_per_transaction: int | None
    max_points_per_day: int | None
    is_enabled: bool
    expires_at: Instant | None
    previous_secret_until: Instant | None = Field(description="Until then the secret before the present one works too.")
    created_at: Instant
    updated_at: Instant


class ApiClientCreated(ApiClientResponse):
    """A program with its new secret, which is shown this once."""

    client_secret: str = Field(description="256 random bits; only its hash is kept.", examples=["hJtXIZ2uSN5kbQfbtTNW"])


class ApiClientPage(QuerySchema):
    """Which part of the list, newest first."""

    limit: Limit = 50
    offset: Offset = 0
