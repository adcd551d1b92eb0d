"""Privacy: what is stored about a person, and the end of it."""

from typing import Annotated

from fastapi import Depends, Response

from regulars.accounts.errors import TooManyAttempts
from regulars.api.access import requires
from regulars.api.deps import ClockDep, DatabaseDep, PasswordsDep, SettingsDep, TransactionDep
from regulars.api.downloads import download
from regulars.api.idempotency import Answer
from regulars.api.long_work import PrefersJobDep, accepted
from regulars.api.routing import Router, json_type
from regulars.customers.errors import CustomerErased
from regulars.flows.erase_customer import Erasures
from regulars.flows.erase_on_request import ErasuresOnRequest
from regulars.flows.export_customer import CustomerDataExports
from regulars.kit.database import allow_long_work
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
    await allow_long_work(connection)
    return CustomerDataExports(connection, settings, clock)


async def erasures_on_request(
    database: DatabaseDep, settings: SettingsDep, clock: ClockDep, passwords: PasswordsDep
) -> ErasuresOnRequest:
    """Erasures; each opens transactions of its own."""
    return ErasuresOnRequest(database, clock, Erasures(database, settings, clock), passwords)


ExportsDep = Annotated[CustomerDataExports, Depends(data_exports)]
ErasuresDep = Annotated[ErasuresOnRequest, Depends(erasures_on_request)]


@router.post(
    "/{customer_id}/export",
    operation_id="export_customer_data",
    summary="Read all data about a person",
    response_model=CustomerDataExport,
    responses={202: {"description": "A job makes a zip of JSON and CSV files."}},
    refusals=[CustomerErased],
    long_work=True,
)
async def export_customer_data(
    customer_id: Id,
    exports: ExportsDep,
    clock: ClockDep,
    caller: MayExport,
    is_job: PrefersJobDep,
    request: DataExportRequest | None = None,
) -> Response:
    """The rows of every table that are about the person, with the columns that are the person's own to know.

    Nothing of another customer is in it, and no secret. That it was asked for is written down. The result of a job is
    a zip of JSON and CSV files, which can be fetched once, within 24 hours.
    """
    wanted = request.sections if request else None
    if is_job:
        return accepted(await exports.start_job(customer_id, by=caller, wanted=wanted), clock).response()
    return await download(
        lambda file: exports.write_json(customer_id, file, by=caller, wanted=wanted), json_type, name=None
    )


@router.post(
    "/{customer_id}/erase",
    operation_id="erase_customer",
    summary="Erase a person",
    response_model=ErasureResponse,
    responses={202: {"description": "A job does it."}},
    refusals=[CustomerErased, TooManyAttempts],
    own_fields=own_erasure_fields,
    long_work=True,
)
async def erase_customer(
    customer_id: Id,
    request: ErasureRequest,
    erasures: ErasuresDep,
    clock: ClockDep,
    caller: MayErase,
    is_job: PrefersJobDep,
) -> Response:
    """Cannot be undone. Whatever tells who the person was is removed; orders and points stay without a name.

    The account is closed by a transaction. Customers who erase themselves give their password, and are signed out.
    """
    if is_job:
        return accepted(await erasures.start_job(customer_id, request, by=caller), clock).response()
    erasure = await erasures.erase(customer_id, request, by=caller)
    return Answer(ErasureResponse.of(erasure), status=200).response()
