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


async def refunded(world: World, *requests: dict[str, str], active: bool = True) -> list[httpx.Response]:
    """The answers to refunds of a new order."""
    customer = (await world.customer_url()).rpartition("/")[2]
    till = await world.as_role("service")
    first = await till.post("/api/v1/orders", json=order | {"customer_id": customer})
    await world.connection.execute("UPDATE customers SET is_active = %s WHERE id = %s", [active, customer])
    url = f"/api/v1/orders/{first.json()['id']}/refunds"
    return [await till.post(url, json=request) for request in requests]


async def claw_backs(world: World) -> list[tuple[int]]:
    cursor = await world.connection.execute("SELECT taken FROM point_clawbacks")
    return await cursor.fetchall()


@case("56e")
async def a_refund_of_a_deactivated_customer(world: World) -> httpx.Response:
    [answer] = await refunded(world, {"refund_id": "R", "amount": "24.90"}, active=False)
    assert await claw_backs(world) == [(24,)]
    return answer


@case("57a")
async def a_refund_of_an_unknown_order(world: World) -> list[httpx.Response]:
    till, refund = await world.as_role("service"), {"refund_id": "R", "amount": "1.00"}
    unknown = ("0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "till:unknown")
    return [await till.post(f"/api/v1/orders/{name}/refunds", json=refund) for name in unknown]


@case("57b")
async def a_refund_above_what_is_left(world: World) -> httpx.Response:
    first, second = await refunded(world, {"refund_id": "1", "amount": "20.00"}, {"refund_id": "2", "amount": "4.91"})
    assert first.status_code == 201
    assert second.json()["refundable"] == "4.90"
    return second


@case("57c")
async def the_same_refund(world: World) -> httpx.Response:
    first, again = await refunded(world, {"refund_id": "1", "amount": "20.00"}, {"refund_id": "1", "amount": "20.0"})
    assert first.status_code == 201
    assert again.json() == first.json()
    assert await claw_backs(world) == [(19,)]
    return again


@case("57d")
async def another_refund_of_the_same_id(world: World) -> httpx.Response:
    first, other = await refunded(world, {"refund_id": "1", "amount": "20.00"}, {"refund_id": "1", "amount": "2.00"})
    assert other.json()["refund_id"] == first.json()["id"]
    return other
