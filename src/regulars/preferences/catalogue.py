"""The keys whose values we know: what they mean, and which values they take. Any other key takes any value.

docs/reference/preference-keys.md is this list for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from regulars.kit.schemas import RequestSchema, Tags, Text
from regulars.preferences.models import PreferenceType


class QuietHours(RequestSchema):
    """The part of a day in which nobody wants to be disturbed; it may go past midnight."""

    from_: str = Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    until: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")


@dataclass(frozen=True)
class WellKnownKey:
    """A key whose values we know.

    Attributes:
        meaning: What a value says.
        form: Which values it takes, in words.
        values: What checks them.
        example: One of them.
    """

    preference_type: PreferenceType
    key: str
    meaning: str
    form: str
    values: TypeAdapter[Any]
    example: JsonValue

    def checked(self, value: JsonValue) -> JsonValue:
        """The value in the form in which it is kept: texts trimmed.

        Raises:
            ValueError: it is not of the form; says which form, never what was sent.
        """
        try:
            accepted = self.values.validate_python(value, strict=True)
        except ValidationError:
            raise ValueError(f"must be {self.form}") from None
        kept: JsonValue = self.values.dump_python(accepted, mode="json", by_alias=True)
        return kept


def _choice(*words: str) -> tuple[str, TypeAdapter[Any]]:
    one_of = Annotated[str, Field(pattern=f"^({'|'.join(words)})$")]
    return "one of " + ", ".join(f"`{word}`" for word in words), TypeAdapter(one_of)


def _text(longest: int) -> tuple[str, TypeAdapter[Any]]:
    return f"a text of up to {longest} characters", TypeAdapter(Annotated[str, Text(longest)])


_words = (
    "a list of up to 50 texts of up to 50 characters",
    TypeAdapter[Any](Tags),
)
_flag = ("`true` or `false`", TypeAdapter[Any](bool))
_hours = ('`{"from": "HH:MM", "until": "HH:MM"}`, store time', TypeAdapter[Any](QuietHours))
_language = (
    "a language tag such as `de` or `pt-BR`",
    TypeAdapter[Any](Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]),
)


def _keys(
    preference_type: PreferenceType, *rows: tuple[str, str, tuple[str, TypeAdapter[Any]], JsonValue]
) -> list[WellKnownKey]:
    return [WellKnownKey(preference_type, key, meaning, *takes, example) for key, meaning, takes, example in rows]


_all = [
    *_keys(
        PreferenceType.COMMUNICATION,
        ("language", "The language of messages", _language, "de"),
        ("channel", "How the person is best reached", _choice("email", "sms", "push", "phone", "post"), "email"),
        ("frequency", "How often, at most", _choice("daily", "weekly", "monthly", "rarely"), "weekly"),
        ("quiet_hours", "When not to disturb", _hours, {"from": "21:00", "until": "08:00"}),
        ("salutation", "How the person wants to be addressed", _text(100), "Dr. Doe"),
    ),
    *_keys(
        PreferenceType.SHOPPING,
        ("categories", "Categories that the person likes", _words, ["shoes", "coats"]),
        ("brands", "Brands that the person likes", _words, ["Acme"]),
        ("styles", "Styles that the person likes", _words, ["casual"]),
        ("sizes", "Sizes that fit", _words, ["M", "42"]),
        ("colors", "Colours that the person likes", _words, ["navy"]),
        ("store", "The branch where the person likes to shop", _text(100), "Berlin Mitte"),
    ),
    *_keys(
        PreferenceType.PAYMENT,
        ("method", "How the person likes to pay, such as card, cash, invoice, transfer", _text(50), "invoice"),
        ("paper_receipt", "Whether a printed receipt is wanted", _flag, False),
    ),
    *_keys(
        PreferenceType.DELIVERY,
        ("method", "Where parcels go", _choice("home", "store", "locker", "neighbour"), "store"),
        ("time_of_day", "When parcels may come", _choice("morning", "afternoon", "evening"), "evening"),
        ("leave_at_door", "Whether a parcel may be left unattended", _flag, True),
        ("instructions", "What the carrier should know", _text(500), "Ring at the back."),
    ),
    *_keys(
        PreferenceType.MARKETING,
        ("topics", "What offers may be about", _words, ["sale", "new in"]),
        ("birthday_greeting", "Whether a birthday greeting is welcome", _flag, True),
        ("catalogue_by_post", "Whether a printed catalogue is wanted", _flag, False),
    ),
]

well_known: Mapping[tuple[PreferenceType, str], WellKnownKey] = {(key.preference_type, key.key): key for key in _all}


def checked_value(preference_type: PreferenceType, key: str, value: JsonValue) -> JsonValue:
    """The value as it is kept under a key.

    Raises:
        ValueError: the key is well known, and takes no such value.
    """
    known = well_known.get((preference_type, key))
    return known.checked(value) if known else value
