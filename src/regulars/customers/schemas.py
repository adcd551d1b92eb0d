"""What callers send and read about customers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from regulars.customers.identifiers import CustomerNumber, Email, Phone, parse_customer_number, parse_email, parse_phone
from regulars.customers.masking import masked_customer
from regulars.customers.models import CustomerProfile, RetailCustomer
from regulars.formulas.rfm import RFMSegment
from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.money import format_money
from regulars.kit.schemas import Day, Id, Instant, MoneyText, RequestSchema, ResponseSchema, Tags, Text, broken_rule
from regulars.kit.settings import Settings

Key = TypeVar("Key", bound=str)


def _normal_form(parse: Callable[[str], Key]) -> AfterValidator:
    """Turns a text into its key, or refuses it with the parser's own words, which never repeat what was sent."""

    def validate(text: str) -> Key:
        try:
            return parse(text)
        except ValueError as error:
            raise PydanticCustomError("format", "{expected}", {"expected": str(error)}) from error

    return AfterValidator(validate)


EmailText: TypeAlias = Annotated[
    Email,
    _normal_form(parse_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254, "examples": ["john@example.com"]}),
]
PhoneText: TypeAlias = Annotated[
    Phone,
    _normal_form(parse_phone),
    WithJsonSchema({"type": "string", "pattern": "^\\+", "maxLength": 32, "examples": ["+919876543210"]}),
]
CustomerNumberText: TypeAlias = Annotated[
    CustomerNumber,
    _normal_form(parse_customer_number),
    WithJsonSchema({"type": "string", "pattern": "^CUST-[0-9]{8}-[0-9]{4,9}$", "examples": ["CUST-20260615-0001"]}),
]

Name: TypeAlias = Annotated[str, Text(100)]
Place: TypeAlias = Annotated[str, Text(100)]
AddressLine: TypeAlias = Annotated[str, Text(200)]
Word: TypeAlias = Annotated[str, Text(50)]


class PersonalFields(RequestSchema):
    """What people may say of themselves."""

    first_name: Name | None = None
    last_name: Name | None = None
    email: EmailText | None = None
    phone: PhoneText | None = Field(default=None, description="With + and country code.")
    date_of_birth: Day | None = None
    gender: Word | None = None
    address_line1: AddressLine | None = None
    address_line2: AddressLine | None = None
    postal_code: Annotated[str, Text(20)] | None = None
    city: Place | None = None
    state: Place | None = None
    country: Place | None = None
    email_marketing_consent: bool = False
    sms_marketing_consent: bool = False
    push_notification_consent: bool = False
    preferred_categories: Tags = []
    preferred_brands: Tags = []
    preferred_sizes: Tags = []
    preferred_colors: Tags = []
    preferred_payment_method: Word | None = None
    acquisition_source: Place | None = None
    acquisition_campaign: Place | None = None


class RetailCustomerBase(PersonalFields):
    """What a person may tell about a customer: every field that can be edited."""

    referrer_customer_id: Id | None = None
    notes: Annotated[str, Text(4000, lines=True)] | None = None
    tags: Tags = []


class RetailCustomerCreate(RetailCustomerBase):
    """A new customer: a name, and an e-mail address or a phone number."""

    first_name: Name
    last_name: Name

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.email is None and self.phone is None:
            raise broken_rule("missing", "email or phone is required", "email", "phone")
        return self

    def profile(self) -> CustomerProfile:
        """The fields as they are stored."""
        return CustomerProfile(**dict(self))


def _without_defaults(schema: dict[str, Any]) -> None:
    """An absent field stays as it is, so that no default may stand in the contract."""
    for part in schema["properties"].values():
        part.pop("default", None)


class RetailCustomerUpdate(RetailCustomerBase):
    """Changes of a profile: a field that is absent stays, an explicit null clears it."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    def changes(self) -> dict[str, object]:
        """The fields that were sent, with their new values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class StatusChange(RequestSchema):
    """Why a customer is deactivated or reactivated; kept in the audit log."""

    reason: Annotated[str, Text(500)] | None = None


