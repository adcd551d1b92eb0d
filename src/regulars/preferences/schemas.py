"""What callers send and read about preferences."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from regulars.kit.preconditions import etag_of
from regulars.kit.schemas import Id, Instant, OneOf, RequestSchema, ResponseSchema, Text, small_json, unchanged
from regulars.preferences.catalogue import checked_value
from regulars.preferences.models import CustomerPreference, NewPreference, PreferenceType

most_upserts = 100

_example: dict[str, JsonValue] = {
    "preference_type": "SHOPPING",
    "preference_key": "categories",
    "preference_value": ["shoes", "coats"],
}


AnyValue: TypeAlias = Annotated[
    JsonValue,
    WithJsonSchema(
        {"type": ["array", "object", "string", "number", "boolean", "null"], "examples": [_example["preference_value"]]}
    ),
]
"""Any JSON value, as it is kept."""

PreferenceValue: TypeAlias = Annotated[AnyValue, small_json]
"""Any JSON value of up to 4 KiB."""


class CustomerPreferenceBase(RequestSchema):
    """What a preference is about, and what it says."""

    preference_type: OneOf[PreferenceType]
    preference_key: Annotated[str, Text(100)] = Field(description="A well-known key, or one of your own.")
    preference_value: PreferenceValue = Field(description="Up to 4 KiB; of the form that a well-known key asks for.")

    @field_validator("preference_value")
    @classmethod
    def _fits_the_key(cls, value: JsonValue, info: ValidationInfo) -> JsonValue:
        kind, key = info.data.get("preference_type"), info.data.get("preference_key")
        if kind is None or key is None:
            return value
        try:
            return checked_value(kind, key, value)
        except ValueError as error:
            raise PydanticCustomError("format", "{expected}", {"expected": str(error)}) from error

    def as_new(self) -> NewPreference:
        """The preference as it is to be stored."""
        return NewPreference(self.preference_type, self.preference_key, self.preference_value)


class CustomerPreferenceCreate(CustomerPreferenceBase):
    """A new preference."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example]})


class CustomerPreferenceUpdate(RequestSchema):
    """Another value; left out, it stays as it is. Type and key do not change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preference_value": ["shoes"]}]})

    preference_value: PreferenceValue = unchanged("Up to 4 KiB; of the form that a well-known key asks for.")


class CustomerPreferencesBulkUpdate(RequestSchema):
    """Up to 100 preferences that a customer is to have, whether or not there are such already: all or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preferences": [_example]}]})

    preferences: list[CustomerPreferenceBase] = Field(min_length=1, max_length=most_upserts)

    @field_validator("preferences")
    @classmethod
    def _each_once(cls, preferences: list[CustomerPreferenceBase]) -> list[CustomerPreferenceBase]:
        if len({(each.preference_type, each.preference_key) for each in preferences}) < len(preferences):
            raise PydanticCustomError("repeated", "must name each type and key once")
        return preferences


class CustomerPreferenceResponse(ResponseSchema):
    """A preference that the customer stated, or one that the orders show: that one cannot be changed, and has no id."""

    id: Id | None = Field(description="Null for what is derived.")
    customer_id: Id
    preference_type: PreferenceType
    preference_key: str
    preference_value: AnyValue
    origin: Literal["stated", "derived"]
    etag: str | None = Field(description="Send as If-Match with a change. Null for what is derived.", examples=['"1"'])
    created_at: Instant | None
    updated_at: Instant | None

    @classmethod
    def of(cls, preference: CustomerPreference) -> Self:
        """A stated preference as callers see it."""
        return cls(
            id=preference.id,
            customer_id=preference.customer_id,
            preference_type=preference.preference_type,
            preference_key=preference.preference_key,
            preference_value=preference.preference_value,
            origin="stated",
            etag=etag_of(preference.version),
            created_at=preference.created_at,
            updated_at=preference.updated_at,
        )

    @classmethod
    def derived(cls, customer_id: UUID, key: str, names: Sequence[str]) -> Self:
        """What the orders of a customer show, in the form in which the customer would state it."""
        return cls(
            id=None,
            customer_id=customer_id,
            preference_type=PreferenceType.SHOPPING,
            preference_key=key,
            preference_value=list(names),
            origin="derived",
            etag=None,
            created_at=None,
            updated_at=None,
        )
