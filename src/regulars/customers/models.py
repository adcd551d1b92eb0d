"""A customer as the rest of the program sees one: flat, whatever tables the columns lie in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from regulars.customers.identifiers import CustomerNumber, Email, Phone

ContactKind = Literal["email", "phone"]
every_contact: frozenset[ContactKind] = frozenset({"email", "phone"})
stated_preferences: Mapping[str, tuple[str, str]] = {
    "preferred_categories": ("SHOPPING", "categories"),
    "preferred_brands": ("SHOPPING", "brands"),
    "preferred_sizes": ("SHOPPING", "sizes"),
    "preferred_colors": ("SHOPPING", "colors"),
    "preferred_payment_method": ("PAYMENT", "method"),
}
"""Fields of the profile that are preferences: shown in both places, kept as preferences of this type and key."""


@dataclass(frozen=True)
class CustomerProfile:
    """What people tell about themselves and the shop writes down: every field that a person may edit."""

    first_name: str | None = None
    last_name: str | None = None
    email: Email | None = None
    phone: Phone | None = None
    date_of_birth: date | None = None
    gender: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    email_marketing_consent: bool = False
    sms_marketing_consent: bool = False
    push_notification_consent: bool = False
    preferred_categories: list[str] = field(default_factory=list)
    preferred_brands: list[str] = field(default_factory=list)
    preferred_sizes: list[str] = field(default_factory=list)
    preferred_colors: list[str] = field(default_factory=list)
    preferred_payment_method: str | None = None
    acquisition_source: str | None = None
    acquisition_campaign: str | None = None
    referrer_customer_id: UUID | None = None
    notes: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NewCustomer:
    """A customer about to be written.

    Attributes:
        profile: What is known of the person; identifiers in their normal form.
        created_at: The instant of creation.
        created_on: The store's day of that instant, part of the customer number.
        external_ids: The person's id in other systems, by source; no two customers share one.
        user_id: The login that belongs to the person.
        is_guest: Whether somebody bought without being a customer.
        claims: Which of e-mail address and phone number identify the customer from the start. One that people typed
            about themselves does not until it is proved: whoever types an address is not its owner.
    """

    profile: CustomerProfile
    created_at: datetime
    created_on: date
    external_ids: Mapping[str, str] = field(default_factory=dict)
    user_id: UUID | None = None
    is_guest: bool = False
    claims: frozenset[ContactKind] = every_contact


@dataclass(frozen=True, kw_only=True)
class RetailCustomer(CustomerProfile):
    """A customer: profile, state, purchase metrics and scores.

    Attributes:
        total_spent: Money spent on valid orders, less refunds; not rounded.
        first_order_date: Instant of the first valid order.
        last_order_date: Instant of the last valid order.
        rfm_last_calculated: Instant as of which the scores are known to hold: a full run confirms also those that it
            need not write anew.
        clv: Lifetime value in the shop's currency; not rounded.
        clv_last_calculated: As `rfm_last_calculated`.
        loyalty_points: Points of the ledger; those that expired since the last run of expiry are still among them.
        tier_start_date: When the tier began; None without points ever.
        tier_expiry_date: The instant at which a tier set by hand is over.
        email_open_rate: Share of the delivered mails that were opened, 0 to 1; None before the first.
        email_click_rate: Share of the delivered mails in which something was clicked.
        email_bounced_at: When mail to the present address came back for good; None if it gets through.
        last_activity_at: The last order, or the last thing done with a mail.
        version: Counts the changes of editable fields.
        is_guest: Whether the person bought as a guest, and has not claimed the record yet by proving an address.
        merged_into: The record that this one became part of; it holds nothing itself any more.
    """

    id: UUID
    customer_number: CustomerNumber
    is_guest: bool
    is_active: bool
    is_email_verified: bool
    is_phone_verified: bool
    user_id: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    erased_at: datetime | None
    merged_into: UUID | None
    total_orders: int
    total_spent: Decimal
    first_order_date: datetime | None
    last_order_date: datetime | None
    rfm_recency_score: int | None
    rfm_frequency_score: int | None
    rfm_monetary_score: int | None
    rfm_segment: str | None
    rfm_last_calculated: datetime | None
    clv: Decimal | None
    clv_last_calculated: datetime | None
    loyalty_points: int
    loyalty_points_lifetime: int
    loyalty_tier: str
    tier_start_date: datetime | None
    tier_expiry_date: datetime | None
    email_open_rate: float | None
    email_click_rate: float | None
    last_email_open_date: datetime | None
    last_email_click_date: datetime | None
    email_bounced_at: datetime | None
    last_activity_at: datetime | None

    @property
    def is_verified(self) -> bool:
        """Whether the person has proved an address or a number."""
        return self.is_email_verified or self.is_phone_verified

    @property
    def average_order_value(self) -> Decimal | None:
        """Money per valid order; None without one."""
        return self.total_spent / self.total_orders if self.total_orders else None


@dataclass(frozen=True)
class CustomerState:
    """Of a customer, what decides whether a change for many can touch it."""

    id: UUID
    deleted_at: datetime | None
    erased_at: datetime | None


@dataclass(frozen=True)
class TagChange:
    """What a change of tags came to: the tags are others now, or there would be too many of them."""

    id: UUID
    is_changed: bool
    is_too_long: bool
