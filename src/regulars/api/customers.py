"""Customer Management: add customers, find them, read them."""

from typing import Annotated

from fastapi import Depends, Query, Response

from regulars.api.access import requires
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.routing import Router
from regulars.customers.errors import AgeRestriction, CustomerErased, EmailTaken, PhoneTaken
from regulars.customers.schemas import (
    CustomerNumberText,
    EmailText,
    RetailCustomerCreate,
    RetailCustomerListResponse,
    RetailCustomerResponse,
)
from regulars.customers.schemas_search import RetailCustomerListQuery, RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.kit.schemas import Id, Page
from regulars.kit.security import Principal

prefix = "/api/v1/retail-customers"
router = Router(prefix=prefix, tags=["Customer Management"])

MayCreate = Annotated[Principal, requires("customers:create")]
MayRead = Annotated[Principal, requires("customers:read", own=True)]
MayLookUp = Annotated[Principal, requires("customers:lookup")]
MayLookUpOrIsOwn = Annotated[Principal, requires("customers:lookup", own=True)]
MaySearch = Annotated[Principal, requires("customers:search", "customers:lookup")]


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
    customer: RetailCustomerCreate, customers: CustomersDep, caller: MayCreate, response: Response
) -> RetailCustomerResponse:
    """The customer gets a number. No two customers share an e-mail address or a phone number."""
    created = await customers.create_customer(customer, by=caller)
    response.headers["Location"] = f"{prefix}/{created.id}"
    return _tagged(created, response)


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


def _tagged(customer: RetailCustomerResponse, response: Response) -> RetailCustomerResponse:
    response.headers["ETag"] = f'"{customer.version}"'
    return customer
