"""Privacy: what is stored about a person, and the end of it."""

from typing import Annotated

from fastapi import Depends
from fastapi.responses import StreamingResponse

from regulars.accounts.errors import TooManyAttempts
from regulars.api.access import requires
from regulars.api.deps import ClockDep, DatabaseDep, PasswordsDep, SettingsDep, TransactionDep
from regulars.api.downloads import written_answer
from regulars.api.routing import Router, json_type
from regulars.customers.errors import CustomerErased
from regulars.flows.erase_customer import Erasures, erase_on_request
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.schemas import Id
from regulars.kit.security import Principal
from regulars.privacy.schemas import (
    CustomerDataExport,
    DataExportRequest,
    ErasureRequest,
    ErasureResponse,
    own_erasure_fields,
)

router = Router(prefix="/api/v1/retail-customers", tags=["Privacy"])

MayExport = Annotated[Principal, requires("privacy:export", own=True)]
MayErase = Annotated[Principal, requires("customers:erase", own=True)]


async def data_exports(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> CustomerDataExports:
    """Exports in the request's transaction."""
    return CustomerDataExports(connection, settings, clock)


async def erasures(database: DatabaseDep, settings: SettingsDep, clock: ClockDep) -> Erasures:
    """Erasures; each opens transactions of its own."""
    return Erasures(database, settings, clock)


ExportsDep = Annotated[CustomerDataExports, Depends(data_exports)]
ErasuresDep = Annotated[Erasures, Depends(erasures)]


@router.post(
    "/{customer_id}/export",
    operation_id="export_customer_data",
    summary="Read all data about a person",
    response_model=CustomerDataExport,
    refusals=[CustomerErased],
    long_work=True,
)
async def export_customer_data(
    customer_id: Id, exports: ExportsDep, caller: MayExport, request: DataExportRequest | None = None
) -> StreamingResponse:
    """The rows of every table that are about the person, with the columns that are the person's own to know.

    Nothing of another customer is in it, and no secret. That it was asked for is written down.
    """
    wanted = request.sections if request else None
    return await written_answer(lambda file: exports.write_json(customer_id, file, by=caller, wanted=wanted), json_type)


@router.post(
    "/{customer_id}/erase",
    operation_id="erase_customer",
    summary="Erase a person",
    refusals=[CustomerErased, TooManyAttempts],
    own_fields=own_erasure_fields,
    long_work=True,
)
async def erase_customer(
    customer_id: Id, request: ErasureRequest, erasures: ErasuresDep, passwords: PasswordsDep, caller: MayErase
) -> ErasureResponse:
    """Cannot be undone. Whatever tells who the person was is removed; orders and points stay without a name.

    The account is closed by a transaction. Customers who erase themselves give their password, and are signed out.
    """
    erased = await erase_on_request(erasures, passwords, customer_id, request, by=caller)
    return ErasureResponse.of(erased)
