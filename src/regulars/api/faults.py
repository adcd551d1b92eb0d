"""What Pydantic found wrong, in our words: its own messages may repeat what was sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from regulars.kit.validation import Code, FieldError, Place, messages, pointer_to

_codes: tuple[tuple[str, Code], ...] = (
    (r"missing", "missing"),
    (r"extra_forbidden", "unknown"),
    (r"range|greater_than|less_than|finite_number|multiple_of|decimal_max_digits|decimal_whole_digits", "range"),
    (r"too_long|too_short|string_too_long|string_too_short|bytes_too", "length"),
    (r"enum|literal_error", "enum"),
    (r".*_type|int_from_float|type|none_required", "type"),
    (r"string_unicode|characters", "characters"),
)
_bounds: Mapping[str, str] = {
    "ge": "must be at least {}",
    "gt": "must be more than {}",
    "le": "must be at most {}",
    "lt": "must be less than {}",
    "min_length": "must have at least {}",
    "max_length": "must have at most {}",
    "expected": "must be one of: {}",
}


def faults_of(errors: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's errors by place, pointer and code, without anything the caller sent."""
    faults = [fault for error in errors for fault in _faults(error)]
    return list({(fault.place, fault.pointer, fault.code): fault for fault in faults}.values())


def _faults(error: Mapping[str, Any]) -> list[FieldError]:
    """The fault of a field; of a rule that concerns several fields, one for each of them."""
    place, pointer = _place(error["loc"])
    code = _code(error["type"])
    pointers = [f"{pointer}/{field}" for field in error.get("ctx", {}).get("fields", ())] or [pointer]
    return [FieldError(place, each, code, _message(error, code)) for each in pointers]


def _place(location: Sequence[object]) -> tuple[Place, str]:
    first = location[0] if location else "body"
    places: dict[object, Place] = {"body": "body", "query": "query", "path": "path", "header": "header"}
    return places.get(first, "body"), pointer_to(location[1:])


@cache
def _code(kind: str) -> Code:
    return next((code for pattern, code in _codes if re.match(rf"(?:{pattern})", kind)), "format")


def _message(error: Mapping[str, Any], code: Code) -> str:
    context = error.get("ctx", {})
    if error["type"] in {"format", "type", "range", "missing"} and "expected" in context:
        return str(context["expected"])  # of our own parsers
    said = [text.format(context[name]) for name, text in _bounds.items() if name in context]
    if code in {"range", "length", "enum"} and said:
        return said[0]
    if error["type"] == "characters":
        return str(error["msg"])
    return messages[code]
