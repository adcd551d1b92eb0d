"""One change for many customers, in a fixed number of statements however many there are."""

from collections.abc import Sequence
from uuid import UUID

from regulars.customers.access import refusal_of_state
from regulars.customers.events import CustomerDeactivated, CustomerReactivated, CustomerUpdated
from regulars.customers.schemas_bulk import BulkCustomerStatusUpdate, BulkTagUpdate
from regulars.customers.service_base import CustomerServiceBase
from regulars.kit.bulk import BulkResult, bulk_result
from regulars.kit.errors import Refusal
from regulars.kit.schemas import most_tags
from regulars.kit.security import Principal
from regulars.kit.validation import Validation


class CustomerBulkChanges(CustomerServiceBase):
    """What changes many customers. All are locked first, in the order of their ids, so that no two calls can cross."""

    async def bulk_update_status(self, update: BulkCustomerStatusUpdate, *, by: Principal) -> BulkResult:
        """Activate or deactivate. Deleted customers are not there: taking a deletion back is done one by one.

        Raises:
            BulkRejected: all or nothing was asked for, and one cannot be changed.
        """
        ids = update.customer_ids
        refused = await self._lock_all(ids, by)
        changed = await self._customers.bulk_update_status(
            _without(ids, refused), is_active=update.is_active, at=self._clock.now()
        )
        result = bulk_result(ids, changed=changed, refused=refused, atomic=update.atomic)
        facts: dict[str, object] = {"is_active": update.is_active}
        await self._audit_bulk(
            "bulk_update_status", by, changed, facts | ({"reason": update.reason} if update.reason else {})
        )
        happened = CustomerReactivated if update.is_active else CustomerDeactivated
        await self._tell(*(happened(customer_id=id_) for id_ in changed))
        return result

    async def bulk_update_tags(self, update: BulkTagUpdate, *, by: Principal) -> BulkResult:
        """Add and remove tags. A customer who would have more than 50 keeps those of before.

        Raises:
            BulkRejected: all or nothing was asked for, and one cannot be changed.
        """
        ids = update.customer_ids
        refused = await self._lock_all(ids, by)
        changes = await self._customers.bulk_update_tags(
            _without(ids, refused), add=update.add, remove=update.remove, most=most_tags, at=self._clock.now()
        )
        too_long = Validation(f"There would be more than {most_tags} tags.")
        refused |= {change.id: too_long for change in changes if change.is_too_long}
        changed = [change.id for change in changes if change.is_changed]
        result = bulk_result(ids, changed=changed, refused=refused, atomic=update.atomic)
        await self._audit_bulk("bulk_update_tags", by, changed, {}, fields=["tags"])
        await self._tell(*(CustomerUpdated(customer_id=id_, fields=["tags"]) for id_ in changed))
        return result

    async def _lock_all(self, ids: Sequence[UUID], by: Principal) -> dict[UUID, Refusal]:
        """Lock the customers; answers those that cannot be changed, and why."""
        states = {state.id: state for state in await self._customers.lock_states(ids)}
        refusals = {id_: refusal_of_state(states.get(id_), by) for id_ in ids}
        return {id_: refusal for id_, refusal in refusals.items() if refusal is not None}

    async def _audit_bulk(
        self, action: str, by: Principal, changed: Sequence[UUID], facts: dict[str, object], fields: Sequence[str] = ()
    ) -> None:
        if changed:
            ids = sorted(str(id_) for id_ in changed)
            await self._audit(action, by, fields=fields, facts=facts | {"customer_ids": ids})


def _without(ids: Sequence[UUID], refused: dict[UUID, Refusal]) -> list[UUID]:
    return [id_ for id_ in ids if id_ not in refused]
