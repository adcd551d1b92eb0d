"""What every part of the customer service stands on: how a record is shown, rules of values, the audit log."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from regulars.customers.access import is_masked_for
from regulars.customers.errors import AgeRestriction
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas import RetailCustomerResponse
from regulars.kit.audit import record_audit
from regulars.kit.bounds import earliest_day
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.events import Event, record_events
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation


class CustomerServiceBase:
    """Customers in one transaction."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)

    def _shown(self, customer: RetailCustomer, by: Principal) -> RetailCustomerResponse:
        return RetailCustomerResponse.of(customer, self._settings, masked=is_masked_for(customer, by))

    async def show(self, customer_id: UUID, *, by: Principal) -> RetailCustomerResponse:
        """The record of a customer whom the caller has just changed, as it is now."""
        return self._shown(await self._customers.get(customer_id), by)

    async def _audit(
        self,
        action: str,
        by: Principal,
        customer_id: UUID | None = None,
        fields: Sequence[str] = (),
        facts: Mapping[str, object] | None = None,
    ) -> None:
        await record_audit(
            self._connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="customer",
            object_id=customer_id,
            fields=fields,
            facts=facts,
        )

    async def _tell(self, *events: Event) -> None:
        await record_events(self._connection, self._clock.now(), *events)

    async def _check_referrer(self, referrer_id: UUID | None) -> None:
        if referrer_id is None:
            return
        try:
            referrer = await self._customers.get(referrer_id)
        except NotFound:
            referrer = None
        if referrer is None or referrer.deleted_at is not None or referrer.erased_at is not None:
            raise Validation.at("/referrer_customer_id", "range", "must be a customer")

    def check_date_of_birth(self, born: date | None) -> None:
        """Refuse a date of birth that no customer may have.

        Raises:
            AgeRestriction: younger than the setting `minimum_age`.
            Validation: before 1900 or after today.
        """
        if born is None:
            return
        today = self._clock.today()
        if not earliest_day <= born <= today:
            raise Validation.at("/date_of_birth", "range", "must be between 1900-01-01 and today")
        if age_on(today, born) < self._settings.minimum_age:
            raise AgeRestriction(minimum_age=self._settings.minimum_age)


def age_on(day: date, born: date) -> int:
    """Age in whole years on a day; who was born on 29 February has a birthday on 1 March in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
