"""HTML forms as bodies: readable, and each field once."""

from collections import Counter
from urllib.parse import parse_qsl

from regulars.api.errors import MalformedRequest
from regulars.api.strict_json import is_unreadable
from regulars.kit.validation import FieldError, messages, pointer_to, unreadable


def form_faults(body: bytes) -> list[FieldError]:
    """What is wrong with a form before any value is converted.

    Raises:
        MalformedRequest: the form is not ASCII, as percent-encoding makes it.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="surrogateescape")
    except UnicodeDecodeError as error:
        raise MalformedRequest from error
    faults = [
        FieldError("body", pointer_to([name]), "characters", unreadable)
        for name, value in pairs
        if is_unreadable(name) or is_unreadable(value)
    ]
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    return faults + [FieldError("body", pointer_to([name]), "repeated", messages["repeated"]) for name in repeated]
