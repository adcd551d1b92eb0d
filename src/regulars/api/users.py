"""People who may sign in."""

from typing import Annotated

from fastapi import Query, Response

from regulars.accounts.errors import LastAdmin, WeakPassword
from regulars.accounts.schemas_users import UserCreate, UserResponse, UserSearchFilters, UserUpdate
from regulars.api.access import requires
from regulars.api.deps import UsersDep
from regulars.api.routing import Router
from regulars.customers.errors import EmailTaken
from regulars.kit.schemas import Id, Page
from regulars.kit.security import Principal

prefix = "/api/v1/auth/users"
router = Router(prefix=prefix, tags=["Auth"])

MayManage = Annotated[Principal, requires("users:manage")]


@router.get("", operation_id="list_users", summary="List people who can sign in")
async def list_users(
    filters: Annotated[UserSearchFilters, Query()],
    users: UsersDep,
    caller: MayManage,  # noqa: ARG001 - lets administrators in
) -> Page[UserResponse]:
    """Newest first; all filters must hold."""
    return await users.search_users(filters)


@router.post("", operation_id="create_user", summary="Add a user", status_code=201, refusals=[EmailTaken, WeakPassword])
async def create_user(user: UserCreate, users: UsersDep, caller: MayManage, response: Response) -> UserResponse:
    """A customer's login names the record that the person is, and sees no other."""
    created = await users.create_user(user, by=caller)
    response.headers["Location"] = f"{prefix}/{created.id}"
    return created


@router.get("/{user_id}", operation_id="get_user", summary="Read a user")
async def get_user(user_id: Id, users: UsersDep, caller: MayManage) -> UserResponse:  # noqa: ARG001
    """Disabled ones too."""
    return await users.get_user(user_id)


@router.put("/{user_id}", operation_id="update_user", summary="Change role or state of a user", refusals=[LastAdmin])
async def update_user(user_id: Id, change: UserUpdate, users: UsersDep, caller: MayManage) -> UserResponse:
    """It takes effect at once: tokens that were given before end."""
    return await users.update_user(user_id, change, by=caller)


@router.delete(
    "/{user_id}", operation_id="disable_user", summary="Disable a user", status_code=204, refusals=[LastAdmin]
)
async def disable_user(user_id: Id, users: UsersDep, caller: MayManage) -> None:
    """The row is kept for the audit log. The last administrator stays."""
    await users.disable_user(user_id, by=caller)
