"""Customer Management: add customers, find them, read them, change them, and let them go."""

from typing import Annotated

from fastapi import Depends, Query, Response
from fastapi.responses import StreamingResponse

from regulars.api.access import requires
from regulars.api.deps import ClockDep, IfMatchDep, SettingsDep, TransactionDep
from regulars.api.downloads import download
from regulars.api.long_work import LongWorkDep
from regulars.api.routing import Router
from regulars.customers.access import own_fields
from regulars.customers.errors import AgeRestriction, CustomerErased, EmailTaken, PhoneTaken
from regulars.customers.schemas import (
    CustomerNumberText,
    EmailText,
    RetailCustomerCreate,
    RetailCustomerListResponse,
    RetailCustomerResponse,
    RetailCustomerUpdate,
    StatusChange,
)
from regulars.customers.schemas_search import RetailCustomerListQuery, RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.flows import change_profiles, deactivate_customers
from regulars.kit.csv_files import media_type as csv_type
from regulars.kit.preconditions import etag_of
from regulars.kit.schemas import Id, Page
from regulars.kit.security import Principal

prefix = "/api/v1/retail-customers"
router = Router(prefix=prefix, tags=["Customer Management"])

MayCreate = Annotated[Principal, requires("customers:create")]
MayRead = Annotated[Principal, requires("customers:read", own=True)]
MayLookUp = Annotated[Principal, requires("customers:lookup")]
MayLookUpOrIsOwn = Annotated[Principal, requires("customers:lookup", own=True)]
MayWrite = Annotated[Principal, requires("customers:write", own=True)]
MayChangeStatus = Annotated[Principal, requires("customers:status")]
MayChangeStatusOrIsOwn = Annotated[Principal, requires("customers:status", own=True)]
MayEraseOrIsOwn = Annotated[Principal, requires("customers:erase", own=True)]
MayExport = Annotated[Principal, requires("export:run")]
MaySearch = Annotated[Principal, requires("customers:search", "customers:lookup")]

_csv_example = (
    "id,customer_number,first_name,last_name\r\n0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77,CUST-20260131-0001,John,Doe\r\n"
)


async def customer_service(connection: TransactionDep, settings: SettingsDep, clock: ClockDep) -> RetailCustomerService:
    """Customers in the request's transaction."""
    return RetailCustomerService(connection, settings, clock)


CustomersDep = Annotated[RetailCustomerService, Depends(customer_service)]


@router.post("", include_in_schema=False, status_code=201)
@router.post(
    "/",
    operation_id="create_customer",
    summary="Add a customer",
    status_code=201,
    refusals=[EmailTaken, PhoneTaken, AgeRestriction],
)
async def create_customer(
    customer: RetailCustomerCreate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayCreate,
    response: Response,
) -> RetailCustomerResponse:
    """The customer gets a number. No two customers share an e-mail address or a phone number."""
    created = await change_profiles.create_customer(connection, customer, by=caller, settings=settings, clock=clock)
    return located(created, response)


@router.get("", include_in_schema=False)
@router.get("/", operation_id="list_customers", summary="List customers")
async def list_customers(
    filters: Annotated[RetailCustomerListQuery, Query()], customers: CustomersDep, caller: MaySearch
) -> Page[RetailCustomerListResponse]:
    """All filters must hold. Callers who may only look up give exactly one of email, phone, customer_number."""
    return await customers.search_customers(filters, by=caller)


@router.post("/search", operation_id="search_customers", summary="Find customers")
async def search_customers(
    filters: RetailCustomerSearchFilters, customers: CustomersDep, caller: MaySearch
) -> Page[RetailCustomerListResponse]:
    """As the list, with the filters in the body, so that no address stands in a URL."""
    return await customers.search_customers(filters, by=caller)


@router.post(
    "/export",
    operation_id="export_customers",
    summary="Export customers as CSV",
    produces=[csv_type],
    long_work=True,
    response_class=StreamingResponse,
    responses={200: {"content": {csv_type: {"schema": {"type": "string"}, "example": _csv_example}}}},
)
async def export_customers(
    filters: RetailCustomerSearchFilters,
    customers: CustomersDep,
    clock: ClockDep,
    caller: MayExport,
    long_work: LongWorkDep,
) -> Response:
    """Every match, as of one moment; limit and offset do not count. Columns are the fields of RetailCustomerResponse.

    UTF-8 with a header row. Lists are JSON. A text that a spreadsheet would take for a formula gets a leading `'`.
    """
    rows = customers.count_for_export(filters, by=caller)
    if promised := await long_work.promise("export_customers", filters, rows=rows, only_reads=True):
        return promised.response()
    name = f"customers-{clock.today()}.csv"
    return await download(lambda file: customers.export_customers(filters, file, by=caller), csv_type, name=name)


