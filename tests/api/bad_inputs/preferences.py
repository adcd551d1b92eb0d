"""Preferences: values that are too much, and those of others."""

import json

import httpx

from tests.api.bad_inputs.table import World, case, json_type
from tests.api.probes import without_trace
from tests.factories.customers import make_customer

likes = {"preference_type": "SHOPPING", "preference_key": "mood", "preference_value": 1}


async def post(world: World, body: dict[str, object] | str) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    staff, url = await world.staff(), await world.customer_url()
    return await staff.post(f"{url}/preferences", content=content, headers=json_type)


@case("3a")
async def value_nested_too_deep(world: World) -> httpx.Response:
    def nested(depth: int) -> dict[str, object]:
        return likes | {"preference_value": json.loads("[" * depth + "]" * depth)}

    assert (await post(world, nested(31))).status_code == 201  # the body itself is one level more
    return await post(world, nested(33))


@case("8b")
async def unreadable_inside_a_value(world: World) -> list[httpx.Response]:
    texts = ('["\\u0000"]', '{"a\\u0000": 1}', '{"a": {"b": "\\ud800"}}')
    start = '{"preference_type": "SHOPPING", "preference_key": "mood", "preference_value": '
    return [await post(world, f"{start}{text}}}") for text in texts]


@case("30a")
async def unknown_type(world: World) -> httpx.Response:
    return await post(world, likes | {"preference_type": "COLOUR"})


@case("30b")
async def value_too_long(world: World) -> list[httpx.Response]:
    assert (await post(world, likes | {"preference_value": "x" * 4094})).status_code == 201
    return [await post(world, likes | {"preference_value": value}) for value in ("x" * 4095, ["é" * 1024] * 2)]


@case("31")
async def preference_of_another(world: World) -> list[httpx.Response]:
    mine, other = [await make_customer(world.connection, world.clock) for _ in range(2)]
    staff, own = await world.staff(), await world.as_role("customer", customer_id=mine.id)
    foreign = (await staff.post(f"/api/v1/retail-customers/{other.id}/preferences", json=likes)).json()["id"]
    path = f"/api/v1/retail-customers/{mine.id}/preferences"
    answers = [await own.put(f"{path}/{id_}", json={"preference_value": 2}) for id_ in (foreign, str(mine.id))]
    assert without_trace(answers[0]) == without_trace(answers[1])
    return answers
