"""The OpenAPI document: what the routes declare, with their scopes and every refusal they may answer with."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from regulars.accounts.errors import InvalidToken, SessionRevoked, Unauthenticated
from regulars.accounts.roles import all_scopes
from regulars.api import errors
from regulars.api.access import Requires
from regulars.api.examples import example_of
from regulars.api.problems import problem_type
from regulars.api.routing import Route, form_type, json_type
from regulars.kit.database import DatabaseUnavailable, Overloaded
from regulars.kit.deadline import Timeout
from regulars.kit.errors import Internal, NotFound, PreconditionFailed, Refusal, problem_of
from regulars.kit.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from regulars.kit.ratelimit import RateLimited
from regulars.kit.schemas import Problem
from regulars.kit.security import InsufficientScope
from regulars.kit.validation import InvalidCharacters, UnknownField, Validation

seed_tags: Final = (
    "Customer Management",
    "Loyalty Program",
    "Customer Preferences",
    "RFM Analysis",
    "CLV Calculation",
    "Bulk Operations",
    "Analytics",
)
other_tags: Final = ("Auth", "Orders", "Privacy", "Jobs", "Operations")
example_trace_id: Final = "0199c1de7a107c3e9d550c5b4f1e2a77"

Refusals = Iterable[type[Refusal]]
Operation = dict[str, Any]

_always: Refusals = (
    errors.MalformedRequest,
    errors.BadHost,
    errors.NotAcceptable,
    RateLimited,
    errors.HeadersTooLarge,
    Internal,
    Overloaded,
    DatabaseUnavailable,
    Timeout,
)
_with_token: Refusals = (Unauthenticated, InvalidToken, SessionRevoked, InsufficientScope)
_with_body: Refusals = (
    errors.RequestTimeout,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.UnsupportedEncoding,
    Validation,
    UnknownField,
    InvalidCharacters,
)
_with_query: Refusals = (errors.UriTooLong, Validation, UnknownField, InvalidCharacters)
_with_key: Refusals = (errors.IdempotencyKeyInvalid, IdempotencyKeyReused, IdempotencyInProgress)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document, built once for an application."""
    if app.openapi_schema is None:
        app.openapi_schema = _build(app)
    return app.openapi_schema


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="regulars",
        version=app.version,
        summary="Customers, points and lifetime value for retailers.",
        routes=app.routes,
        tags=[{"name": tag} for tag in (*seed_tags, *other_tags)],
        separate_input_output_schemas=True,
    )
    document["x-tagGroups"] = [
        {"name": "B2C CRM", "tags": list(seed_tags)},
        {"name": "Platform", "tags": list(other_tags)},
    ]
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _add_problem(schemas)
    components["securitySchemes"] = {"oauth2": _security_scheme()}
    for route, operation in _operations(app, document["paths"]):
        operation["security"] = _security(route)
        _document_jobs(operation)
        _document_refusals(operation, refusals_of(route, operation, schemas))
        _add_examples(operation, schemas)
    return document


def refusals_of(route: Route, operation: Operation, schemas: Mapping[str, Any]) -> list[type[Refusal]]:
    """Everything an operation may refuse with: by what it takes, and by what it says itself."""
    parameters = operation.get("parameters", [])
    found: list[type[Refusal]] = [*_always]
    if isinstance(route.policy, Requires):
        found += _with_token
    if any(parameter["in"] == "path" for parameter in parameters) or _names_customer(operation, schemas):
        found += [NotFound, Validation]
    if route.consumes:
        found += _with_body
        found += [errors.MalformedJson] if route.consumes == (json_type,) else []
    if any(parameter["in"] == "query" for parameter in parameters):
        found += _with_query
    headers = {parameter["name"].lower() for parameter in parameters if parameter["in"] == "header"}
    if "idempotency-key" in headers:
        found += _with_key
    if "if-match" in headers:
        found.append(PreconditionFailed)
    return list(dict.fromkeys([*found, *route.traits.refusals]))


def _operations(app: FastAPI, paths: Mapping[str, Any]) -> Iterator[tuple[Route, Operation]]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Route) and route.include_in_schema:
            for method in context.methods or ():
                yield route, paths[context.path_format or ""][method.lower()]


def _add_problem(schemas: dict[str, Any]) -> None:
    problem = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)


def _security_scheme() -> dict[str, Any]:
    scopes = dict.fromkeys(sorted(all_scopes), "")
    token = {"tokenUrl": "/api/v1/auth/token", "scopes": scopes}
    return {
        "type": "oauth2",
        "description": "Send the access token as `Authorization: Bearer <token>`.",
        "flows": {"password": {**token, "refreshUrl": "/api/v1/auth/refresh"}, "clientCredentials": token},
    }


def _security(route: Route) -> list[dict[str, list[str]]]:
    policy = route.policy
    if not isinstance(policy, Requires):
        return []
    scopes = [*policy.scopes, "self"] if policy.own else policy.scopes
    return [{"oauth2": [scope]} for scope in dict.fromkeys(scopes)]


def _names_customer(operation: Operation, schemas: Mapping[str, Any]) -> bool:
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [schemas.get(media["schema"].get("$ref", "").rsplit("/", 1)[-1], {}) for media in content.values()]
    return any({"customer_id", "customer_ids"} & body.get("properties", {}).keys() for body in bodies)


def _document_jobs(operation: Operation) -> None:
    """Say what an operation answers that may become a job, if its route does not say it in words of its own."""
    if not any(parameter["name"].lower() == "prefer" for parameter in operation.get("parameters", [])):
        return
    responses = operation["responses"]
    responses["202"] = {
        "description": "It is done as a job, because the caller asked for that or because it is about so many.",
        "headers": {
            "Location": {"description": "Where the job is followed.", "schema": {"type": "string"}},
            "Preference-Applied": {"schema": {"type": "string", "const": "respond-async"}},
        },
        "content": {json_type: {"schema": {"$ref": "#/components/schemas/JobResponse"}}},
        **responses.get("202", {}),
    }


def _document_refusals(operation: Operation, refusals: Refusals) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's own
    by_status: dict[int, list[type[Refusal]]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    for status, kinds in sorted(by_status.items()):
        examples = {kind.slug(): {"value": problem_of(_example(kind), example_trace_id)} for kind in kinds}
        response = responses.setdefault(str(status), {"description": " ".join(kind.title() for kind in kinds)})
        response.setdefault("content", {})[problem_type] = {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": examples,
        }


def _example(kind: type[Refusal]) -> Refusal:
    refusal = kind()
    refusal.facts = dict(kind.example)
    return refusal


def _add_examples(operation: Operation, schemas: Mapping[str, Any]) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (body.get("content", {}) for body in bodies):
        for media_type in (json_type, form_type):
            media = content.get(media_type, {})
            if "schema" in media and "example" not in media and "examples" not in media:
                media["example"] = example_of(media["schema"], schemas)
