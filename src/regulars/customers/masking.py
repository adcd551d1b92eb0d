"""What callers see of a person whose direct identifiers are none of their business."""

from dataclasses import replace

from regulars.customers.identifiers import Email, Phone
from regulars.customers.models import RetailCustomer


def mask_name(name: str | None) -> str | None:
    """The first letter: `J.`."""
    return f"{name[0]}." if name else None


def mask_email(email: str | None) -> str | None:
    """The first letter, neither the length nor the domain: `j***@***`."""
    return f"{email[0]}***@***" if email else None


def mask_phone(phone: str | None) -> str | None:
    """The last two digits: `***10`."""
    return f"***{phone[-2:]}" if phone else None


def masked_customer(customer: RetailCustomer) -> RetailCustomer:
    """The customer without what identifies the person directly."""
    email, phone = mask_email(customer.email), mask_phone(customer.phone)
    return replace(
        customer,
        first_name=mask_name(customer.first_name),
        last_name=mask_name(customer.last_name),
        email=Email(email) if email else None,
        phone=Phone(phone) if phone else None,
        date_of_birth=None,
        address_line1=None,
        address_line2=None,
        postal_code=None,
        notes=None,
        user_id=None,
        referrer_customer_id=None,
    )
