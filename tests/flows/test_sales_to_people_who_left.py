"""A sale to somebody who was deactivated, deleted or erased: the same by API and by import, however they are named."""

from contextlib import suppress
from dataclasses import dataclass

import pytest

from regulars.customers.models import RetailCustomer
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.record_purchase import record_purchase
from regulars.kit.database import Database
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.orders.schemas import OrderCreate
from tests.factories.customers import make_customer, set_columns
from tests.flows.shop import Shop
from tests.flows.test_import_customers import load

till = Principal(
    id=None, kind="client", role="service", scopes=frozenset({"orders:write", "orders:refund"}), source="web"
)
settings = Settings(_env_file=None, store_timezone="Europe/Berlin", jwt_secret="f3c1a0d2b4e6978812345678901234567890ab")


@dataclass(frozen=True)
class Outcome:
    """What became of a sale."""

    taken: bool
    of_the_record: bool
    points: int


async def leave(shop: Shop, state: str) -> RetailCustomer:
    async with Database(shop.url, size=2) as database:
        async with database.transaction() as connection:
            customer = await make_customer(connection, shop.clock, phone="+4930123456")
            if state == "deactivated":
                await set_columns(connection, customer, is_active=False)
            if state == "deleted":
                await set_columns(connection, customer, deleted_at=shop.clock.now())
        if state == "erased":
            await Erasures(database, settings, shop.clock).erase(customer.id, Request("request", operator))
    return customer


def outcome(shop: Shop, customer: RetailCustomer) -> Outcome:
    found = shop.query("SELECT customer_id FROM orders WHERE external_id = 'sale'")
    earned = shop.query("SELECT coalesce(sum(points), 0)::int FROM loyalty_transactions WHERE order_id IS NOT NULL")
    return Outcome(bool(found), found == [(customer.id,)], earned[0][0])


async def sell(shop: Shop, door: str, name: str, value: str) -> None:
    if door == "import":
        await shop.load(f"order_id,ordered_at,total,{name}\nsale,2026-06-15,25.00,{value}\n", award=True)
        return
    order = OrderCreate.model_validate(
        {"external_id": "sale", "ordered_at": "2026-06-15T08:00:00Z", "total": "25.00", name: value}
    )
    async with Database(shop.url, size=1) as database:
        with suppress(NotFound):
            async with database.transaction() as connection:
                await record_purchase(connection, order, by=till, settings=settings, clock=shop.clock)


kept, anew, refused = Outcome(True, True, 0), Outcome(True, False, 25), Outcome(False, False, 0)


@pytest.mark.parametrize("door", ["api", "import"])
@pytest.mark.parametrize(
    ("state", "name", "expected"),
    [
        ("customer", "email", Outcome(True, True, 25)),
        *(
            (state, name, kept)
            for state in ("deactivated", "deleted")
            for name in ("email", "phone", "customer_number")
        ),
        ("erased", "email", anew),
        ("erased", "phone", anew),
        ("erased", "customer_number", refused),
    ],
)
async def test_both_doors_have_one_rule(shop: Shop, door: str, state: str, name: str, expected: Outcome) -> None:
    customer = await leave(shop, state)
    await sell(shop, door, name, str(getattr(customer, name)))
    assert outcome(shop, customer) == expected
    left = shop.query("SELECT deleted_at IS NULL, erased_at IS NULL FROM customers WHERE id = %s", [customer.id])
    assert left == [(state not in {"deleted", "erased"}, state != "erased")]


async def test_a_file_of_customers_tells_nothing_of_a_deleted_one(shop: Shop) -> None:
    customer = await leave(shop, "deleted")
    result = await load(shop, f"email,city,customer_id\n{customer.email},Kiel,77\n")
    assert (result.updated, shop.codes) == (0, {2: "customer-unknown"})
    assert shop.query("SELECT city, version FROM customers WHERE id = %s", [customer.id]) == [(None, 1)]
    assert shop.customer_of("ext:crm", "77") is None
