"""What administrators send and read about people who may sign in."""

from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, Field

from regulars.accounts.schemas import NewPassword
from regulars.customers.schemas import EmailText
from regulars.kit.schemas import Id, Instant, Limit, Offset, QuerySchema, RequestSchema, ResponseSchema, unchanged

StaffRole: TypeAlias = Literal["staff", "analyst", "admin"]
UserRole: TypeAlias = Literal["customer", "staff", "analyst", "admin"]


class UserCreate(RequestSchema):
    """A person who shall be able to sign in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ann@example.com", "role": "staff"}]})

    email: EmailText = Field(description="The login name.")
    role: UserRole
    customer_id: Id | None = Field(default=None, description="For the role customer: whose record it is.")
    password: NewPassword | None = Field(
        default=None, description="Left out, the person sets one by way of a forgotten password."
    )


class UserUpdate(RequestSchema):
    """What changes; what is left out stays. It takes effect within seconds: tokens that were given before end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "analyst"}]})

    role: StaffRole = unchanged("The login of a customer stays one.")
    is_enabled: bool = unchanged("Whether the person may sign in.")


class UserResponse(ResponseSchema):
    """A person who may sign in, or once might."""

    id: UUID
    email: str
    role: UserRole
    customer_id: UUID | None
    is_enabled: bool
    created_at: Instant
    updated_at: Instant


class UserSearchFilters(QuerySchema):
    """Which users to list, newest first. All filters must hold; of the roles, any."""

    email: EmailText | None = Field(default=None, description="Exact, normalised.")
    role: list[UserRole] = Field(default=[], max_length=4)
    is_enabled: bool | None = None
    customer_id: Id | None = None
    limit: Limit = 50
    offset: Offset = 0
