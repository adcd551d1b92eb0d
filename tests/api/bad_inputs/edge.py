"""Bodies, headers, ids, routes, paging: what the edge refuses whatever the operation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import httpx

from regulars.api.limits import Limits
from tests.api.bad_inputs.table import World, base, case, json_type
from tests.api.conftest import client_of
from tests.api.probes import without_trace


def searching(
    row: str, content: bytes | Callable[[], AsyncIterator[bytes]] = b"{}", headers: dict[str, str] | None = None
) -> None:
    """A case of POST /search with this body and these headers."""

    @case(row)
    async def search(world: World) -> httpx.Response:
        body = content() if callable(content) else content
        return await (await world.staff()).post(f"{base}/search", content=body, headers=json_type | (headers or {}))


def listing(row: str, query: str) -> None:
    """A case of GET of the list with this query."""

    @case(row)
    async def list_customers(world: World) -> httpx.Response:
        return await (await world.staff()).get(f"{base}/?{query}")


def reading(row: str, *texts: str) -> None:
    """A case of GET of one customer with each of these as id."""

    @case(row)
    async def read(world: World) -> list[httpx.Response]:
        staff = await world.staff()
        return [await staff.get(f"{base}/{text}") for text in texts]


async def over_one_mebibyte() -> AsyncIterator[bytes]:
    for _ in range(17):
        yield b" " * 65536


async def never_read() -> AsyncIterator[bytes]:
    raise AssertionError
    yield b""


searching("3b", b"[" * 100_000)
searching("4a", never_read, {"Content-Length": "1048577"})
searching("4b", over_one_mebibyte)
searching("5", headers={"Content-Encoding": "gzip"})
searching("6a", headers={"Content-Type": "text/plain"})
searching("6b", b"q=a", {"Content-Type": "application/x-www-form-urlencoded"})
searching("23b", b'{"q":"%s"}' % (b"a" * 10_000))
searching("23c", b"""{"q":"' OR 1=1 --"}""")
listing("8c", "q=ab%00")
listing("20a", "limit=0")
listing("20b", "limit=-1")
listing("20c", "limit=101")
listing("20d", "limit=100000000000000000000")
listing("20e", "offset=-1")
listing("20f", "offset=9223372036854775808")
listing("21a", "limit=10&limit=20")
listing("21b", "colour=red")
listing("22a", "sort=password_hash")
listing("22b", "sort=id%3Bdrop%20table")
listing("23a", "q=%25%25%25%25")
reading("15a", "abc")
reading("15b", "{0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77}", "urn:uuid:0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "0" * 32)
reading("15c", "..%2f..%2fetc%2fpasswd")
reading("16", str(UUID(int=7)))


@case("6c")
async def body_without_type(world: World) -> httpx.Response:
    return await (await world.staff()).post(f"{base}/search", content=b"{}")


@case("6d")
async def json_at_the_token_endpoint(world: World) -> httpx.Response:
    return await world.anonymous.post("/api/v1/auth/token", json={"grant_type": "password"})


@case("7")
async def xml_wanted(world: World) -> httpx.Response:
    return await (await world.staff()).get(f"{base}/", headers={"Accept": "application/xml"})


@case("17a")
async def foreign_customer(world: World) -> httpx.Response:
    """Another's record and a missing one are the same answer."""
    customer = await world.as_role("customer")
    foreign, missing = await customer.get(await world.customer_url()), await customer.get(f"{base}/{uuid4()}")
    assert without_trace(foreign) == without_trace(missing)
    return foreign


@case("18a")
async def patch(world: World) -> httpx.Response:
    answer = await (await world.staff()).patch(await world.customer_url())
    assert "GET" in answer.headers["Allow"]
    return answer


@case("18b")
async def trace(world: World) -> httpx.Response:
    answer = await (await world.staff()).request("TRACE", f"{base}/")
    assert answer.headers["Allow"] == "GET, POST"
    return answer


@case("19a")
async def trailing_slash(world: World) -> httpx.Response:
    return await (await world.staff()).get(await world.customer_url() + "/")


@case("19b")
async def collection_without_its_slash(world: World) -> httpx.Response:
    return await (await world.staff()).get(base)


@case("68a")
async def escapes_in_the_user_agent(world: World) -> httpx.Response:
    headers = {"User-Agent": b'\x9b31m"level":"error"'}
    return await (await world.staff()).get(f"{base}/", headers=headers)


@case("70a")
async def one_byte_per_second(world: World) -> httpx.Response:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    token, _ = await world.token_for("staff")
    async with client_of(world.app_with(Limits(body_seconds=0.01)), token) as client:
        return await client.post(f"{base}/search", content=slow(), headers=json_type)
