"""The values of a Parquet column as the texts of a CSV file, and which kinds of column a field takes."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

from regulars.flows.importing.rows import UnusableFile, money_fields
from regulars.kit.lazy import load

Kind: TypeAlias = Literal["text", "flag", "number", "time", "bytes", "uuid", "list", "nothing", "other"]
_uuid_bytes = 16
_day_fields = frozenset(["date_of_birth", "expires_on"])
_instant_fields = frozenset(["ordered_at", "created_at"])
_number_fields = frozenset([*money_fields, "points"])
_id_fields = frozenset(["order_id", "customer_id", "sku", "referrer"])


class ColumnText:
    """Turns a column, piece by piece, into texts; an empty text is no value.

    Args:
        field: What the column holds.
        name: Of the column.
        kind: Its type in Arrow.
        is_nested: Whether the field is a list or an object, which may come as such or as JSON text.

    Raises:
        UnusableFile: values of such a type mean nothing for the field.
    """

    def __init__(self, field: str, name: str, kind: Any, *, is_nested: bool) -> None:  # noqa: ANN401 - untyped
        self.name = name
        self._field = field
        self._arrow = load("pyarrow", extra="parquet")
        self._kind = _kind_of(kind, self._arrow.types)
        self._holds_uuids: bool | None = None
        taken, words = _taken_by(field, is_nested=is_nested)
        if self._kind not in {"text", "bytes", "nothing", *taken}:
            raise UnusableFile(
                f"The column {name} is of the type {kind}, which means nothing for {field}.",
                f"Write the file again with {words} in that column.",
            )

    def texts(self, column: Any) -> Sequence[str]:  # noqa: ANN401 - untyped
        """The texts of a piece of the column.

        Raises:
            UnusableFile: bytes that are neither text nor UUIDs.
        """
        if self._arrow.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        return self._by_kind[self._kind](self, column)

    def _plain(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        texts: list[str] = column.cast(self._arrow.string()).fill_null("").to_pylist()
        return texts

    def _numbers(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        """Without exponents and needless zeros: a column of money may have more decimals than the currency."""
        if self._arrow.types.is_integer(column.type):
            return self._plain(column)
        return [number_text(text) for text in self._plain(column)]

    def _times(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        """Instants, or days; midnight is the day for fields that are days, as programs without days write them."""
        texts = self._plain(column)
        if self._field not in _day_fields:
            return texts
        return [_midnight.sub("", text) for text in texts]

    def _bytes(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        """Text that is not marked as such, or UUIDs: the first values say which."""
        values: list[bytes | None] = column.to_pylist()
        given = [value for value in values if value is not None]
        if self._holds_uuids is None and given:
            self._holds_uuids = all(len(value) == _uuid_bytes for value in given) and not all(map(_is_utf8, given))
        try:
            return ["" if value is None else self._byte_text(value) for value in values]
        except ValueError as error:
            raise UnusableFile(
                f"The column {self.name} holds bytes that are neither text in UTF-8 nor UUIDs.",
                "Write the file again with text in that column.",
            ) from error

    def _byte_text(self, value: bytes) -> str:
        return str(UUID(bytes=value)) if self._holds_uuids else value.decode()

    def _uuids(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        return ["" if value is None else str(value) for value in column.to_pylist()]

    def _lists(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        is_map = self._arrow.types.is_map(column.type)
        values = (dict(value) if is_map and value is not None else value for value in column.to_pylist())
        try:
            return ["" if value is None else json.dumps(_in_json(value)) for value in values]
        except ValueError as error:
            raise UnusableFile(
                f"The column {self.name} holds values that mean nothing in {self._field}.",
                "Write the file again with texts, numbers and lists in that column.",
            ) from error

    def _none(self, column: Any) -> Sequence[str]:  # noqa: ANN401
        return [""] * len(column)

    _by_kind: Mapping[Kind, Callable[["ColumnText", Any], Sequence[str]]] = {
        "text": _plain,
        "flag": _plain,
        "number": _numbers,
        "time": _times,
        "bytes": _bytes,
        "uuid": _uuids,
        "list": _lists,
        "nothing": _none,
    }


_midnight = re.compile(r" 00:00:00(\.0+)?(Z|[+-]\d{4})?$")


def number_text(text: str) -> str:
    """A number as people write it: `19.9` for `19.900000000`, `0` for `0E-9`; what is no number has no text."""
    if text in {"", "nan"}:
        return ""
    if "e" in text or "E" in text:
        text = f"{Decimal(text):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _taken_by(field: str, *, is_nested: bool) -> tuple[frozenset[Kind], str]:
    """The kinds of column that a field takes besides text, and what to call them all."""
    if is_nested:
        return frozenset(["list"]), "a list, or JSON as text,"
    if field in _number_fields:
        return frozenset(["number"]), "numbers"
    if field in _day_fields or field in _instant_fields:
        return frozenset(["time"]), "days or instants"
    if field in _id_fields:
        return frozenset(["number", "time", "uuid"]), "text, whole numbers or UUIDs"
    return frozenset(["number", "flag", "uuid"]), "text"


def _kind_of(kind: Any, types: Any) -> Kind:  # noqa: ANN401 - untyped
    if types.is_dictionary(kind):
        return _kind_of(kind.value_type, types)
    if (extension := getattr(kind, "extension_name", None)) is not None:
        return "uuid" if extension == "arrow.uuid" else _kind_of(kind.storage_type, types)
    found: Kind
    for found, names in _types.items():
        if any(getattr(types, f"is_{name}")(kind) for name in names):
            return found
    return "other"


_types: Mapping[Kind, Sequence[str]] = {
    "nothing": ["null"],
    "text": ["string", "large_string", "string_view"],
    "flag": ["boolean"],
    "number": ["integer", "floating", "decimal"],
    "time": ["date", "timestamp"],
    "bytes": ["binary", "large_binary", "binary_view", "fixed_size_binary"],
    "list": ["nested"],
}


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _in_json(value: Any) -> Any:  # noqa: ANN401 - any value of Arrow
    """A value as JSON has it; numbers as texts, so that they stay exact.

    Raises:
        ValueError: JSON has nothing like it.
    """
    if isinstance(value, dict):
        return {str(key): _in_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_in_json(part) for part in value]
    if isinstance(value, Decimal | float):
        return number_text(str(value))
    if isinstance(value, bytes):
        return str(UUID(bytes=value)) if len(value) == _uuid_bytes and not _is_utf8(value) else value.decode()
    if isinstance(value, UUID | date | datetime):
        return str(value)
    if value is None or isinstance(value, str | int):
        return value
    raise ValueError(type(value).__name__)
