"""The contract: complete, with every scope and refusal, and with examples that are true."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from regulars.api.access import Requires
from regulars.api.openapi import openapi_document, other_tags, seed_tags
from regulars.api.routing import Route
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.schemas import Problem
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.conftest import RolledBackDatabase

Operation = dict[str, Any]


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return openapi_document(app)


@pytest.fixture
def operations(document: dict[str, Any]) -> dict[str, Operation]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


async def test_the_document_is_served_to_anyone(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    answer = await client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(document)))


async def test_the_document_can_be_kept_for_those_who_signed_in(
    settings: Settings, database: RolledBackDatabase, clock: Clock, as_role: AsRole
) -> None:
    closed = create_app(settings.model_copy(update={"openapi_public": False}), database=database, clock=clock)
    token = (await as_role("analyst")).headers["Authorization"].removeprefix("Bearer ")
    async with client_of(closed) as anonymous, client_of(closed, token) as analyst:
        assert (await anonymous.get("/api/v1/openapi.json")).status_code == 401
        assert (await analyst.get("/api/v1/openapi.json")).status_code == 200


async def test_tags_stand_in_their_order_and_the_seeds_group_holds_its_seven(document: dict[str, Any]) -> None:
    assert [tag["name"] for tag in document["tags"]] == [*seed_tags, *other_tags]
    assert document["x-tagGroups"][0] == {"name": "B2C CRM", "tags": list(seed_tags)}
    assert len(seed_tags) == 7


async def test_every_operation_is_named_and_described(operations: dict[str, Operation]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name
        assert operation["tags"][0] in {*seed_tags, *other_tags}, name


async def test_every_operation_says_which_scope_it_needs(app: FastAPI, operations: dict[str, Operation]) -> None:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not (isinstance(route, Route) and route.include_in_schema):
            continue
        for method in context.methods or ():
            operation = operations[f"{method} {context.path_format}"]
            named = {scope for needed in operation["security"] for scope in needed["oauth2"]}
            policy = route.policy
            expected = {*policy.scopes, *(["self"] if policy.own else [])} if isinstance(policy, Requires) else set()
            assert named == expected
            assert not isinstance(policy, Requires) or {"401", "403"} <= operation["responses"].keys()


async def test_every_operation_documents_every_way_to_fail(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        statuses = operation["responses"].keys()
        places = {parameter["in"] for parameter in operation.get("parameters", [])}
        assert {"400", "406", "429", "431", "500", "503", "504"} <= statuses, name
        assert "path" not in places or "404" in statuses, name
        assert "query" not in places or "422" in statuses, name
        assert "requestBody" not in operation or {"408", "413", "415", "422"} <= statuses, name


def refusals(operation: Operation) -> dict[str, dict[str, Any]]:
    return {
        slug: example["value"]
        for response in operation["responses"].values()
        for slug, example in response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
    }


async def test_what_an_operation_says_of_its_job_stands_beside_what_holds_for_all(
    operations: dict[str, Operation],
) -> None:
    base = "POST /api/v1/retail-customers"
    for name, words in (
        ("{customer_id}/export", "a zip of JSON and CSV"),
        ("bulk/tags", "because it is about so many"),
    ):
        promise = operations[f"{base}/{name}"]["responses"]["202"]
        assert words in promise["description"]
        assert promise["headers"].keys() == {"Location", "Preference-Applied"}
        assert promise["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/JobResponse"}


async def test_every_refusal_is_a_problem_with_an_example(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        for slug, problem in refusals(operation).items():
            assert Problem.model_validate(problem).type == f"/problems/{slug}", name
            assert str(problem["status"]) in operation["responses"], name
            assert problem["title"].endswith("."), name


async def test_domain_refusals_are_named(operations: dict[str, Operation]) -> None:
    assert {"invalid-credentials", "too-many-attempts", "unsupported-grant-type"} <= refusals(
        operations["POST /api/v1/auth/token"]
    ).keys()


async def test_every_body_has_an_example_that_its_schema_takes(app: FastAPI, operations: dict[str, Operation]) -> None:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Route) and route.include_in_schema and route.body_field:
            for method in context.methods or ():
                (media,) = operations[f"{method} {context.path_format}"]["requestBody"]["content"].values()
                assert route.body_field.validate(media["example"])[1] == [], context.path_format


async def test_every_answer_has_an_example(operations: dict[str, Operation]) -> None:
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            for media_type, media in response.get("content", {}).items():
                if media_type == "application/json":
                    assert "example" in media or "examples" in media, (name, status)


def untyped(schema: Any, place: str) -> list[str]:
    """Properties without a type, in a schema and all schemas inside it."""
    known = {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}
    found = []
    for name, part in schema.get("properties", {}).items():
        found += [] if known & part.keys() else [f"{place}.{name}"]
        found += untyped(part, f"{place}.{name}")
    return found


async def test_no_property_is_without_a_type(document: dict[str, Any]) -> None:
    assert [
        name for place, schema in document["components"]["schemas"].items() for name in untyped(schema, place)
    ] == []


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= document["components"]["schemas"].keys()
    assert "HTTPValidationError" not in text
