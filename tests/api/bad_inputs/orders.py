"""Orders that were sent before."""

import httpx

from tests.api.bad_inputs.table import World, case

order = {"external_id": "W-1", "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90"}


async def sent_twice(world: World, **change: str) -> tuple[httpx.Response, httpx.Response]:
    """The first and the second answer."""
    customer = (await world.customer_url()).rpartition("/")[2]
    till = await world.as_role("service")
    sent = order | {"customer_id": customer}
    first = await till.post("/api/v1/orders", json=sent)
    assert first.status_code == 201
    return first, await till.post("/api/v1/orders", json=sent | change)


@case("54c")
async def the_same_order(world: World) -> httpx.Response:
    first, again = await sent_twice(world)
    assert again.json() == first.json()
    return again


@case("54d")
async def another_order_of_the_same_id(world: World) -> httpx.Response:
    first, again = await sent_twice(world, total="25.00")
    assert again.json()["order_id"] == first.json()["id"]
    return again
