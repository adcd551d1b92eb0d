"""The one set of filters: the list, the search, the export and the segments of people all take it."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from regulars.customers.schemas import CustomerNumberText, EmailText, Name, PhoneText, Place, Word
from regulars.formulas.rfm import RFMSegment
from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.bounds import most_points_held
from regulars.kit.schemas import Day, Id, Limit, Money, Offset, OneOf, QuerySchema, RequestSchema, Text, broken_rule

longest_list = 50

Words: TypeAlias = Annotated[list[Word], Field(max_length=longest_list)]
Places: TypeAlias = Annotated[list[Place], Field(max_length=longest_list)]
Segments: TypeAlias = Annotated[list[OneOf[RFMSegment]], Field(max_length=longest_list)]
Tiers: TypeAlias = Annotated[list[OneOf[LoyaltyTier]], Field(max_length=longest_list)]
Score: TypeAlias = Annotated[int, Field(ge=1, le=5)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]
PointCount: TypeAlias = Annotated[int, Field(ge=-most_points_held, le=most_points_held)]
Chance: TypeAlias = Annotated[float, Field(ge=0, le=1)]

SortKey: TypeAlias = Literal[
    "created_at", "updated_at", "last_name", "customer_number", "last_order_date", "first_order_date",
    "total_orders", "total_spent", "average_order_value", "clv",
    "loyalty_points", "loyalty_points_lifetime",
    "rfm_recency_score", "rfm_frequency_score", "rfm_monetary_score",
    "-created_at", "-updated_at", "-last_name", "-customer_number", "-last_order_date", "-first_order_date",
    "-total_orders", "-total_spent", "-average_order_value", "-clv",
    "-loyalty_points", "-loyalty_points_lifetime",
    "-rfm_recency_score", "-rfm_frequency_score", "-rfm_monetary_score",
]  # fmt: skip

SegmentBefore: TypeAlias = Literal[
    "champion", "loyal", "potential_loyalist", "new_customer", "promising", "need_attention", "about_to_sleep",
    "at_risk", "cant_lose_them", "hibernating", "lost", "prospect",
    "none",
]  # fmt: skip
"""A segment, or that there was none yet."""

_ranges = {"_max": "_min", "_to": "_from"}
_no_filters = {"sort", "limit", "offset", "include_deleted"}


class RetailCustomerSearchFilters(RequestSchema):
    """Which customers: all filters must hold; of a list, one value is enough. Ranges include both ends."""

    q: Annotated[str, Text(100, min_length=2)] | None = Field(
        default=None,
        description="Parts of name, e-mail, phone or number, in any order; all of them must be found. Case and accents"
        " do not matter; one or two characters match beginnings of words only.",
    )
    email: EmailText | None = None
    phone: PhoneText | None = None
    customer_number: CustomerNumberText | None = None
    first_name: Name | None = Field(default=None, description="How it begins; case and accents do not matter.")
    last_name: Name | None = Field(default=None, description="How it begins; case and accents do not matter.")
    gender: Words = []
    date_of_birth_from: Day | None = None
    date_of_birth_to: Day | None = None
    birthday_from: Day | None = Field(
        default=None,
        description="Has a birthday in the period up to `birthday_to`; whoever was born on 29 February has it on"
        " 28 February in years without that day.",
    )
    birthday_to: Day | None = None
    city: Places = Field(
        default=[], description="Whole names, as in state and country; case and accents do not matter."
    )
    state: Places = []
    country: Places = []
    is_active: bool | None = None
    is_verified: bool | None = None
    is_email_verified: bool | None = None
    is_phone_verified: bool | None = None
    loyalty_tier: Tiers = []
    loyalty_points_min: PointCount | None = Field(default=None, description="Below zero for points owed.")
    loyalty_points_max: PointCount | None = None
    loyalty_points_lifetime_min: PointCount | None = None
    loyalty_points_lifetime_max: PointCount | None = None
    tier_expiry_from: Day | None = Field(default=None, description="Has a tier, set by hand, that ends in the period.")
    tier_expiry_to: Day | None = None
    points_expiring_from: Day | None = Field(default=None, description="Has points that expire in the period.")
    points_expiring_to: Day | None = None
    rfm_segment: Segments = []
    segment_from: SegmentBefore | None = Field(
        default=None,
        description="Was in this segment in the run `from_run` (`none`: had none yet) and had one in the run `to_run`:"
        " one of `rfm_segment`, if any is given, which then says nothing about the present.",
    )
    from_run: Id | None = Field(default=None, description="A finished run that made RFM scores; with `segment_from`.")
    to_run: Id | None = Field(default=None, description="The other run.")
    rfm_recency_score_min: Score | None = None
    rfm_recency_score_max: Score | None = None
    rfm_frequency_score_min: Score | None = None
    rfm_frequency_score_max: Score | None = None
    rfm_monetary_score_min: Score | None = None
    rfm_monetary_score_max: Score | None = None
    clv_min: Money | None = None
    clv_max: Money | None = None
    p_buy_min: Chance | None = Field(default=None, description="Chance of a purchase, by method `model`.")
    p_buy_max: Chance | None = None
    total_spent_min: Money | None = None
    total_spent_max: Money | None = None
    average_order_value_min: Money | None = None
    average_order_value_max: Money | None = None
    total_orders_min: Count | None = None
    total_orders_max: Count | None = None
    has_orders: bool | None = None
    first_order_from: Day | None = Field(default=None, description="Store day, as all days here.")
    first_order_to: Day | None = None
    last_order_from: Day | None = None
    last_order_to: Day | None = None
    ordered_from: Day | None = Field(default=None, description="Has a valid order in the period.")
    ordered_to: Day | None = None
    created_from: Day | None = None
    created_to: Day | None = None
    last_activity_from: Day | None = Field(default=None, description="Last order, or last thing done with a mail.")
    last_activity_to: Day | None = None
    email_marketing_consent: bool | None = None
    sms_marketing_consent: bool | None = None
    push_notification_consent: bool | None = None
    preferred_categories: Words = []
    preferred_brands: Words = []
    tags_any: Words = []
    tags_all: Words = []
    tags_none: Words = []
    acquisition_source: Places = []
    acquisition_campaign: Places = []
    referrer_customer_id: Id | None = None
    user_id: Id | None = None
    include_deleted: bool = Field(default=False, description="Also deleted records.")
    sort: SortKey = Field(default="-created_at", description="`-` for descending; ties by id, missing values last.")
    limit: Limit = 50
    offset: Offset = 0

    @field_validator("*", mode="after")
    @classmethod
    def _in_order(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - any field
        name = info.field_name or ""
        for end, start in _ranges.items():
            if value is None or not name.endswith(end):
                continue
            other = name.removesuffix(end) + start
            least = info.data.get(other)
            if least is not None and value < least:
                raise PydanticCustomError("range", "{expected}", {"expected": f"must not be below {other}"})
        return value

    @model_validator(mode="after")
    def _some_go_together(self) -> Self:
        for together in (("segment_from", "from_run", "to_run"), ("birthday_from", "birthday_to")):
            absent = [name for name in together if getattr(self, name) is None]
            if absent and len(absent) < len(together):
                raise broken_rule("missing", f"{', '.join(together)} go together", *absent)
        return self

    def given(self) -> dict[str, Any]:
        """The filters that were set, without sorting, paging and `include_deleted`."""
        return {name: value for name, value in self if name not in _no_filters and value is not None and value != []}


class RetailCustomerListQuery(RetailCustomerSearchFilters, QuerySchema):
    """`RetailCustomerSearchFilters` as query parameters."""
