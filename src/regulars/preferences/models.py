"""A preference as it is stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import JsonValue


class PreferenceType(StrEnum):
    """What a preference is about."""

    COMMUNICATION = "COMMUNICATION"
    SHOPPING = "SHOPPING"
    PAYMENT = "PAYMENT"
    DELIVERY = "DELIVERY"
    MARKETING = "MARKETING"


@dataclass(frozen=True)
class NewPreference:
    """A value that a customer's preference of a type and key is to have, whether or not there is one."""

    preference_type: PreferenceType
    preference_key: str
    preference_value: JsonValue


@dataclass(frozen=True)
class CustomerPreference:
    """What a customer said under a key.

    Attributes:
        version: Counts the values that it had.
    """

    id: UUID
    customer_id: UUID
    preference_type: PreferenceType
    preference_key: str
    preference_value: JsonValue
    version: int
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "preference_type", PreferenceType(self.preference_type))
