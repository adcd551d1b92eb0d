"""Customer Preferences: what customers say they like."""

from typing import Annotated

from fastapi import Depends, Query, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, IfMatchDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.customers.errors import CustomerErased
from regulars.flows import read_preferences
from regulars.kit.preconditions import etag_of
from regulars.kit.schemas import Id, OneOf
from regulars.kit.security import Principal
from regulars.preferences.errors import PreferenceExists
from regulars.preferences.models import CustomerPreference, PreferenceType
from regulars.preferences.schemas import (
    CustomerPreferenceCreate,
    CustomerPreferenceResponse,
    CustomerPreferencesBulkUpdate,
    CustomerPreferenceUpdate,
)
from regulars.preferences.service import PreferenceService

router = Router(prefix="/api/v1/retail-customers/{customer_id}/preferences", tags=["Customer Preferences"])

MayRead = Annotated[Principal, requires("prefs:read", own=True)]
MayWrite = Annotated[Principal, requires("prefs:write", own=True)]
OfType = Annotated[OneOf[PreferenceType] | None, Query(description="Only those of this type.")]


async def preference_service(connection: TransactionDep, clock: ClockDep) -> PreferenceService:
    """Preferences in the request's transaction."""
    return PreferenceService(connection, clock)


PreferencesDep = Annotated[PreferenceService, Depends(preference_service)]


@router.get("", operation_id="list_preferences", summary="Read preferences", refusals=[CustomerErased])
async def list_preferences(
    customer_id: Id,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayRead,
    preference_type: OfType = None,
) -> list[CustomerPreferenceResponse]:
    """What was stated, by type and key; then what the orders show, with `origin` `derived`.

    Each stated one has the etag that a change of it may send as If-Match.
    """
    return await read_preferences.list_preferences(
        connection, customer_id, preference_type, by=caller, settings=settings, clock=clock
    )


@router.post(
    "",
    operation_id="create_preference",
    summary="Add a preference",
    status_code=201,
    refusals=[CustomerErased, PreferenceExists],
)
async def create_preference(
    customer_id: Id,
    preference: CustomerPreferenceCreate,
    preferences: PreferencesDep,
    caller: MayWrite,
    response: Response,
) -> CustomerPreferenceResponse:
    """Values of well-known keys are checked; a key of your own takes any value."""
    return _tagged(await preferences.create_preference(customer_id, preference, by=caller), response)


@router.post(
    "/bulk", operation_id="bulk_update_preferences", summary="Write many preferences", refusals=[CustomerErased]
)
async def bulk_update_preferences(
    customer_id: Id, update: CustomerPreferencesBulkUpdate, preferences: PreferencesDep, caller: MayWrite
) -> list[CustomerPreferenceResponse]:
    """1 to 100, all or none: what is there under a type and key is replaced, what is not is added."""
    written = await preferences.update_customer_preferences(customer_id, update, by=caller)
    return [CustomerPreferenceResponse.of(preference) for preference in written]


@router.put(
    "/{preference_id}", operation_id="update_preference", summary="Change a preference", refusals=[CustomerErased]
)
async def update_preference(
    customer_id: Id,
    preference_id: Id,
    update: CustomerPreferenceUpdate,
    preferences: PreferencesDep,
    caller: MayWrite,
    precondition: IfMatchDep,
    response: Response,
) -> CustomerPreferenceResponse:
    """Without If-Match the last writer wins. The same value again keeps the version."""
    updated = await preferences.update_preference(
        customer_id, preference_id, update, by=caller, precondition=precondition
    )
    return _tagged(updated, response)


@router.delete(
    "/{preference_id}",
    operation_id="delete_preference",
    summary="Delete a preference",
    status_code=204,
    refusals=[CustomerErased],
)
async def delete_preference(customer_id: Id, preference_id: Id, preferences: PreferencesDep, caller: MayWrite) -> None:
    """It is gone; a new one may be added under its type and key."""
    await preferences.delete_preference(customer_id, preference_id, by=caller)


def _tagged(preference: CustomerPreference, response: Response) -> CustomerPreferenceResponse:
    response.headers["ETag"] = etag_of(preference.version)
    return CustomerPreferenceResponse.of(preference)
