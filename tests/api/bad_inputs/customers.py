"""Profiles, bulk changes, exports: values that cannot be, fields that are not the caller's, versions that have gone."""

import csv
import io
import logging
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.logs import JsonLines
from tests.api.bad_inputs.table import World, base, case, json_type
from tests.api.probes import without_trace
from tests.factories.customers import make_customer

bulk_url, export_url = f"{base}/bulk/status", f"{base}/export"
set_by_us = (
    *("loyalty_points", "loyalty_points_lifetime", "loyalty_tier", "is_verified", "is_email_verified", "user_id"),
    *("role", "customer_number", "rfm_segment", "clv", "total_spent"),
)
formulas = ('=HYPERLINK("http://evil.example","a, b")', "+1+1", "-2", "@SUM(A1)", "\t=1")


async def stored(world: World, customer: RetailCustomer) -> RetailCustomer:
    return await RetailCustomerRepository(world.connection).get(customer.id)


def changing(row: str, body: dict[str, Any] | str) -> None:
    """A case of PUT by staff with this body; the row in the database stays as it was."""

    @case(row)
    async def change(world: World) -> httpx.Response:
        ann = await make_customer(world.connection, world.clock)
        staff, url = await world.staff(), f"{base}/{ann.id}"
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"content": body, "headers": json_type}
        answer = await staff.put(url, **sent)
        assert await stored(world, ann) == ann
        return answer


changing("8a", '{"first_name": "A\\u0000B"}')
changing("9", '{"city": "\\ud800"}')
changing("26a", {"date_of_birth": "2026-06-16"})
changing("26b", {"date_of_birth": "1899-12-31"})
changing("26c", {"date_of_birth": "2001-02-30"})
changing("28a", {"first_name": "x" * 10_000})
changing("28b", {"first_name": "\u200b\u200d"})
changing("28c", {"first_name": "Jo\u202ehn"})
changing("29a", {"tags": [f"tag {number}" for number in range(1_001)]})
changing("29b", {"tags": [{"__proto__": {}}]})


@case("14a")
async def fields_of_ours(world: World) -> list[httpx.Response]:
    ann = await make_customer(world.connection, world.clock)
    callers = [await world.as_role("customer", customer_id=ann.id), await world.staff()]
    answers = [await caller.put(f"{base}/{ann.id}", json={name: None}) for caller in callers for name in set_by_us]
    assert await stored(world, ann) == ann
    return answers


@case("17b")
async def foreign_profile(world: World) -> httpx.Response:
    ann = await make_customer(world.connection, world.clock)
    other = await world.as_role("customer")
    foreign, missing = [await other.put(f"{base}/{id_}", json={"city": "Bonn"}) for id_ in (ann.id, UUID(int=7))]
    assert without_trace(foreign) == without_trace(missing)
    assert await stored(world, ann) == ann
    return foreign


@case("46")
async def bulk_by_staff(world: World) -> list[httpx.Response]:
    ann, staff = await make_customer(world.connection, world.clock), await world.staff()
    return [
        await staff.post(bulk_url, json={"customer_ids": [str(id_)], "is_active": False}) for id_ in (ann.id, uuid4())
    ]


def conditional(row: str, *tags: str) -> None:
    """A case of PUT with each of these as If-Match, on version 1."""

    @case(row)
    async def change(world: World) -> list[httpx.Response]:
        ann, staff = await make_customer(world.connection, world.clock), await world.staff()
        return [await staff.put(f"{base}/{ann.id}", json={"city": "Bonn"}, headers={"If-Match": tag}) for tag in tags]


conditional("62c", 'W/"1"', "1", '"1', "", '"1" "2"')
conditional("62d", "*")


@case("62a")
async def unconditional(world: World) -> httpx.Response:
    return await (await world.staff()).put(await world.customer_url(), json={"city": "Bonn"})


@case("62b")
async def stale(world: World) -> httpx.Response:
    ann, staff = await make_customer(world.connection, world.clock), await world.staff()
    url = f"{base}/{ann.id}"
    assert (await staff.put(url, json={"city": "Bonn"}, headers={"If-Match": '"1"'})).status_code == 200
    changed = await stored(world, ann)
    answer = await staff.put(url, json={"city": "Kiel"}, headers={"If-Match": '"1"'})
    assert answer.headers["ETag"] == '"2"'
    assert await stored(world, ann) == changed
    return answer


async def deactivate(world: World, *ids: UUID, **more: Any) -> httpx.Response:
    body = {"customer_ids": [str(id_) for id_ in ids], "is_active": False} | more
    return await (await world.as_role("admin")).post(bulk_url, json=body)


@case("63a")
async def too_many_ids(world: World) -> httpx.Response:
    return await deactivate(world, *(uuid4() for _ in range(1_001)))


@case("63b")
async def no_ids(world: World) -> httpx.Response:
    return await deactivate(world)


@case("63c")
async def one_id_twice(world: World) -> httpx.Response:
    ann = await make_customer(world.connection, world.clock)
    answer = await deactivate(world, ann.id, ann.id)
    assert (answer.json()["requested"], answer.json()["changed"]) == (1, 1)
    return answer


@case("63d")
async def an_unknown_id(world: World) -> httpx.Response:
    ann = await make_customer(world.connection, world.clock)
    answer = await deactivate(world, UUID(int=7), ann.id)
    failed, changed = answer.json()["items"]
    assert (failed["outcome"], failed["problem"]["type"]) == ("failed", "/problems/not-found")
    assert (changed["outcome"], (await stored(world, ann)).is_active) == ("changed", False)
    return answer


@case("63e")
async def an_unknown_id_and_all_or_nothing(world: World) -> httpx.Response:
    ann = await make_customer(world.connection, world.clock)
    answer = await deactivate(world, UUID(int=7), ann.id, atomic=True)
    assert [item["customer_id"] for item in answer.json()["items"]] == [str(UUID(int=7))]
    assert await stored(world, ann) == ann
    return answer


@case("64")
async def formulas_in_names(world: World) -> httpx.Response:
    for position, formula in enumerate(formulas):
        created_at = world.clock.now() + timedelta(seconds=position)
        await make_customer(world.connection, world.clock, first_name=formula, created_at=created_at)
    answer = await (await world.as_role("admin")).post(export_url, json={"sort": "created_at"})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["first_name"] for row in rows] == [f"'{formula}" for formula in formulas]
    return answer


@case("68b")
async def line_end_in_a_name(world: World) -> httpx.Response:
    log, logger = io.StringIO(), logging.getLogger("regulars")
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())
    staff, url, level = await world.staff(), await world.customer_url(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        answer = await staff.put(url, json={"first_name": "A\r\nlevel=error"})
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert len(log.getvalue().splitlines()) == 1
    assert "level=error" not in log.getvalue() + answer.text
    return answer
