"""The bounds of every value that the document allows, and what lies just beyond them."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_days = ("0001-01-01", "1899-12-31", "1900-01-01", "2024-02-29", "2999-12-31", "3000-01-01", "9999-12-30", "9999-12-31")
_instants = (
    *(f"0001-01-01T00:00:00{offset}" for offset in ("Z", "+14:00", "-14:00", "+23:59", "-23:59")),
    *("1899-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "1900-01-01T00:00:00+14:00", "1900-01-01T00:00:00-14:00"),
    *("2016-12-31T23:59:60Z", "2999-12-31T23:59:59.999999Z", "3000-01-01T00:00:00Z"),
    *(f"9999-12-31T23:59:59.999999{offset}" for offset in ("Z", "+14:00", "-14:00", "+23:59", "-23:59")),
)
_integers = (0, -1, 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**19, 10**30)
_floats = (0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, 1e-300, 1.7976931348623157e308, 0.1)
_amounts = (
    *("0", "0.00", "0.01", "-0.01", "-1", "0.005", "1e3", "1e999999999", "1E-999999999", "NaN", "Infinity"),
    *(
        "9999.9999",
        "99999.9999",
        "100000",
        "99999999.9999",
        "999999.999999",
        "999999999999.999999",
        "99999999",
        "0.001",
    ),
    *("999999999999.99", "999999999999.999", "1000000000000", "1000000000000.00", "99999999999999.99"),
    *("99999999999999.999", "100000000000000", "9" * 40, "-99999999999999.99", "0." + "0" * 30 + "1"),
)
_values = (
    *(
        None,
        True,
        "",
        "x" * 4094,
        "x" * 4095,
        "\u20ac" * 1365,
        [1e308] * 13,
        [1e308] * 14,
        [5e-324] * 12,
        [5e-324] * 13,
    ),
    *([1] * 1300, [1] * 2048, {"k": 1e308}, 10**400, -(10**400), 1e-320, {"k" * 4000: 0}, [[]] * 1300, -0.0),
)


def bounds_of(schema: Schema, schemas: Schema) -> Iterator[Any]:
    """Values of a schema: smallest, largest, just beyond, and far beyond."""
    schema = resolved(schema, schemas)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from bounds_of(choice, schemas)
    kinds = schema.get("type", ())
    for kind in [kinds] if isinstance(kinds, str) else kinds if len(kinds) < 5 else ["anything"]:
        yield from _bounds(kind, schema, schemas)
    if not schema.keys() - {"title", "description", "default"}:
        yield from _values


def _bounds(kind: str, schema: Schema, schemas: Schema) -> Iterator[Any]:
    if kind == "anything":
        yield from _values
    elif kind == "object" and "properties" not in schema:
        yield from ({"k": value} for value in _values)
    elif kind == "integer":
        yield from {*_integers, *_limits(schema, 1)}
    elif kind == "number":
        yield from {*_floats, *_limits(schema, 1e-9)}
    elif kind == "string":
        yield from _texts(schema)
    elif kind == "array":
        yield from _lists(schema, schemas)


def _limits(schema: Schema, step: float) -> Iterator[Any]:
    for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        if name in schema:
            yield from (schema[name] - step, schema[name], schema[name] + step)


def _texts(schema: Schema) -> Iterator[str]:
    if "enum" in schema or "const" in schema:
        yield from schema.get("enum", [schema.get("const")])
    elif schema.get("format") == "date":
        yield from _days
    elif schema.get("format") == "date-time":
        yield from _instants
    elif "[0-9]" in schema.get("pattern", ""):
        yield from _amounts
    else:
        longest = schema.get("maxLength", 500)
        yield from ("", "x", "x" * longest, "x" * (longest + 1), "\U0001f600" * longest)


def _lists(schema: Schema, schemas: Schema) -> Iterator[list[Any]]:
    item, longest = schema.get("items", {}), schema.get("maxItems", 50)
    values = list(bounds_of(item, schemas))
    yield []
    yield from ([value] for value in values)
    if values:
        yield from (values[:1] * longest, values[:1] * (longest + 1))


def resolved(schema: Schema, schemas: Schema) -> Schema:
    """The schema that a reference names."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema


def places_of(schema: Schema, schemas: Schema, value: Any) -> Iterator[tuple[tuple[Any, ...], Schema]]:
    """Where a body may have a value, as a path into it, with the schema of that value; lists have their first one."""
    schema = resolved(schema, schemas)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from places_of(choice, schemas, value)
    for name, part in schema.get("properties", {}).items():
        inner = value.get(name) if isinstance(value, dict) else None
        yield (name,), part
        yield from (((name, *place), found) for place, found in places_of(part, schemas, inner))
    if schema.get("type") == "array" and isinstance(value, list) and value:
        yield from (((0, *place), found) for place, found in places_of(schema["items"], schemas, value[0]))


def with_value(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of a body that has this value at a place; what is missing on the way there is left out."""
    if not place:
        return value
    first, *rest = place
    if isinstance(first, int):
        items = list(body) if isinstance(body, list) else [{}]
        return [with_value(items[0], tuple(rest), value), *items[1:]]
    members = body if isinstance(body, dict) else {}
    return {**members, first: with_value(members.get(first), tuple(rest), value)}
