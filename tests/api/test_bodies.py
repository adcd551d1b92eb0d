"""Bodies: how they come in, as what they are read, and how faults are told."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from regulars.api.bodies import within_limits
from regulars.api.limits import Limits
from regulars.app import create_app
from regulars.kit.clock import Clock
from regulars.kit.settings import Settings
from tests.api.conftest import AsRole, client_of
from tests.api.probes import codes, json_header, slug, with_probes
from tests.conftest import RolledBackDatabase


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(with_probes(app)) as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [
        b'{"points":', b'{"name":"\xff\xfe"}', '{"points":1}'.encode("utf-16"), b'\xef\xbb\xbf{"points":1}', b"", b"  ",
        b'{"points":1,"points":1}', b'{"anything":{"a":1,"a":2}}', b'{"points":NaN}', b'{"points":Infinity}',
        b'{"points":-Infinity}', b'{"points":1e999}', b'{"points":%s}' % (b"9" * 5000),
        b'{"anything":1.%s}' % (b"0" * 5000),
        b"[" * 100_000, b'{"anything":' * 10_000, b'{"anything":%s1%s}' % (b"[" * 32, b"]" * 32), b'{"points":1}x',
        b"'a'", b'{"a":"\x00"}', b'"\\',
    ],
)  # fmt: skip
async def test_what_is_not_one_valid_json_text_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/parcels", content=body, headers=json_header)
    assert (answer.status_code, slug(answer)) == (400, "malformed-json")


async def test_nesting_of_32_is_taken_and_brackets_in_strings_do_not_nest(client: httpx.AsyncClient) -> None:
    nested = b'{"anything":%s1%s}' % (b"[" * 31, b"]" * 31)
    assert (await client.post("/api/v1/parcels", content=nested, headers=json_header)).status_code == 200
    quoted = json.dumps({"anything": ['\\"[[[' * 100, "{" * 100]})
    assert (await client.post("/api/v1/parcels", content=quoted, headers=json_header)).status_code == 200


async def test_a_string_without_an_end_costs_no_more_than_its_length(client: httpx.AsyncClient) -> None:
    hostile = b'"' + b'\\"' * 400_000 + b"[" * 40
    answer = await asyncio.wait_for(client.post("/api/v1/parcels", content=hostile, headers=json_header), timeout=5)
    assert slug(answer) == "malformed-json"


@pytest.mark.parametrize("value", [True, "7", 1.0, 1.5, None, 0, -5, 10_000_001, 2**63])
async def test_numbers_are_not_guessed(client: httpx.AsyncClient, value: object) -> None:
    answer = await client.post("/api/v1/parcels", json={"points": value})
    assert (answer.status_code, slug(answer)) == (422, "validation")
    assert codes(answer) == {"body/points": "range" if type(value) is int else "type"}


async def test_all_faults_are_listed_and_the_worst_names_the_problem(client: httpx.AsyncClient) -> None:
    values = await client.post("/api/v1/parcels", json={"points": 0, "name": "x" * 11})
    assert (slug(values), codes(values)) == ("validation", {"body/points": "range", "body/name": "length"})
    unknown = await client.post("/api/v1/parcels", json={"points": 0, "colour": "red"})
    assert (slug(unknown), codes(unknown)) == ("unknown-field", {"body/points": "range", "body/colour": "unknown"})
    body = r'{"points":0,"colour":1,"anything":{"k\u0000":["\ud800"]}}'
    answer = await client.post("/api/v1/parcels?way=up", content=body, headers=json_header)
    assert slug(answer) == "invalid-characters"
    assert codes(answer) == {
        "body/points": "range", "body/colour": "unknown", "query/way": "unknown", "body/anything/?": "characters",
        "body/anything/?/0": "characters",
    }  # fmt: skip


async def test_nothing_that_was_sent_comes_back(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/parcels", json={"points": "s3cret", "na me": "s3cret", "name": ["s3cret"]})
    assert "s3cret" not in answer.text
    assert "na me" not in answer.text
    assert codes(answer)["body/?"] == "unknown"
    assert "s3cret" not in (await client.get("/api/v1/parcels/s3cret")).text


@pytest.mark.parametrize("name", ["\u202eabc", "\u200b\u200b", "a\r\nlevel=error", "\ufeff", "", " "])
async def test_names_show_what_they_say(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/api/v1/parcels", json={"name": name})
    assert (answer.status_code, slug(answer)) == (422, "validation")


async def test_texts_are_trimmed_and_composed(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/parcels", json={"name": " Zoe\u0308 "})).json()["name"] == "Zo\u00eb"


async def test_an_optional_body_may_be_left_out_but_not_be_broken(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/parcels/optional")).json() == {"given": False}
    assert (await client.post("/api/v1/parcels/optional", json={})).json() == {"given": True}
    assert slug(await client.post("/api/v1/parcels/optional", content=b"{", headers=json_header)) == "malformed-json"


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
        ({"Content-Type": "application/json; charset=utf-16"}, 415, "unsupported-media-type"),
        ({}, 415, "unsupported-media-type"),
        (json_header | {"Content-Encoding": "gzip"}, 415, "unsupported-encoding"),
        (json_header | {"Content-Encoding": "br"}, 415, "unsupported-encoding"),
        (json_header | {"Accept": "application/xml"}, 406, "not-acceptable"),
        (json_header | {"Accept": "application/json;q=0, */*"}, 406, "not-acceptable"),
        (json_header | {"Accept": "text/*;q=0.5, application/json;q=0.0"}, 406, "not-acceptable"),
    ],
)
async def test_types_and_encodings_are_negotiated(
    client: httpx.AsyncClient, headers: dict[str, str], status: int, expected: str
) -> None:
    answer = await client.post("/api/v1/parcels", content=b"{}", headers=headers)
    assert (answer.status_code, slug(answer)) == (status, expected)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=UTF-8"},
        {"Content-Type": "Application/JSON", "Content-Encoding": "identity"},
        {"Content-Type": "application/json", "Accept": "text/html, application/*;q=0.1"},
    ],
)
async def test_what_means_json_is_taken(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/api/v1/parcels", content=b"{}", headers=headers)).status_code == 200


async def test_a_body_is_cut_at_one_mebibyte_whether_announced_or_not(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65536

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    announced = json_header | {"Content-Length": "1048577"}
    for answer in (
        await client.post("/api/v1/parcels", content=unread(), headers=announced),
        await client.post("/api/v1/parcels", content=pieces(), headers=json_header),
    ):
        assert (answer.status_code, slug(answer), answer.json()["limit_bytes"]) == (413, "body-too-large", 1048576)
        assert answer.headers["Connection"] == "close"


async def test_a_stream_has_its_own_limit(client: httpx.AsyncClient) -> None:
    csv = {"Content-Type": "text/csv"}
    assert (await client.post("/api/v1/stream", content=b"0123456789", headers=csv)).json() == {"bytes": 10}

    async def pieces() -> AsyncIterator[bytes]:
        yield b"01234"
        yield b"567890"

    answer = await client.post("/api/v1/stream", content=pieces(), headers=csv)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 10)


@pytest.mark.parametrize(
    ("path", "headers"), [("/api/v1/parcels", json_header), ("/api/v1/stream", {"Content-Type": "text/csv"})]
)
async def test_a_body_that_does_not_come_is_not_waited_for(
    settings: Settings, database: RolledBackDatabase, clock: Clock, path: str, headers: dict[str, str]
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    app = with_probes(create_app(settings, database=database, clock=clock, limits=Limits(body_seconds=0.01)))
    async with client_of(app) as client, asyncio.timeout(10):
        answer = await client.post(path, content=slow(), headers=headers)
    assert (answer.status_code, slug(answer), answer.headers["Connection"]) == (408, "request-timeout", "close")


async def test_a_body_that_keeps_coming_may_take_its_time() -> None:
    """Longer than the time for a body, but never slower than its bytes may be."""
    pieces, limits = [b"0123456789"] * 5, Limits(body_seconds=0.2, least_bytes_per_second=50)

    async def receive() -> Message:
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    limited = within_limits(receive, limits, max_bytes=50)
    while (await limited())["more_body"]:
        pass
    assert not pieces


async def test_the_caller_is_checked_before_the_body_is_read(client: httpx.AsyncClient, as_role: AsRole) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    anonymous = await client.post("/api/v1/guarded", content=unread())
    assert (anonymous.status_code, slug(anonymous)) == (401, "unauthenticated")
    staff = await (await as_role("staff")).post("/api/v1/guarded", content=unread(), headers={"Accept": "text/html"})
    assert (staff.status_code, slug(staff), staff.json()["scope"]) == (403, "insufficient-scope", "customers:erase")
    admin = await (await as_role("admin")).post(
        "/api/v1/guarded", content=b"{", headers=json_header | {"Accept": "text/html"}
    )
    assert slug(admin) == "not-acceptable"
