"""Programs that may sign in: tills, shops, importers."""

from typing import Annotated

from fastapi import Depends, Query, Response

from regulars.accounts.clients import ApiClientService
from regulars.accounts.schemas_clients import (
    ApiClientCreate,
    ApiClientCreated,
    ApiClientPage,
    ApiClientResponse,
    ApiClientUpdate,
)
from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.kit.schemas import Id, Page
from regulars.kit.security import Principal

prefix = "/api/v1/auth/clients"
router = Router(prefix=prefix, tags=["Auth"])

MayManage = Annotated[Principal, requires("clients:manage")]


async def client_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> ApiClientService:
    """API clients in the request's transaction."""
    return ApiClientService(connection, settings, clock)


ClientsDep = Annotated[ApiClientService, Depends(client_service)]


@router.get("", operation_id="list_api_clients", summary="List API clients")
async def list_api_clients(
    page: Annotated[ApiClientPage, Query()],
    clients: ClientsDep,
    caller: MayManage,  # noqa: ARG001 - lets administrators in
) -> Page[ApiClientResponse]:
    """Newest first."""
    return await clients.list_clients(page)


@router.post("", operation_id="create_api_client", summary="Add an API client", status_code=201)
async def create_api_client(
    client: ApiClientCreate, clients: ClientsDep, caller: MayManage, response: Response
) -> ApiClientCreated:
    """The secret is shown this once."""
    created = await clients.create_client(client, by=caller)
    response.headers["Location"] = f"{prefix}/{created.id}"
    return created


@router.get("/{client_id}", operation_id="get_api_client", summary="Read an API client")
async def get_api_client(client_id: Id, clients: ClientsDep, caller: MayManage) -> ApiClientResponse:  # noqa: ARG001
    """Without its secret, which nobody knows but itself."""
    return await clients.get_client(client_id)


@router.put("/{client_id}", operation_id="update_api_client", summary="Change an API client")
async def update_api_client(
    client_id: Id, change: ApiClientUpdate, clients: ClientsDep, caller: MayManage
) -> ApiClientResponse:
    """It takes effect at once."""
    return await clients.update_client(client_id, change, by=caller)


@router.post(
    "/{client_id}/rotate-secret", operation_id="rotate_api_client_secret", summary="Give an API client a new secret"
)
async def rotate_api_client_secret(client_id: Id, clients: ClientsDep, caller: MayManage) -> ApiClientCreated:
    """The old secret lives on for `client_secret_overlap_days`, so that nothing stops while the new one is put in."""
    return await clients.rotate_secret(client_id, by=caller)


@router.delete("/{client_id}", operation_id="disable_api_client", summary="Disable an API client", status_code=204)
async def disable_api_client(client_id: Id, clients: ClientsDep, caller: MayManage) -> None:
    """Its tokens end at once. The row is kept for the audit log."""
    await clients.disable_client(client_id, by=caller)
