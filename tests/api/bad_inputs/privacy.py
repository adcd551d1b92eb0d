"""Exports and erasures of the wrong person, or by the wrong one."""

from uuid import uuid4

import httpx

from regulars.customers.models import RetailCustomer
from tests.api.bad_inputs.table import World, base, case
from tests.factories.customers import make_customer


async def customer_of(world: World) -> RetailCustomer:
    return await make_customer(world.connection, world.clock)


def number(customer: RetailCustomer) -> dict[str, str]:
    return {"customer_number": customer.customer_number}


async def erased(world: World) -> RetailCustomer:
    customer = await customer_of(world)
    done = await (await world.as_role("admin")).post(f"{base}/{customer.id}/erase", json=number(customer))
    assert done.status_code == 200
    return customer


@case("76a")
async def the_number_of_another(world: World) -> httpx.Response:
    customer, other = await customer_of(world), await customer_of(world)
    answer = await (await world.as_role("admin")).post(f"{base}/{customer.id}/erase", json=number(other))
    assert (await (await world.staff()).get(f"{base}/{customer.id}")).status_code == 200
    return answer


@case("76b")
async def erased_before(world: World) -> httpx.Response:
    customer = await erased(world)
    return await (await world.as_role("admin")).post(f"{base}/{customer.id}/erase", json=number(customer))


@case("76c")
async def own_record_without_password(world: World) -> httpx.Response:
    customer = await customer_of(world)
    own = await world.as_role("customer", customer_id=customer.id)
    return await own.post(f"{base}/{customer.id}/erase", json=number(customer))


@case("76d")
async def own_record_with_a_reason(world: World) -> httpx.Response:
    customer = await customer_of(world)
    own = await world.as_role("customer", customer_id=customer.id)
    body = {**number(customer), "password": "correct horse battery", "reason": "other"}
    return await own.post(f"{base}/{customer.id}/erase", json=body)


@case("76e")
async def erasure_of_another(world: World) -> list[httpx.Response]:
    customer, other = await customer_of(world), await customer_of(world)
    own = await world.as_role("customer", customer_id=customer.id)
    body = {**number(other), "password": "correct horse battery"}
    return [await own.post(f"{base}/{one}/erase", json=body) for one in (other.id, uuid4())]


@case("76f")
async def a_section_that_does_not_exist(world: World) -> httpx.Response:
    return await (await world.staff()).post(f"{await world.customer_url()}/export", json={"sections": ["secrets"]})


@case("76g")
async def export_of_the_erased(world: World) -> httpx.Response:
    customer = await erased(world)
    return await (await world.staff()).post(f"{base}/{customer.id}/export")


@case("76h")
async def export_of_another(world: World) -> httpx.Response:
    customer, other = await customer_of(world), await customer_of(world)
    own = await world.as_role("customer", customer_id=customer.id)
    return await own.post(f"{base}/{other.id}/export")
