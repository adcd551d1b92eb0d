"""What callers do with customers: add them, find them, and leave a record of who looked at whom."""

from collections.abc import Sequence
from uuid import UUID

from regulars.customers.access import is_masked_for, require_filters_allowed, require_visible
from regulars.customers.events import CustomerCreated
from regulars.customers.identifiers import CustomerNumber, Email
from regulars.customers.models import NewCustomer, RetailCustomer
from regulars.customers.schemas import RetailCustomerCreate, RetailCustomerListResponse, RetailCustomerResponse
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service_bulk import CustomerBulkChanges
from regulars.customers.service_export import CustomerExport
from regulars.customers.service_lifecycle import CustomerLifecycle
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Page
from regulars.kit.security import Principal


class RetailCustomerService(CustomerLifecycle, CustomerBulkChanges, CustomerExport):
    """Customers, as far as one caller may see and change them; changes and exports have files of their own."""

    async def create_customer(self, data: RetailCustomerCreate, by: Principal) -> RetailCustomerResponse:
        """Add a customer.

        Raises:
            EmailTaken, PhoneTaken: another customer has it.
            AgeRestriction: younger than the setting `minimum_age`.
            Validation: impossible date of birth, or a referrer who is not there.
        """
        self.check_date_of_birth(data.date_of_birth)
        await self._check_referrer(data.referrer_customer_id)
        now = self._clock.now()
        customer = await self._customers.create_customer(NewCustomer(data.profile(), now, self._clock.day_of(now)))
        await self._audit("create_customer", by, customer.id, fields=sorted(data.model_fields_set))
        await self._tell(CustomerCreated(customer_id=customer.id, by_registration=False))
        return self._shown(customer, by)

    async def get_customer(self, customer_id: UUID, by: Principal) -> RetailCustomerResponse:
        """A customer by id.

        Raises:
            NotFound: there is none, or none that the caller may know of.
            CustomerErased: the person was erased.
        """
        customer = await self._customers.get(customer_id)
        return await self._revealed(customer, by, "get_customer", scope="customers:read")

    async def get_customer_by_number(self, number: CustomerNumber, by: Principal) -> RetailCustomerResponse:
        """A customer by number; refuses as `get_customer()` does."""
        customer = await self._customers.get_by_customer_number(number)
        return await self._revealed(customer, by, "get_customer_by_number", scope="customers:lookup")

    async def get_customer_by_email(self, email: Email, by: Principal) -> RetailCustomerResponse:
        """A customer by e-mail address; refuses as `get_customer()` does."""
        customer = await self._customers.get_by_email(email)
        return await self._revealed(customer, by, "get_customer_by_email", scope="customers:lookup")

    async def search_customers(
        self, filters: RetailCustomerSearchFilters, by: Principal
    ) -> Page[RetailCustomerListResponse]:
        """A page of the customers that match, and how many there are.

        Raises:
            InsufficientScope: the filters ask for what the caller may not know.
        """
        require_filters_allowed(filters, by)
        found = await self._customers.search_customers(filters, self._clock)
        total, is_estimate = await self._total(filters, len(found))
        await self._audit_search(filters, found, by)
        items = [
            RetailCustomerListResponse.of(customer, self._settings, masked=is_masked_for(customer, by))
            for customer in found
        ]
        return Page[RetailCustomerListResponse](
            items=items, total=total, total_is_estimate=is_estimate, limit=filters.limit, offset=filters.offset
        )

    async def _total(self, filters: RetailCustomerSearchFilters, found: int) -> tuple[int, bool]:
        """How many match, and whether that is an estimate. A page that is not full says so itself."""
        if found < filters.limit and (found or not filters.offset):
            return filters.offset + found, False
        count = await self._customers.count_customers(filters, self._clock)
        return count.total, count.is_estimate

    async def _revealed(
        self, customer: RetailCustomer | None, by: Principal, action: str, *, scope: str
    ) -> RetailCustomerResponse:
        """The record as the caller may see it, after writing down that a person was looked at."""
        if customer is None:
            raise NotFound
        require_visible(customer, by, scope)
        if by.sees_identifiers():
            await self._audit(action, by, customer.id)
        return self._shown(customer, by)

    async def _audit_search(
        self, filters: RetailCustomerSearchFilters, found: Sequence[RetailCustomer], by: Principal
    ) -> None:
        if found and by.sees_identifiers():
            ids = [str(customer.id) for customer in found]
            await self._audit("search_customers", by, fields=sorted(filters.given()), facts={"customer_ids": ids})
