"""Orders refunded in full by parts, in random order, some events twice, several tills at once.

REGULARS_TEST_ORDERS says how many orders; the default shows that it works, 10,000 is what it was made for.
"""

import asyncio
import os
from datetime import timedelta
from random import Random

from regulars.analytics.clv import CLVService
from regulars.analytics.schemas import CLVCalculationRequest
from regulars.kit.database import Database
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer
from tests.factories.soundness import require_sound_purchases
from tests.flows.purchases import Event, Recorded, Refunded, Till, money, split
from tests.flows.shop import Shop

orders = int(os.environ.get("REGULARS_TEST_ORDERS", "60"))
tills, orders_of_one_customer = 4, 10

per_order = """
    SELECT o.external_id, o.status, o.refunded_total = o.total,
        (SELECT sum(points) FROM loyalty_transactions t
         WHERE t.customer_id = o.customer_id AND t.order_id = o.id AND t.transaction_type = 'EARNED') AS earned,
        (SELECT sum(taken) FROM point_clawbacks c WHERE c.customer_id = o.customer_id AND c.order_id = o.id) AS taken,
        (SELECT max(so_far) FROM (
            SELECT sum(due) OVER (ORDER BY created_at, refund_id) AS so_far
            FROM point_clawbacks c WHERE c.customer_id = o.customer_id AND c.order_id = o.id
        ) AS sums) AS most_taken
    FROM orders AS o
"""


def events_of(number: int, customer_id: object, ordered_at: str, random: Random) -> list[Event]:
    cents = random.randint(100, 50_000)
    body = {
        "external_id": str(number),
        "customer_id": str(customer_id),
        "ordered_at": ordered_at,
        "total": money(cents),
    }
    parts = split(cents, random.randint(1, 5), random)
    refunds = [
        Refunded(str(number), {"refund_id": f"R{place}", "amount": money(part)}) for place, part in enumerate(parts)
    ]
    return [Recorded(body), *refunds, *random.sample(refunds, random.randint(0, 2) % (len(refunds) + 1))]


async def test_refunds_of_the_whole_take_back_what_was_earned_and_never_more(shop: Shop) -> None:
    random = Random(849)  # noqa: S311 - the same orders each time
    settings = shop.settings.model_copy(update={"early_refunds": "hold"})
    async with Database(shop.url, size=tills) as database:
        async with database.transaction() as connection:
            customers = [
                (await make_customer(connection, shop.clock)).id
                for _ in range(max(6, orders // orders_of_one_customer))
            ]
        events: list[Event] = []
        for number in range(orders):
            day = shop.clock.now() - timedelta(days=random.randint(0, 900), seconds=number)
            told = day.isoformat().replace("+00:00", "Z")
            events += events_of(number, random.choice(customers), told, random)
        random.shuffle(events)
        first, rest = events[: len(events) // 3], events[len(events) // 3 :]
        await send_all(database, shop, settings, first)
        async with database.transaction() as connection:
            request = CLVCalculationRequest(recalculate=True)
            await CLVService(connection, settings, shop.clock).calculate_clv(request, operator)
        await send_all(database, shop, settings, rest)
        rows = shop.query(per_order)
        assert len(rows) == orders
        for _, status, is_whole, earned, taken, most_taken in rows:
            assert (status, is_whole) == ("refunded", True)
            assert earned == taken == most_taken
        assert shop.query("SELECT count(*) FROM early_reversals") == [(0,)]
        assert shop.query("SELECT count(*) FROM loyalty_accounts WHERE (balance, lifetime_points) <> (0, 0)") == [(0,)]
        await require_sound_purchases(database, settings, shop.clock)


async def send_all(database: Database, shop: Shop, settings: Settings, events: list[Event]) -> None:
    """Each till takes the next event when it has done one."""
    waiting = iter(events)
    desks = [Till(database, settings, shop.clock) for _ in range(tills)]

    async def work(till: Till) -> None:
        for event in waiting:
            await till.send(event)

    await asyncio.gather(*(work(till) for till in desks))
    assert [till.refused for till in desks] == [[]] * tills
