"""The contract as a page: the OpenAPI document, read and laid out by ourselves.

No script runs in it and nothing is fetched from elsewhere: it opens inside a shop's network too, and needs no exception
from any content policy.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from regulars.api.problems import problem_type

Schema = Mapping[str, Any]

methods: Final = ("get", "post", "put", "delete")
_of_interest: Final = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "default")
_signs: Final = {"minimum": "≥", "maximum": "≤", "pattern": "matches", "default": "default"}


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a schema."""

    name: str
    place: str
    type: Markup
    required: bool
    description: str
    limits: str


@dataclass(frozen=True)
class Answer:
    """What an operation may answer with under one status."""

    status: str
    description: str
    content: Markup
    slugs: Sequence[str]
    example: str | None


@dataclass(frozen=True)
class Operation:
    """One thing that a caller can do."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scopes: Sequence[str]
    parameters: Sequence[Field]
    body: Markup | None
    body_example: str | None
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Group:
    """The operations under one tag."""

    name: str
    anchor: str
    operations: Sequence[Operation]


@dataclass(frozen=True)
class Described:
    """A schema by its name."""

    name: str
    description: str
    fields: Sequence[Field]
    words: Sequence[str]


def reference_page(document: Schema) -> str:
    """The whole page for an OpenAPI document."""
    tags = [(group["name"], group["tags"]) for group in document.get("x-tagGroups", [])]
    groups = {name: _group(document, name) for _, names in tags for name in names}
    return (
        _environment()
        .get_template("reference.html")
        .render(
            info=document["info"],
            parts=[(name, [groups[tag] for tag in names if groups[tag].operations]) for name, names in tags],
            schemas=[_described(name, schema) for name, schema in sorted(document["components"]["schemas"].items())],
            style=Markup(_style()),  # noqa: S704 - our own file
        )
    )


@cache
def content_policy() -> str:
    """What a browser may load and run for the page: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = _prose
    return environment


def _style() -> str:
    return _text("reference.css")


def _text(name: str) -> str:
    return (files("regulars.api") / "templates" / name).read_text(encoding="utf-8")


def _prose(text: str) -> Markup:
    """A docstring: paragraphs, and code between backticks."""
    paragraphs = [paragraph.replace("\n", " ") for paragraph in text.strip().split("\n\n")]
    return Markup("").join(
        Markup("<p>{}</p>").format(
            Markup("").join(
                Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
                for number, part in enumerate(paragraph.split("`"))
            )
        )
        for paragraph in paragraphs
        if paragraph
    )


def _group(document: Schema, tag: str) -> Group:
    found = [_operation(*place) for place in _operations(document) if tag in place[2].get("tags", ())]
    return Group(tag, _anchor(tag), found)


def _operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in document["paths"].items():
        for method in methods:
            if method in item:
                yield method, path, item[method]


def _operation(method: str, path: str, operation: Schema) -> Operation:
    body = operation.get("requestBody", {}).get("content", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        scopes=[scope for way in operation.get("security", []) for scopes in way.values() for scope in scopes],
        parameters=[_parameter(parameter) for parameter in operation.get("parameters", [])],
        body=_content(body) if body else None,
        body_example=_example(body),
        answers=[_answer(status, answer) for status, answer in operation["responses"].items()],
    )


def _parameter(parameter: Schema) -> Field:
    schema = parameter.get("schema", {})
    description = parameter.get("description") or schema.get("description", "")
    is_required = parameter.get("required", False)
    return Field(parameter["name"], parameter["in"], _type(schema), is_required, description, _limits(schema))


def _answer(status: str, answer: Schema) -> Answer:
    content = answer.get("content", {})
    problems = content.get(problem_type, {}).get("examples", {})
    own = {media_type: media for media_type, media in content.items() if media_type != problem_type}
    return Answer(status, answer.get("description", ""), _content(own), list(problems), _example(own))


def _content(content: Schema) -> Markup:
    """Media types with what they hold."""
    parts = [
        Markup("<code>{}</code> {}").format(media_type, _type(media.get("schema", {})))
        for media_type, media in content.items()
    ]
    return Markup(", ").join(parts)


def _example(content: Schema) -> str | None:
    for media_type, media in content.items():
        example = media.get("example")
        if example is not None:
            is_json = media_type.endswith("json")
            return json.dumps(example, indent=2, ensure_ascii=False) if is_json else str(example)
    return None


def _described(name: str, schema: Schema) -> Described:
    required = set(schema.get("required", ()))
    fields = [
        Field(key, "", _type(part), key in required, part.get("description", ""), _limits(part))
        for key, part in schema.get("properties", {}).items()
    ]
    return Described(name, schema.get("description", ""), fields, [str(value) for value in schema.get("enum", ())])


def _type(schema: Schema) -> Markup:
    """A type in words, with links to schemas that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if options:
        return Markup(" or ").join(_type(option) for option in options)
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(value) for value in schema["enum"])
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    if schema.get("type") == "array":
        return Markup("list of {}").format(_type(schema.get("items", {})))
    kind = schema.get("type", "any")
    return escape(f"{kind} ({schema['format']})" if "format" in schema else str(kind))


def _limits(schema: Schema) -> str:
    """The bounds of a value in words."""
    bounds = [schema, *schema.get("anyOf", ())]
    found = {key: bound[key] for bound in bounds for key in _of_interest if bound.get(key) not in (None, "", [])}
    return ", ".join(f"{_signs.get(key) or _spaced(key)} {value}" for key, value in found.items())


def _spaced(name: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: " " + letter[1].lower(), name)


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())
