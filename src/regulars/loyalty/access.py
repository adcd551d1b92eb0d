"""Whose points are for which callers."""

from uuid import UUID

from regulars.customers.errors import CustomerErased
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.loyalty.models import Deadline, LoyaltyAccount, LoyaltyTransaction
from regulars.loyalty.repository_accounts import LoyaltyAccountRepository


def require_reach(customer_id: UUID, by: Principal, scope: str) -> None:
    """Refuse another customer's points to a customer, before anything is read, as if there were no such customer.

    Args:
        customer_id: Whose points.
        by: Who asks.
        scope: What lets a caller reach others than the own record.

    Raises:
        NotFound: the caller is not this customer and does not hold the scope.
    """
    if not (by.may(scope) or by.customer_id == customer_id):
        raise NotFound


async def read_account(
    accounts: LoyaltyAccountRepository, customer_id: UUID, by: Principal
) -> tuple[LoyaltyAccount, list[Deadline]]:
    """A customer's account and lots by deadline, for a caller who may know of them; without a lock.

    Raises:
        NotFound: there is no such customer, for this caller.
        CustomerErased: the person was erased, for callers who may see identifiers.
    """
    require_reach(customer_id, by, "loyalty:read")
    found = await accounts.get_account(customer_id)
    if found is None:
        raise NotFound
    require_present(found[0], by)
    return found


def require_present(account: LoyaltyAccount, by: Principal) -> None:
    """Refuse the account of a person who is gone.

    Raises:
        CustomerErased: the person was erased, for callers who may see identifiers.
        NotFound: the same for all others; and the customer was deleted.
    """
    if account.erased_at is not None and by.sees_identifiers():
        raise CustomerErased(erased_at=account.erased_at)
    if account.is_gone:
        raise NotFound


def sees_notes(transaction: LoyaltyTransaction, by: Principal) -> bool:
    """Whether the caller sees who wrote a transaction and what was noted: staff, the writer, the customer."""
    return by.sees_identifiers() or transaction.customer_id == by.customer_id or transaction.created_by == by.id