class RetailCustomerListResponse(ResponseSchema):
    """A customer in a list."""

    id: Id
    customer_number: str
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    city: str | None
    country: str | None
    is_active: bool
    is_verified: bool
    total_orders: int
    total_spent: MoneyText
    last_order_date: Day | None
    rfm_segment: RFMSegment | None = Field(description="`prospect` before the first order; null until scored.")
    rfm_segment_label: str | None
    clv: MoneyText | None
    loyalty_points: int = Field(description="Points of the ledger, below zero if owed; the balance goes by the clock.")
    loyalty_tier: LoyaltyTier
    loyalty_tier_label: str
    tags: list[str]
    created_at: Instant
    deleted_at: Instant | None
    masked: bool = Field(description="Whether direct identifiers are hidden from this caller.")

    @classmethod
    def of(cls, customer: RetailCustomer, settings: Settings, *, masked: bool) -> Self:
        """The customer as a caller sees it: money rounded, days in store time, identifiers masked or not."""
        return cls.model_validate(cls.values_of(customer, settings, masked=masked))

    @classmethod
    def values_of(cls, customer: RetailCustomer, settings: Settings, *, masked: bool) -> dict[str, object]:
        """The values of `of()` by field, not validated: for files of many customers."""
        shown = masked_customer(customer) if masked else customer
        computed = (
            _money(shown, settings.currency)
            | _store_days(shown, settings)
            | _segment(shown)
            | _tier(shown, settings)
            | {"masked": masked}
        )
        return {name: computed[name] if name in computed else getattr(shown, name) for name in cls.model_fields}


class RetailCustomerResponse(RetailCustomerListResponse):
    """All about a customer."""

    date_of_birth: Day | None
    gender: str | None
    address_line1: str | None
    address_line2: str | None
    postal_code: str | None
    state: str | None
    is_guest: bool = Field(description="Bought as a guest, and has not claimed the record yet.")
    is_email_verified: bool
    is_phone_verified: bool
    average_order_value: MoneyText | None
    first_order_date: Day | None
    rfm_recency_score: int | None
    rfm_frequency_score: int | None
    rfm_monetary_score: int | None
    rfm_last_calculated: Instant | None
    clv_last_calculated: Instant | None
    loyalty_points_lifetime: int
    tier_start_date: Day | None
    tier_expiry_date: Day | None = Field(description="Last day of a tier that was set by hand until a day.")
    email_open_rate: float | None = Field(description="Share of the delivered mails that were opened.")
    email_click_rate: float | None = Field(description="Share of the delivered mails in which something was clicked.")
    last_email_open_date: Day | None
    last_email_click_date: Day | None
    email_bounced_at: Instant | None = Field(description="Since then mail to this address comes back; send none.")
    last_activity_at: Instant | None = Field(description="Last order, or last thing done with a mail.")
    email_marketing_consent: bool
    sms_marketing_consent: bool
    push_notification_consent: bool
    preferred_categories: list[str]
    preferred_brands: list[str]
    preferred_sizes: list[str]
    preferred_colors: list[str]
    preferred_payment_method: str | None
    acquisition_source: str | None
    acquisition_campaign: str | None
    referrer_customer_id: Id | None
    user_id: Id | None
    notes: str | None
    version: int = Field(description="Counts the changes of editable fields; the ETag.")
    updated_at: Instant
    erased_at: Instant | None


def _money(customer: RetailCustomer, currency: str) -> dict[str, object]:
    amounts = {name: getattr(customer, name) for name in ("total_spent", "average_order_value", "clv")}
    return {name: None if amount is None else format_money(amount, currency) for name, amount in amounts.items()}


_days = ("first_order_date", "last_order_date", "last_email_open_date", "last_email_click_date")


def _store_days(customer: RetailCustomer, settings: Settings) -> dict[str, object]:
    instants = {name: getattr(customer, name) for name in _days}
    return {name: None if instant is None else settings.clock.day_of(instant) for name, instant in instants.items()}


def _segment(customer: RetailCustomer) -> dict[str, object]:
    segment = RFMSegment(customer.rfm_segment) if customer.rfm_segment else None
    return {"rfm_segment": segment, "rfm_segment_label": segment.label if segment else None}


def _tier(customer: RetailCustomer, settings: Settings) -> dict[str, object]:
    tier, start, end = LoyaltyTier(customer.loyalty_tier), customer.tier_start_date, customer.tier_expiry_date
    return {
        "loyalty_tier": tier,
        "loyalty_tier_label": tier.label,
        "tier_start_date": settings.clock.day_of(start) if start else None,
        "tier_expiry_date": settings.clock.day_of(end - timedelta(microseconds=1)) if end else None,
    }
