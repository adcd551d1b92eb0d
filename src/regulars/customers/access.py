"""Which customers, and which questions about them, are for which callers."""

from collections.abc import Iterable
from uuid import UUID

from regulars.customers.errors import CustomerErased
from regulars.customers.models import CustomerState, RetailCustomer
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.kit.errors import NotFound, Refusal
from regulars.kit.security import InsufficientScope, Principal
from regulars.kit.validation import FieldError, UnknownField, messages

exact_filters = frozenset({"email", "phone", "customer_number"})
identifying_filters = frozenset(
    {
        *("q", "email", "phone", "first_name", "last_name"),
        *("date_of_birth_from", "date_of_birth_to", "birthday_from", "birthday_to"),
        *("user_id", "referrer_customer_id"),
    }
)
identifying_sorts = frozenset({"last_name", "-last_name"})

own_fields = frozenset(
    {
        *("email", "phone"),
        *("address_line1", "address_line2", "postal_code", "city", "state", "country"),
        *("preferred_categories", "preferred_brands", "preferred_sizes", "preferred_colors"),
        "preferred_payment_method",
        *("email_marketing_consent", "sms_marketing_consent", "push_notification_consent"),
    }
)
"""What customers may change of their own record: contact, address, preferences and consent."""


def is_own(customer: RetailCustomer, by: Principal) -> bool:
    """Whether the caller is this customer."""
    return customer.id == by.customer_id


def is_masked_for(customer: RetailCustomer, by: Principal) -> bool:
    """Whether the caller gets the record without what identifies the person."""
    return not (by.sees_identifiers() or is_own(customer, by))


def require_visible(customer: RetailCustomer, by: Principal, scope: str) -> None:
    """Refuse a record that the caller may not know of, as if there were none.

    Args:
        customer: What was found.
        by: Who asks.
        scope: What lets a caller see others than the own record.

    Raises:
        NotFound: another customer's record, or a deleted one.
        CustomerErased: an erased one, for callers who may see identifiers.
    """
    if not (by.may(scope) or is_own(customer, by)):
        raise NotFound
    if customer.erased_at is not None:
        raise CustomerErased(erased_at=customer.erased_at) if by.sees_identifiers() else NotFound
    if customer.deleted_at is not None and not by.may("customers:erase"):
        raise NotFound


def require_buyer(customer: RetailCustomer, by: Principal, scope: str) -> None:
    """Refuse a sale to a record that the caller may not sell to, as if there were none.

    A deleted customer can still buy: the sale has happened, and the record is there until it is erased. Nothing of it
    is shown by that.

    Raises:
        NotFound: another customer's record, or an erased one.
        CustomerErased: an erased one, for callers who may see identifiers.
    """
    if customer.erased_at is not None or not by.may(scope):
        require_visible(customer, by, scope)


def refusal_of_state(state: CustomerState | None, by: Principal) -> Refusal | None:
    """What a change of this one of many would be refused with; None if it can be made."""
    if state is not None and state.erased_at is not None and by.sees_identifiers():
        return CustomerErased(erased_at=state.erased_at)
    if state is None or state.deleted_at is not None or state.erased_at is not None:
        return NotFound()
    return None


def require_own_or(scope: str, customer_id: UUID, by: Principal) -> None:
    """Refuse a caller who may touch the own record only and names another, before anything is read or locked.

    Raises:
        NotFound: another customer's id; the same whether there is one or not.
    """
    if not by.may(scope) and customer_id != by.customer_id:
        raise NotFound


def require_fields_allowed(fields: Iterable[str], by: Principal) -> None:
    """Refuse changes that customers may not make to their own record.

    Raises:
        UnknownField: the caller may not write profiles, and a field is not among `own_fields`.
    """
    if not by.may("customers:write") and (foreign := sorted(set(fields) - own_fields)):
        raise UnknownField.of(FieldError("body", f"/{name}", "unknown", messages["unknown"]) for name in foreign)


def require_filters_allowed(filters: RetailCustomerSearchFilters, by: Principal) -> None:
    """Refuse filters that would tell the caller what the answer hides.

    Raises:
        InsufficientScope: without `customers:search` anything but one exact identifier; without `customers:pii` and
            `customers:lookup` whatever touches names and contacts; without `customers:erase` deleted records.
    """
    given = filters.given().keys()
    if not by.may("customers:search") and not (len(given) == 1 and given <= exact_filters):
        raise InsufficientScope(scope="customers:search")
    identifying = given & identifying_filters or filters.sort in identifying_sorts
    if identifying and not (by.sees_identifiers() or by.may("customers:lookup")):
        raise InsufficientScope(scope="customers:pii|customers:lookup")
    if filters.include_deleted:
        by.require("customers:erase")
