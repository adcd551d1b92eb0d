"""How a request's values are refused: each fault by place and code, never with the value that was sent."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from regulars.kit.errors import Unprocessable

Place = Literal["body", "query", "path", "header"]
Code = Literal["missing", "type", "range", "length", "format", "enum", "unknown", "repeated", "characters"]

messages: dict[Code, str] = {
    "missing": "is required",
    "type": "has the wrong type",
    "range": "is out of range",
    "length": "has the wrong length",
    "format": "has the wrong form",
    "enum": "is not one of the allowed values",
    "unknown": "is not known here",
    "repeated": "may be given only once",
    "characters": "contains characters that are not allowed",
}
most_errors = 20
"""How many faults a refusal lists; the rest is counted."""
unreadable = "contains a NUL or half of a surrogate pair"


@dataclass(frozen=True)
class FieldError:
    """One fault of a request.

    Attributes:
        place: Where it was found.
        pointer: JSON Pointer into the body, `/points`; for parameters the name, `/limit`.
        code: Stable word for programs.
        message: Fixed text for people; may name limits of ours.
    """

    place: Place
    pointer: str
    code: Code
    message: str

    def as_member(self) -> dict[str, str]:
        """The fault as a problem shows it."""
        return {"in": self.place, "pointer": self.pointer, "code": self.code, "message": self.message}


def _example(code: Code, message: str) -> dict[str, object]:
    return {"errors": [FieldError("body", "/field", code, message).as_member()]}


class Validation(Unprocessable):
    """A value has the wrong type, form or range."""

    example: ClassVar[dict[str, object]] = _example("range", "must be at least 1")

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> Self:
        """The refusal that lists these faults, and counts those that are too many to list."""
        found = [error.as_member() for error in errors]
        refusal = cls(errors=found[:most_errors])
        if len(found) > most_errors:
            refusal.facts["more_errors"] = len(found) - most_errors
        return refusal

    @classmethod
    def at(cls, pointer: str, code: Code, message: str | None = None, *, place: Place = "body") -> Self:
        """The refusal for one fault, for checks that only a service can make."""
        return cls.of([FieldError(place, pointer, code, message or messages[code])])

    def pointers(self) -> list[str]:
        """Where the faults are."""
        errors = self.facts["errors"]
        return [error["pointer"] for error in errors] if isinstance(errors, list) else []


class UnknownField(Validation):
    """The request has a field or parameter that this operation does not know."""

    example: ClassVar[dict[str, object]] = _example("unknown", messages["unknown"])


class InvalidCharacters(Validation):
    """A text contains a NUL or half of a surrogate pair."""

    example: ClassVar[dict[str, object]] = _example("characters", unreadable)


def refusal_of(errors: Sequence[FieldError]) -> Validation:
    """The refusal for faults that may mix: unreadable characters first, then unknown names, then values."""
    codes = {(error.code, error.message) for error in errors}
    if ("characters", unreadable) in codes:
        return InvalidCharacters.of(errors)
    if any(code == "unknown" for code, _ in codes):
        return UnknownField.of(errors)
    return Validation.of(errors)


def pointer_to(parts: Iterable[object]) -> str:
    """A JSON Pointer; a name that does not look like one of ours is shown as `?`."""
    return "".join(f"/{_shown(part)}" for part in parts)


def _shown(part: object) -> str:
    if isinstance(part, int):
        return str(part)
    return part if isinstance(part, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", part) else "?"
