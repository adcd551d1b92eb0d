"""However long and odd what somebody sends: it costs no more work than its length."""

import json
from collections.abc import Iterator
from time import process_time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

from regulars.app import create_app
from regulars.kit.schemas import QuerySchema, RequestSchema
from regulars.kit.validation import most_errors
from tests.api.conftest import AsRole, client_of
from tests.api.probes import json_header, slug, with_probes

most_seconds = 0.5
"""Of CPU. What grows with the square of the length takes many times as long."""

hostile_texts = {
    "marks": "a" + "\u0301\u0316" * 30_000,
    "many letters with marks": ("a" + "\u0316\u0301" * 15) * 2_000,
    "jamo": "\u1112\u1161\u11ab" * 20_000,
    "blanks": " " * 60_000 + "a" + "\u3000" * 60_000,
    "digits": "9" * 60_000,
    "signs of a phone": "+1" + "-(" * 30_000,
    "labels": "a@" + "\u00e9." * 30_000 + "de",
    "quotes": '"' * 60_000,
    "a number": "CUST-20260101-" + "1" * 60_000,
    "fractions": "1." + "0" * 60_000,
    "escapes": "\\" * 60_000,
}


def schemas_below(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for schema in base.__subclasses__():
        if schema.__module__.startswith("regulars."):
            yield schema
        yield from schemas_below(schema)


def seconds_of(schema: type[BaseModel], value: Any) -> float:
    started = process_time()
    try:
        schema.model_validate(value)
    except ValidationError as error:
        error.errors(include_url=False)
    return process_time() - started


@pytest.mark.parametrize("kind", hostile_texts)
def test_no_field_of_any_schema_works_on_what_is_too_long(kind: str) -> None:
    assert create_app  # whose routes have loaded every schema
    text = hostile_texts[kind]
    schemas = {*schemas_below(RequestSchema), *schemas_below(QuerySchema)}
    assert len(schemas) > 30
    slow = {}
    for schema in schemas:
        for name, field in schema.model_fields.items():
            for value in (text, [text], {"key": text}, {text: 1}):
                seconds = seconds_of(schema, {field.alias or name: value})
                if seconds > most_seconds:
                    slow[f"{schema.__name__}.{name}"] = seconds
    assert slow == {}


@pytest.mark.parametrize("kind", hostile_texts)
async def test_a_whole_request_with_a_long_text_is_refused_soon(app: FastAPI, kind: str) -> None:
    async with client_of(with_probes(app)) as client:
        body = json.dumps({"name": hostile_texts[kind] * 4}, ensure_ascii=False).encode()
        started = process_time()
        answer = await client.post("/api/v1/parcels", content=body[: 1 << 20], headers=json_header)
        assert process_time() - started < most_seconds * 2
    assert answer.status_code in {200, 400, 422}


@pytest.mark.parametrize(
    "header",
    ["accept", "authorization", "content-type", "if-match", "idempotency-key", "prefer", "x-forwarded-for", "host"],
)
@pytest.mark.parametrize("piece", [b",", b";", b'"', b" ", b'"a",', b"1.1.1.1,", b"respond-async;,", b"a/b;q=0,", b"."])
async def test_no_header_costs_more_than_its_length(staff: httpx.AsyncClient, header: str, piece: bytes) -> None:
    value = (piece * 8000)[:8000]
    started = process_time()
    await staff.get("/api/v1/retail-customers/segments", headers=[(header.encode(), value)])
    assert process_time() - started < most_seconds


async def test_a_flood_of_faults_is_counted_not_listed(as_role: AsRole) -> None:
    till, fields = (
        await as_role("service", scopes=frozenset({"orders:write"})),
        {f"field_{number}": 1 for number in range(50_000)},
    )
    started = process_time()
    answer = await till.post("/api/v1/orders", json=fields)
    assert process_time() - started < most_seconds * 8
    problem = answer.json()
    assert (answer.status_code, slug(answer)) == (422, "unknown-field")
    assert len(problem["errors"]) == most_errors == 20
    assert problem["more_errors"] >= 50_000 - most_errors
    assert len(answer.content) < 8_000


async def test_few_faults_are_all_listed(as_role: AsRole) -> None:
    till = await as_role("service", scopes=frozenset({"orders:write"}))
    answer = await till.post("/api/v1/orders", json={f"field_{number}": 1 for number in range(3)})
    assert "more_errors" not in answer.json()


async def test_unreadable_texts_are_counted_too(as_role: AsRole) -> None:
    till = await as_role("service", scopes=frozenset({"orders:write"}))
    body = b"[" + b",".join([rb'"\u0000"'] * 5_000) + b"]"
    answer = await till.post("/api/v1/orders", content=body, headers=json_header)
    assert (slug(answer), len(answer.json()["errors"])) == ("invalid-characters", 20)
    assert answer.json()["more_errors"] >= 4_980
