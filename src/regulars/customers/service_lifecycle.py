"""A customer's record over time: edited, deactivated, deleted, and taken back."""

from datetime import timedelta
from uuid import UUID

from regulars.customers.access import require_fields_allowed, require_own_or, require_visible
from regulars.customers.contact_proofs import ContactProofs
from regulars.customers.events import CustomerDeactivated, CustomerDeleted, CustomerReactivated, CustomerUpdated
from regulars.customers.models import RetailCustomer
from regulars.customers.schemas import RetailCustomerResponse, RetailCustomerUpdate
from regulars.customers.service_base import CustomerServiceBase
from regulars.kit.errors import NotFound
from regulars.kit.preconditions import Precondition, any_version
from regulars.kit.security import Principal
from regulars.kit.validation import FieldError, Validation

deletion_undo = timedelta(days=30)


class CustomerLifecycle(CustomerServiceBase):
    """What changes one customer. Each change locks the record first."""

    async def update_customer(
        self,
        customer_id: UUID,
        update: RetailCustomerUpdate,
        *,
        by: Principal,
        precondition: Precondition = any_version,
    ) -> RetailCustomerResponse:
        """Change the fields that were sent and differ; if none does, the record stays as it is, version and all.

        Who proved an address or a number that the change takes away is told so there. What customers write about
        themselves identifies them only once it is proved; until then the address and number of before do.

        Args:
            customer_id: Whose profile.
            update: The fields to change; customers may send `own_fields` of their own record.
            by: Who changes it.
            precondition: What the caller has read.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
            UnknownField: a customer may not change this field.
            Validation: impossible date of birth, no way left to reach the person, or a referrer who is not there.
            AgeRestriction: younger than the setting `minimum_age`.
            PreconditionFailed: the record has another version than the caller has read.
            EmailTaken, PhoneTaken: another customer has it.
        """
        sent = update.changes()
        require_fields_allowed(sent, by)
        self.check_date_of_birth(update.date_of_birth)
        before = await self._lock_visible(customer_id, by, "customers:write")
        precondition.require(before.version)
        changes = {name: value for name, value in sent.items() if value != getattr(before, name)}
        if not changes:
            return self._shown(before, by)
        _check_reachable(before, changes)
        if "referrer_customer_id" in changes:
            await self._check_other_referrer(customer_id, update.referrer_customer_id)
        after = await self._customers.update_customer(
            customer_id, changes, at=self._clock.now(), is_typed=not by.may("customers:write")
        )
        await self._audit("update_customer", by, customer_id, fields=sorted(changes))
        await self._tell(CustomerUpdated(customer_id=customer_id, fields=sorted(changes)))
        if changes.keys() & {"email", "phone"}:
            await ContactProofs(self._connection, self._settings, self._clock).tell_old_owners(before, changes)
        return self._shown(after, by)

    async def deactivate_customer(
        self, customer_id: UUID, reason: str | None = None, *, by: Principal
    ) -> RetailCustomerResponse:
        """Deactivate a customer: the record stays, nobody signs in for it, and it moves no points.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
        """
        customer = await self._lock_visible(customer_id, by, "customers:status")
        if customer.is_active:
            customer = await self._customers.set_active(customer_id, is_active=False, at=self._clock.now())
            await self._audit("deactivate_customer", by, customer_id, facts=_why(reason))
            await self._tell(CustomerDeactivated(customer_id=customer_id))
        return self._shown(customer, by)

    async def reactivate_customer(
        self, customer_id: UUID, reason: str | None = None, *, by: Principal
    ) -> RetailCustomerResponse:
        """Activate a customer again; within 30 days this takes a deletion back.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller, or it was deleted longer ago.
        """
        customer = await self._lock_visible(customer_id, by, "customers:status")
        now, deleted_at = self._clock.now(), customer.deleted_at
        if customer.merged_into or (deleted_at is not None and now >= deleted_at + deletion_undo):
            raise NotFound
        if deleted_at is not None or not customer.is_active:
            customer = await self._customers.set_active(customer_id, is_active=True, at=now)
            await self._audit("reactivate_customer", by, customer_id, facts=_why(reason))
            await self._tell(CustomerReactivated(customer_id=customer_id))
        return self._shown(customer, by)

    async def delete_customer(self, customer_id: UUID, *, by: Principal) -> None:
        """Delete a customer for everybody but those who may erase; what is known of the person stays until then.

        Raises:
            NotFound, CustomerErased: there is no such customer, for this caller.
        """
        customer = await self._lock_visible(customer_id, by, "customers:erase")
        if customer.deleted_at is None:
            await self._customers.soft_delete(customer_id, at=self._clock.now())
            await self._audit("delete_customer", by, customer_id)
            await self._tell(CustomerDeleted(customer_id=customer_id))

    async def _lock_visible(self, customer_id: UUID, by: Principal, scope: str) -> RetailCustomer:
        """The customer, locked, if the caller may change it: it holds the scope, or is that customer."""
        require_own_or(scope, customer_id, by)
        customer = await self._customers.lock(customer_id)
        require_visible(customer, by, scope)
        return customer

    async def _check_other_referrer(self, customer_id: UUID, referrer_id: UUID | None) -> None:
        if referrer_id == customer_id:
            raise Validation.at("/referrer_customer_id", "range", "must be another customer")
        await self._check_referrer(referrer_id)
        if referrer_id is not None and await self._customers.was_brought_by(referrer_id, customer_id):
            raise Validation.at("/referrer_customer_id", "range", "must not have come by way of this customer")


def _check_reachable(before: RetailCustomer, changes: dict[str, object]) -> None:
    """Whoever can be reached must stay so: neither address nor number would leave a person whom nobody finds."""
    left = [changes.get(name, getattr(before, name)) for name in ("email", "phone")]
    if changes.keys() & {"email", "phone"} and not any(left):
        cleared = [name for name in ("email", "phone") if name in changes]
        raise Validation.of(FieldError("body", f"/{name}", "missing", "email or phone is required") for name in cleared)


def _why(reason: str | None) -> dict[str, object]:
    return {} if reason is None else {"reason": reason}
