"""Values that fit their form, and are larger than anything that could be kept or computed with."""

from uuid import uuid4

import httpx

from tests.api.bad_inputs.table import World, base, case

days = ("9999-12-31", "3000-01-01", "0001-01-01", "1899-12-31")
ranges = ("created", "last_order", "tier_expiry", "points_expiring", "ordered", "date_of_birth")
largest = "999999999999.99"


async def order(world: World, **members: object) -> httpx.Response:
    new = {"external_id": uuid4().hex, "ordered_at": "2026-06-15T07:30:00Z", "total": "24.90", **members}
    return await (await world.as_role("service")).post("/api/v1/orders", json=new)


async def programme(world: World, **changes: object) -> httpx.Response:
    admin, url = await world.as_role("admin"), f"{base}/loyalty/programme"
    version = (await admin.get(url)).json()["version"]
    return await admin.put(url, json={"based_on": version, **changes})


@case("77a")
async def days_beyond_the_calendar(world: World) -> list[httpx.Response]:
    staff = await world.staff()
    names = [f"{name}_{end}" for name in ranges for end in ("from", "to")]
    assert (await staff.get(base + "/", params={"created_to": "2999-12-31"})).status_code == 200
    return [await staff.get(base + "/", params={name: day}) for name in names for day in days]


@case("77b")
async def instants_beyond_the_calendar(world: World) -> list[httpx.Response]:
    ends = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-23:59")
    return [await order(world, ordered_at=instant) for instant in ends]


@case("77c")
async def amounts_that_are_too_large(world: World) -> list[httpx.Response]:
    assert (await order(world, total=largest)).status_code == 201
    answers = [await order(world, total=total) for total in ("1000000000000.00", "99999999999999.99")]
    assert [answer.json()["errors"][0]["code"] for answer in answers] == ["range"] * 2
    return answers


@case("77d")
async def lines_that_are_too_large(world: World) -> list[httpx.Response]:
    lines = ({"quantity": 99_999_999, "unit_price": largest}, {"quantity": "0.001", "total": largest})
    return [await order(world, lines=[{"sku": "A", **line}]) for line in lines]


@case("77e")
async def a_rate_that_is_too_large(world: World) -> httpx.Response:
    assert (await programme(world, points_per_unit="99999.9999")).status_code == 200
    return await programme(world, points_per_unit="99999999.9999")


@case("77f")
async def more_points_than_an_order_can_earn(world: World) -> httpx.Response:
    assert (await programme(world, points_per_unit="1000")).status_code == 200
    customer = (await world.customer_url()).rpartition("/")[2]
    refused = await order(world, customer_id=customer, total=largest, external_id="large")
    cursor = await world.connection.execute("SELECT count(*) FROM order_identifiers WHERE external_id = 'large'")
    assert await cursor.fetchone() == (0,)
    return refused


@case("77g")
async def a_tier_beyond_the_calendar(world: World) -> list[httpx.Response]:
    staff, customer = await world.as_role("admin"), (await world.customer_url()).rpartition("/")[2]
    tier = {"tier": "gold", "reason": "a friend", "until": "9999-12-31"}
    return [
        await staff.put(f"{base}/loyalty/tier", json={"customer_id": customer, **tier}),
        await staff.post(f"{base}/bulk/tier", json={"customer_ids": [customer], **tier}),
    ]


@case("77h")
async def numbers_that_are_long_where_they_are_kept(world: World) -> httpx.Response:
    staff, url = await world.staff(), await world.customer_url()
    value = {"preference_type": "SHOPPING", "preference_key": "mood"}
    kept = await staff.post(f"{url}/preferences", json={**value, "preference_value": [1e308] * 13})
    assert kept.status_code == 201
    assert (await staff.get(f"{url}/preferences")).status_code == 200
    return await staff.post(f"{url}/preferences", json={**value, "preference_value": [1e308] * 14})
