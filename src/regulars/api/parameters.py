"""Path and query parameters: known names, each once, in one plain form, readable."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from starlette.requests import Request

from regulars.api.strict_json import is_unreadable
from regulars.kit.validation import Code, FieldError, Place, messages, pointer_to, unreadable

# One spelling for each value: `+10`, ` 10`, `1e1`, `yes` and timestamps for days are what Pydantic would also take.
_plain_forms: Mapping[type, tuple[str, str]] = {
    bool: (r"true|false", "must be true or false"),
    int: (r"-?(0|[1-9]\d*)", "must be a whole number"),
    float: (r"-?(0|[1-9]\d*)(\.\d+)?", "must be a number"),
    Decimal: (r"-?(0|[1-9]\d*)(\.\d+)?", "must be a number"),
    date: (r"\d{4}-\d\d-\d\d", "must be a day such as 2026-01-31"),
}


@dataclass(frozen=True)
class QueryParameter:
    """A query parameter of an operation: its name, whether it may repeat, and the type of one value."""

    name: str
    repeats: bool
    leaf: type | None


def query_parameters(dependant: Dependant) -> dict[str, QueryParameter]:
    """The query parameters that an endpoint and its dependencies declare, by name."""
    return {parameter.name: parameter for parameter in _declared(dependant)}


def parameter_faults(request: Request, known: Mapping[str, QueryParameter]) -> list[FieldError]:
    """What is wrong with path and query before any value is converted."""
    pairs = _query_pairs(request)
    faults = [
        _fault("path", name, "characters", unreadable)
        for name, value in request.path_params.items()
        if is_unreadable(str(value))
    ]
    for name, count in Counter(name for name, _ in pairs).items():
        if is_unreadable(name):
            faults.append(_fault("query", name, "characters", unreadable))
        elif name not in known:
            faults.append(_fault("query", name, "unknown", messages["unknown"]))
        elif count > 1 and not known[name].repeats:
            faults.append(_fault("query", name, "repeated", messages["repeated"]))
    faults.extend(fault for name, value in pairs if name in known for fault in _value_faults(known[name], value))
    return faults


def _query_pairs(request: Request) -> Sequence[tuple[str, str]]:
    query: bytes = request.scope["query_string"]
    return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="surrogatepass")


def _value_faults(parameter: QueryParameter, value: str) -> Iterator[FieldError]:
    if is_unreadable(value):
        yield _fault("query", parameter.name, "characters", unreadable)
    elif parameter.leaf is not None and parameter.leaf in _plain_forms:
        pattern, message = _plain_forms[parameter.leaf]
        if not re.fullmatch(pattern, value, re.ASCII):
            yield _fault("query", parameter.name, "format", message)


def _fault(place: Place, name: str, code: Code, message: str) -> FieldError:
    return FieldError(place, pointer_to([name]), code, message)


def _declared(dependant: Dependant) -> Iterator[QueryParameter]:
    for field in dependant.query_params:
        annotation: Any = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, info in annotation.model_fields.items():
                yield _parameter(info.alias or name, info.annotation)
        else:
            yield _parameter(field.alias, annotation)
    for part in dependant.dependencies:
        yield from _declared(part)


def _parameter(name: str, annotation: Any) -> QueryParameter:  # noqa: ANN401 - any annotation
    annotation = _unwrapped(annotation)
    if get_origin(annotation) in {list, tuple, set, frozenset}:
        return QueryParameter(name, repeats=True, leaf=_type_of(get_args(annotation)[0]))
    return QueryParameter(name, repeats=False, leaf=_type_of(annotation))


def _type_of(annotation: Any) -> type | None:  # noqa: ANN401 - any annotation
    inner = _unwrapped(annotation)
    return inner if isinstance(inner, type) else None


def _unwrapped(annotation: Any) -> Any:  # noqa: ANN401 - any annotation
    """The annotation without metadata and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        others = [part for part in get_args(annotation) if part is not NoneType]
        return _unwrapped(others[0]) if len(others) == 1 else annotation
    return annotation