@router.get(
    "/number/{customer_number}",
    operation_id="get_customer_by_number",
    summary="Read a customer by number",
    refusals=[CustomerErased],
)
async def get_customer_by_number(
    customer_number: CustomerNumberText, customers: CustomersDep, caller: MayLookUpOrIsOwn, response: Response
) -> RetailCustomerResponse:
    """Customers read their own record only."""
    return _tagged(await customers.get_customer_by_number(customer_number, by=caller), response)


@router.get(
    "/email/{email}",
    operation_id="get_customer_by_email",
    summary="Read a customer by e-mail address",
    refusals=[CustomerErased],
)
async def get_customer_by_email(
    email: EmailText, customers: CustomersDep, caller: MayLookUp, response: Response
) -> RetailCustomerResponse:
    """Case does not matter. `POST /search` does the same without the address in the URL."""
    return _tagged(await customers.get_customer_by_email(email, by=caller), response)


@router.get("/{customer_id}", operation_id="get_customer", summary="Read a customer", refusals=[CustomerErased])
async def get_customer(
    customer_id: Id, customers: CustomersDep, caller: MayRead, response: Response
) -> RetailCustomerResponse:
    """Customers read their own record only."""
    return _tagged(await customers.get_customer(customer_id, by=caller), response)


@router.put(
    "/{customer_id}",
    operation_id="update_customer",
    summary="Change a profile",
    refusals=[EmailTaken, PhoneTaken, AgeRestriction, CustomerErased],
    own_fields=own_fields,
)
async def update_customer(
    customer_id: Id,
    update: RetailCustomerUpdate,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayWrite,
    precondition: IfMatchDep,
    response: Response,
) -> RetailCustomerResponse:
    """An absent field stays, null clears one. Customers change contact, address, preferences and consent of their own.

    Another e-mail address or phone number is unproved until it is verified; where the old one was proved, it is told.
    One that customers write themselves identifies them, and is their login, only from then on. What was granted for the
    one of before ends.
    The version counts these changes.
    """
    updated = await change_profiles.update_customer(
        connection, customer_id, update, by=caller, settings=settings, clock=clock, precondition=precondition
    )
    return _tagged(updated, response)


@router.post(
    "/{customer_id}/deactivate",
    operation_id="deactivate_customer",
    summary="Deactivate a customer",
    refusals=[CustomerErased],
)
async def deactivate_customer(
    customer_id: Id,
    connection: TransactionDep,
    settings: SettingsDep,
    clock: ClockDep,
    caller: MayChangeStatusOrIsOwn,
    response: Response,
    change: StatusChange | None = None,
) -> RetailCustomerResponse:
    """The record stays; the person is signed out, cannot sign in, and moves no points until reactivated."""
    reason = change.reason if change else None
    deactivated = await deactivate_customers.deactivate_customer(
        connection, customer_id, reason, by=caller, settings=settings, clock=clock
    )
    return _tagged(deactivated, response)


@router.post(
    "/{customer_id}/reactivate",
    operation_id="reactivate_customer",
    summary="Reactivate a customer",
    refusals=[CustomerErased],
)
async def reactivate_customer(
    customer_id: Id,
    customers: CustomersDep,
    caller: MayChangeStatus,
    response: Response,
    change: StatusChange | None = None,
) -> RetailCustomerResponse:
    """Takes a deletion back too, for 30 days, by those who see deleted records."""
    reason = change.reason if change else None
    return _tagged(await customers.reactivate_customer(customer_id, reason, by=caller), response)


@router.delete(
    "/{customer_id}",
    operation_id="delete_customer",
    summary="Delete a customer",
    status_code=204,
    refusals=[CustomerErased],
)
async def delete_customer(
    customer_id: Id, connection: TransactionDep, settings: SettingsDep, clock: ClockDep, caller: MayEraseOrIsOwn
) -> None:
    """The record is there no more, except for those who may erase; they can take it back for 30 days."""
    await deactivate_customers.delete_customer(connection, customer_id, by=caller, settings=settings, clock=clock)


def located(customer: RetailCustomerResponse, response: Response) -> RetailCustomerResponse:
    """Answer with a new customer: where it is, and in which version."""
    response.headers["Location"] = f"{prefix}/{customer.id}"
    return _tagged(customer, response)


def _tagged(customer: RetailCustomerResponse, response: Response) -> RetailCustomerResponse:
    response.headers["ETag"] = etag_of(customer.version)
    return customer
