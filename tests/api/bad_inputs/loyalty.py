"""Points: numbers, keys, orders, and what the rules of the ledger refuse."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx

from regulars.formulas.earning import OrderAmounts, Returned
from regulars.kit.security import operator
from regulars.loyalty.models_refunds import AwardedOrder
from regulars.loyalty.refunds import ClawBackService
from tests.api.bad_inputs.table import World, base, case, json_type
from tests.factories.customers import make_customer
from tests.factories.loyalty import make_member

earn_url, redeem_url, adjust_url = (f"{base}/loyalty/{verb}" for verb in ("earn", "redeem", "adjust"))


async def member(world: World, points: int = 0, **state: bool) -> UUID:
    """A customer with points."""
    customer_id = await make_member(world.connection, world.clock, **state)
    if points:
        admin = await world.as_role("admin")
        earned = await admin.post(earn_url, json={"customer_id": str(customer_id), "points": points})
        assert earned.status_code == 201
    return customer_id


async def ledger_rows(world: World, customer_id: UUID) -> int:
    found = await world.connection.execute(
        "SELECT count(*) FROM loyalty_transactions WHERE customer_id = %s", [customer_id]
    )
    return int((await found.fetchone() or (0,))[0])


async def earn(world: World, customer_id: UUID, key: str | None = None, **sent: Any) -> httpx.Response:
    till, headers = await world.as_role("admin"), {} if key is None else {"Idempotency-Key": key}
    return await till.post(earn_url, json={"customer_id": str(customer_id), "points": 10} | sent, headers=headers)


def awarding(row: str, *points: str, more: str = "") -> None:
    """A case of POST earn with each of these texts as points; nothing is written."""

    @case(row)
    async def award(world: World) -> list[httpx.Response]:
        till, customer_id = await world.as_role("service"), await member(world)
        bodies = [f'{{"customer_id":"{customer_id}","points":{text}{more}}}' for text in points]
        answers = [await till.post(earn_url, content=body, headers=json_type) for body in bodies]
        assert await ledger_rows(world, customer_id) == 0
        return answers


awarding("2", '10,"points":1000', '10,"metadata":{"a":1,"a":2}')
awarding("10a", "NaN")
awarding("10b", "Infinity", "-Infinity")
awarding("10c", "1e999")
awarding("11a", "true")
awarding("11b", '"7"')
awarding("11c", "1.0")
awarding("11d", "1.5")
awarding("11e", "null")
awarding("12a", "0")
awarding("12b", "-5")
awarding("12c", "10000001")
awarding("12d", "9223372036854775808")
awarding("12e", "1" * 5000)
awarding("13", "1", more=',"bonus":1')
awarding("61b", "1", more=',"expiry_days":-1')
awarding("61c", "1", more=',"expiry_days":0')
awarding("61d", "1", more=',"expiry_days":1000000')


async def as_customer(world: World) -> httpx.AsyncClient:
    own = await make_customer(world.connection, world.clock)
    return await world.as_role("customer", customer_id=own.id)


@case("17c")
async def balance_of_another(world: World) -> list[httpx.Response]:
    caller, other = await as_customer(world), await member(world, 100)
    return [await caller.get(f"{base}/{id_}/loyalty/balance") for id_ in (other, uuid4())]


@case("17d")
async def points_of_another(world: World) -> list[httpx.Response]:
    caller, other = await as_customer(world), await member(world, 100)
    sent = [{"customer_id": str(id_), "points": 1} for id_ in (other, uuid4())]
    answers = [await caller.post(redeem_url, json=body) for body in sent]
    assert await ledger_rows(world, other) == 1
    return answers


@case("20g")
async def cursors_of_other_lists(world: World) -> list[httpx.Response]:
    customer_id, other = await member(world, 5), await member(world, 5)
    await earn(world, customer_id)
    staff, url = await world.staff(), f"{base}/{customer_id}/loyalty/transactions"
    cursor = (await staff.get(url, params={"limit": 1})).json()["next_cursor"]
    assert len((await staff.get(url, params={"cursor": cursor})).json()["items"]) == 1
    return [
        *[await staff.get(url, params={"cursor": text}) for text in ("forged", "", "\u00fc", "A" * 40, cursor[:-2])],
        await staff.get(f"{base}/{other}/loyalty/transactions", params={"cursor": cursor}),
        await staff.get(url, params={"cursor": cursor, "transaction_type": "EARNED"}),
        await staff.get(url, params={"cursor": cursor, "to": "2026-06-15"}),
    ]


@case("50a")
async def award_without_key(world: World) -> httpx.Response:
    return await earn(world, await member(world), order_id=str(uuid4()))


@case("50b")
async def redemption_without_key(world: World) -> list[httpx.Response]:
    customer_id, staff = await member(world, 100), await world.staff()
    sent = {"customer_id": str(customer_id), "points": 50}
    return [await staff.post(redeem_url, json=sent) for _ in range(2)]


def keyed(row: str, *keys: bytes) -> None:
    """A case of POST earn with each of these keys."""

    @case(row)
    async def award(world: World) -> list[httpx.Response]:
        till, sent = await world.as_role("service"), {"customer_id": str(await member(world)), "points": 1}
        return [await till.post(earn_url, json=sent, headers=[(b"Idempotency-Key", key)]) for key in keys]


keyed("51a", b"")
keyed("51b", b"k" * 256)
keyed("51c", b"a\tb", b"a b", "\u00fc".encode())


@case("52a")
async def a_key_with_other_points(world: World) -> httpx.Response:
    customer_id, admin = await member(world), await world.as_role("admin")
    sent, headers = {"customer_id": str(customer_id), "points": 1}, {"Idempotency-Key": "k"}
    assert (await admin.post(earn_url, json=sent, headers=headers)).status_code == 201
    answer = await admin.post(earn_url, json=sent | {"points": 2}, headers=headers)
    assert await ledger_rows(world, customer_id) == 1
    return answer


@case("52b")
async def a_key_of_an_award(world: World) -> httpx.Response:
    customer_id, admin = await member(world), await world.as_role("admin")
    sent, headers = {"customer_id": str(customer_id), "points": 1}, {"Idempotency-Key": "k"}
    assert (await admin.post(earn_url, json=sent, headers=headers)).status_code == 201
    return await admin.post(redeem_url, json=sent, headers=headers)


@case("54a", "54b")
async def an_order_again(world: World) -> list[httpx.Response]:
    customer_id, order_id = await member(world), str(uuid4())
    first = await earn(world, customer_id, "first", order_id=order_id)
    answers = [await earn(world, customer_id, key, order_id=order_id) for key in ("second", None)]
    assert {answer.json()["transaction_id"] for answer in answers} == {first.json()["id"]}
    assert await ledger_rows(world, customer_id) == 1
    return answers


@case("55a")
async def more_than_there_is(world: World) -> httpx.Response:
    customer_id, staff = await member(world, 20), await world.staff()
    answer = await staff.post(redeem_url, json={"customer_id": str(customer_id), "points": 21})
    assert (answer.json()["spendable"], answer.json()["points_owed"]) == (20, 0)
    assert await ledger_rows(world, customer_id) == 1
    return answer


@case("55b")
async def while_points_are_owed(world: World) -> httpx.Response:
    customer_id, order_id, staff = await member(world), uuid4(), await world.staff()
    await earn(world, customer_id, order_id=str(order_id))
    sent = {"customer_id": str(customer_id), "points": 1}
    assert (await staff.post(redeem_url, json=sent | {"points": 8})).status_code == 201
    refund = AwardedOrder(customer_id, order_id, uuid4(), OrderAmounts(Decimal(5)), Returned(other=Decimal(5)))
    await ClawBackService(world.connection, world.clock).claw_back_points(refund, by=operator)
    answer = await staff.post(redeem_url, json=sent)
    assert (answer.json()["spendable"], answer.json()["points_owed"]) == (0, 8)
    return answer


@case("56a", "56b")
async def deactivated(world: World) -> list[httpx.Response]:
    customer_id, admin = await member(world, is_active=False), await world.as_role("admin")
    sent = {"customer_id": str(customer_id), "points": 1}
    return [await admin.post(url, json=sent) for url in (earn_url, redeem_url)]


def awarding_the_erased(row: str, role: Any) -> None:
    @case(row)
    async def award(world: World) -> httpx.Response:
        sent = {"customer_id": str(await member(world, erased=True)), "points": 1}
        return await (await world.as_role(role)).post(earn_url, json=sent)


awarding_the_erased("56c", "admin")
awarding_the_erased("56d", "service")


async def capped_till(world: World, **caps: int) -> httpx.AsyncClient:
    till = await world.as_role("service")
    for name, points in caps.items():
        await world.connection.execute(f"UPDATE api_clients SET {name} = {points}")  # type: ignore[arg-type]
    return till


@case("58a")
async def more_than_a_till_may_award_at_once(world: World) -> httpx.Response:
    till, sent = await capped_till(world, max_points_per_transaction=100), {"customer_id": str(await member(world))}
    assert (await till.post(earn_url, json=sent | {"points": 100})).status_code == 201
    answer = await till.post(earn_url, json=sent | {"points": 101})
    assert (answer.json()["limit"], answer.json()["period"]) == (100, "transaction")
    return answer


@case("58b")
async def more_than_a_till_may_award_in_a_day(world: World) -> list[httpx.Response]:
    till, sent = (
        await capped_till(world, max_points_per_day=100),
        {"customer_id": str(await member(world)), "points": 30},
    )
    answers = [await till.post(earn_url, json=sent) for _ in range(20)]
    assert [answer.status_code for answer in answers[:3]] == [201] * 3
    assert (answers[3].json()["limit"], answers[3].json()["period"]) == (100, "day")
    return answers[3:]


@case("59a")
async def adjustment_without_reason(world: World) -> httpx.Response:
    sent = {"customer_id": str(await member(world)), "points": 1, "adjustment_type": "ADJUSTED_ADD"}
    return await (await world.staff()).post(adjust_url, json=sent)


def adjustment(customer_id: UUID, points: int = 1) -> dict[str, object]:
    kind = {"adjustment_type": "ADJUSTED_ADD", "reason": "goodwill"}
    return {"customer_id": str(customer_id), "points": points} | kind


@case("59b")
async def own_account(world: World) -> list[httpx.Response]:
    answers = []
    for role in ("staff", "admin"):
        token, who = await world.token_for(role)
        own = await make_customer(world.connection, world.clock, user_id=who.id)
        headers = {"Authorization": f"Bearer {token}"}
        answers.append(await world.anonymous.post(adjust_url, json=adjustment(own.id), headers=headers))
    return answers


@case("59c")
async def more_than_staff_may_adjust(world: World) -> httpx.Response:
    customer_id, staff = await member(world), await world.staff()
    assert (await staff.post(adjust_url, json=adjustment(customer_id, 1000))).status_code == 201
    admin = await world.as_role("admin")
    assert (await admin.post(adjust_url, json=adjustment(customer_id, 1001))).status_code == 201
    return await staff.post(adjust_url, json=adjustment(customer_id, 1001))


@case("60")
async def expiry_that_has_not_come(world: World) -> httpx.Response:
    admin = await world.as_role("admin")
    return await admin.post(f"{base}/loyalty/expire-points", json={"as_of": "2026-06-15T10:00:00.000001Z"})


@case("61a")
async def a_tier_of_diamond(world: World) -> httpx.Response:
    sent = {"customer_id": str(await member(world)), "tier": "diamond", "reason": "x"}
    return await (await world.as_role("admin")).put(f"{base}/loyalty/tier", json=sent)
