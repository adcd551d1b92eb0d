"""JSON as RFC 8259 means it, and no more: what two parsers could read in two ways is refused."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from regulars.api.errors import MalformedJson

deepest_nesting = 32
longest_number = 4300

# A string, also one that never ends, or a bracket. Strings are matched so that brackets inside them do not count.
_token = re.compile(rb'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_unreadable = re.compile(r"[\x00\ud800-\udfff]")


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text.

    Raises:
        MalformedJson: not UTF-8, a byte order mark, bad syntax, a repeated key, NaN or Infinity, a number too long or
            too large, nesting too deep, nothing at all. `offset` is where, if that is known.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(offset=error.start) from error
    if not text.strip(" \t\n\r"):
        raise MalformedJson(offset=0)
    _check_nesting(body)
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(offset=error.pos) from error


def unreadable_places(value: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401 - any JSON value
    """Where in a parsed value a text or a key holds a NUL or half of a surrogate pair. No recursion."""
    pending: list[tuple[tuple[object, ...], Any]] = [((), value)]
    while pending:
        place, part = pending.pop()
        if isinstance(part, str):
            if is_unreadable(part):
                yield place
        elif isinstance(part, dict):
            yield from ((*place, key) for key in part if is_unreadable(key))
            pending.extend(((*place, key), item) for key, item in part.items())
        elif isinstance(part, list):
            pending.extend(((*place, index), item) for index, item in enumerate(part))


def is_unreadable(text: str) -> bool:
    """Whether a text holds a NUL or half of a surrogate pair."""
    return _unreadable.search(text) is not None


def _check_nesting(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= deepest_nesting:
        return
    depth = 0
    for token in _token.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > deepest_nesting:
                raise MalformedJson(offset=token.start())
        elif first in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJson
    return members


def _integer(digits: str) -> int:
    if len(digits) > longest_number:
        raise MalformedJson
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if len(digits) > longest_number or math.isinf(number):
        raise MalformedJson
    return number


def _refuse_constant(_: str) -> NoReturn:
    raise MalformedJson


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
)
