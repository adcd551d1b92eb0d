"""Loyalty Program: the rules, which change by adding a version."""

from typing import Annotated

from fastapi import Depends

from regulars.api.access import requires
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.routing import Router
from regulars.kit.security import Principal
from regulars.loyalty.errors import ProgrammeChanged, TiersDoNotRise
from regulars.loyalty.programme import ProgrammeService
from regulars.loyalty.schemas_programme import LoyaltyProgrammeResponse, LoyaltyProgrammeUpdate

router = Router(prefix="/api/v1/retail-customers/loyalty/programme", tags=["Loyalty Program"])

# Who sets tiers by hand also says where they begin: one scope, held by the owner alone. Tills and staff read.
MayRead = Annotated[Principal, requires("loyalty:read")]
MayChange = Annotated[Principal, requires("loyalty:tier")]


async def programme_service(connection: TransactionDep, clock: ClockDep) -> ProgrammeService:
    """The programme in the request's transaction."""
    return ProgrammeService(connection, clock)


ProgrammeDep = Annotated[ProgrammeService, Depends(programme_service)]


@router.get("", operation_id="get_loyalty_programme", summary="Read the rules of the programme")
async def get_loyalty_programme(programme: ProgrammeDep, caller: MayRead) -> LoyaltyProgrammeResponse:  # noqa: ARG001
    """Those that hold now."""
    return LoyaltyProgrammeResponse.model_validate(await programme.get_programme())


@router.put(
    "",
    operation_id="change_loyalty_programme",
    summary="Change the rules of the programme",
    refusals=[ProgrammeChanged, TiersDoNotRise],
)
async def change_loyalty_programme(
    update: LoyaltyProgrammeUpdate, programme: ProgrammeDep, caller: MayChange
) -> LoyaltyProgrammeResponse:
    """Adds a version; what was awarded keeps the one it was awarded by."""
    return LoyaltyProgrammeResponse.model_validate(await programme.change_programme(update, by=caller))


@router.get("/history", operation_id="get_loyalty_programme_history", summary="Read all versions of the rules")
async def get_loyalty_programme_history(
    programme: ProgrammeDep,
    caller: MayRead,  # noqa: ARG001
) -> list[LoyaltyProgrammeResponse]:
    """Newest first."""
    return [LoyaltyProgrammeResponse.model_validate(version) for version in await programme.get_programme_history()]
