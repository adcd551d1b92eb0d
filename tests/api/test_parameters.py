"""Path and query parameters."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from tests.api.conftest import client_of
from tests.api.probes import codes, slug, with_probes


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(with_probes(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "range"), ("limit=-1", "range"), ("limit=101", "range"), ("limit=+10", "format"),
        ("limit=%2010", "format"), ("limit=1e1", "format"), ("limit=1_0", "format"), ("limit=10.0", "format"),
        ("limit=010", "format"), ("limit=", "format"), ("limit=100000000000000000000", "range"), ("offset=-1", "range"),
        ("offset=9223372036854775808", "range"),
        ("is_open=yes", "format"), ("is_open=1", "format"), ("is_open=True", "format"),
        ("since=1700000000", "format"), ("since=2026-02-30", "format"), ("since=2026-01-31T00:00:00", "format"),
        ("until=1700000000", "format"), ("until=2026-02-30", "format"),
        ("limit=10&limit=20", "repeated"), ("q=a", "length"), ("q=ab&q=cd", "repeated"),
    ],
)  # fmt: skip
async def test_parameters_have_one_plain_form(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"/api/v1/parcels?{query}")
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert codes(answer) == {"query/" + query.split("=", maxsplit=1)[0]: code}


async def test_parameters_arrive(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/parcels?limit=10&is_open=false&since=2026-01-31&tags=a&tags=b&q=%25%25")
    assert answer.json() == {
        "limit": 10, "offset": 0, "is_open": False, "since": "2026-01-31", "until": None, "tags": ["a", "b"], "q": "%%",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/livez", "/api/v1/parcels", f"/api/v1/parcels/{UUID(int=7)}"])
async def test_unknown_parameters_are_refused_everywhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path + "?colour=red&limit=ten")
    assert (answer.status_code, slug(answer)) == (422, "unknown-field")
    assert codes(answer)["query/colour"] == "unknown"


@pytest.mark.parametrize("query", ["q=ab%00", "q=%ED%A0%80", "a%00=1", "tags=x&tags=%00"])
async def test_a_nul_or_half_a_surrogate_in_the_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/api/v1/parcels?{query}")
    assert (answer.status_code, slug(answer)) == (422, "invalid-characters")


async def test_a_nul_in_the_path_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/parcels/a%00")
    assert (answer.status_code, slug(answer), codes(answer)) == (
        422,
        "invalid-characters",
        {"path/parcel_id": "characters"},
    )


@pytest.mark.parametrize(
    "text", ["abc", "{0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77}", "urn:uuid:0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "0" * 32]
)
async def test_ids_have_one_form(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.get(f"/api/v1/parcels/{text}")
    assert (answer.status_code, slug(answer), codes(answer)) == (422, "validation", {"path/parcel_id": "format"})


async def test_ids_come_in_any_case_and_leave_in_lower_case(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/parcels/0199C1DE-7A10-7C3E-9D55-0C5B4F1E2A77")
    assert answer.json() == {"id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}
