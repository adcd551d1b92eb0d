"""What callers do with customers: the rules about age, visibility and records of who looked at whom."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from regulars.customers.access import is_masked_for, require_filters_allowed, require_visible
from regulars.customers.errors import AgeRestriction
from regulars.customers.identifiers import CustomerNumber, Email
from regulars.customers.models import NewCustomer, RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas import RetailCustomerCreate, RetailCustomerListResponse, RetailCustomerResponse
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Page
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation

earliest_birth = date(1900, 1, 1)


class RetailCustomerService:
    """Customers, as far as one caller may see and change them."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    async def create_customer(self, data: RetailCustomerCreate, by: Principal) -> RetailCustomerResponse:
        """Add a customer.

        Raises:
            EmailTaken, PhoneTaken: another customer has it.
            AgeRestriction: younger than the setting `minimum_age`.
            Validation: impossible date of birth, or a referrer who is not there.
        """
        self._check_date_of_birth(data.date_of_birth)
        await self._check_referrer(data.referrer_customer_id)
        now = self._clock.now()
        customer = await self._customers.create_customer(NewCustomer(data.profile(), now, self._clock.day_of(now)))
        await self._audit("create_customer", by, customer.id, fields=sorted(data.model_fields_set))
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

    def _shown(self, customer: RetailCustomer, by: Principal) -> RetailCustomerResponse:
        return RetailCustomerResponse.of(customer, self._settings, masked=is_masked_for(customer, by))

    async def _audit(self, action: str, by: Principal, customer_id: UUID, fields: Sequence[str] = ()) -> None:
        await record_audit(
            self._connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
            fields=fields,
        )

    async def _audit_search(
        self, filters: RetailCustomerSearchFilters, found: Sequence[RetailCustomer], by: Principal
    ) -> None:
        if found and by.sees_identifiers():
            await record_audit(
                self._connection,
                "search_customers",
                by=by,
                at=self._clock.now(),
                object_kind="customer",
                fields=sorted(filters.given()),
                facts={"customer_ids": [str(customer.id) for customer in found]},
            )

    async def _check_referrer(self, referrer_id: UUID | None) -> None:
        if referrer_id is None:
            return
        try:
            referrer = await self._customers.get(referrer_id)
        except NotFound:
            referrer = None
        if referrer is None or referrer.deleted_at is not None or referrer.erased_at is not None:
            raise Validation.at("/referrer_customer_id", "range", "must be a customer")

    def _check_date_of_birth(self, born: date | None) -> None:
        if born is None:
            return
        today = self._clock.today()
        if not earliest_birth <= born <= today:
            raise Validation.at("/date_of_birth", "range", "must be between 1900-01-01 and today")
        if age_on(today, born) < self._settings.minimum_age:
            raise AgeRestriction(minimum_age=self._settings.minimum_age)


def age_on(day: date, born: date) -> int:
    """Age in whole years on a day; who was born on 29 February has a birthday on 1 March in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
