"""An example for every schema, read off the schema itself, so that none can grow old."""

from collections.abc import Mapping
from typing import Any

_by_format: Mapping[str, str] = {
    "uuid": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "password": "correct horse battery",
    "email": "john@example.com",
}
_by_name: Mapping[str, str] = {
    "email": "john@example.com",
    "username": "john@example.com",
    "phone": "+919876543210",
    "first_name": "John",
    "last_name": "Doe",
    "city": "Mumbai",
    "next_cursor": "b3BhcXVl",
}
deepest = 6


def example_of(schema: Mapping[str, Any], components: Mapping[str, Any], *, name: str = "", depth: int = 0) -> Any:  # noqa: ANN401
    """A value that the schema accepts: its own example or default, or one made of its type."""
    schema = _resolved(schema, components)
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("example", "const", "default"):
        if schema.get(keyword) is not None:
            return schema[keyword]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return example_of(options[0], components, name=name, depth=depth)
    return _of_type(schema, components, name, depth)


def _of_type(schema: Mapping[str, Any], components: Mapping[str, Any], name: str, depth: int) -> Any:  # noqa: ANN401
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {}) if depth < deepest else {}
            return {key: example_of(part, components, name=key, depth=depth + 1) for key, part in properties.items()}
        case "array":
            item = schema.get("items", {})
            return [example_of(item, components, name=name, depth=depth + 1)] if depth < deepest else []
        case "string":
            return _by_format.get(schema.get("format", "")) or _by_name.get(name) or "text"
        case str(kind):
            return {"integer": max(1, schema.get("minimum", 1)), "number": 0.5, "boolean": False}.get(kind)
        case _:
            return None


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[-1]]
    return schema
