"""Addresses and numbers that too many people give: they identify nobody any more, and what was theirs stays theirs."""

import pytest

from regulars.customers.models import RetailCustomer
from regulars.flows.erase_customer import Erasures, Request
from regulars.flows.importing.result import ImportResult
from regulars.kit.database import Database, connect
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer, set_columns
from tests.flows.shop import Shop
from tests.flows.test_import_customers import load

header = "order_id,ordered_at,total,customer_id,email,phone,first_name,last_name\n"
number = "+4930123456"


def line(order: int, customer_id: str = "", email: str = "", phone: str = "", name: str = ",") -> str:
    return f"{order},2026-01-02,1,{customer_id},{email},{phone},{name}\n"


def shared(shop: Shop) -> list[tuple[str, str]]:
    return [(kind, value) for kind, value in shop.query("SELECT kind, value FROM shared_contacts ORDER BY 1, 2")]


async def known_customer(shop: Shop, **known: object) -> RetailCustomer:
    async with connect(shop.url) as connection:
        return await make_customer(connection, shop.clock, **known)


def by_names(count: int, contact: str) -> str:
    where = {"phone": {"phone": number}, "email": {"email": "shop@shop.example"}}[contact]
    return "".join(line(order, name=f"Name{order},Meier", **where) for order in range(1, count + 1))


@pytest.mark.parametrize(("contact", "value"), [("phone", number), ("email", "shop@shop.example")])
async def test_four_names_are_too_many_and_three_are_not(shop: Shop, contact: str, value: str) -> None:
    result = await shop.load(header + by_names(3, contact))
    assert (result.created, result.customers_created, shared(shop)) == (3, 1, [])
    before = shop.query("SELECT external_id, customer_id FROM orders ORDER BY 1")
    await shop.load(header + by_names(4, contact).replace("\n4,", "\n9,"))
    assert set(shop.codes.values()) == {"customer-shared"}
    assert shared(shop) == [(contact, value)]
    assert shop.customer_of(contact, value) is None
    assert shop.query("SELECT external_id, customer_id FROM orders ORDER BY 1") == before  # nobody's history is split
    assert shop.query(f"SELECT {contact} FROM customers") == [(value,)]  # a mere contact


@pytest.mark.parametrize("sort", ["id", "address"])
async def test_people_who_say_more_of_themselves_are_kept_apart_and_keep_the_number(shop: Shop, sort: str) -> None:
    def of(order: int) -> str:
        who = {"customer_id": f"c{order}"} if sort == "id" else {"email": f"c{order}@shop.example"}
        return line(order, phone=number, **who)

    text = header + "".join(map(of, range(1, 5)))
    result = await shop.load(text)
    assert (result.created, result.customers_created, shop.codes) == (4, 4, {})
    assert shop.query("SELECT count(DISTINCT customer_id) FROM orders") == [(4,)]
    assert shop.query("SELECT DISTINCT phone FROM customers") == [(number,)]
    assert shop.customer_of("phone", number) is None
    written = shop.writes()
    assert (await shop.load(text)).unchanged == 4
    assert shop.writes() == written


async def test_the_owner_counts_as_one_more(shop: Shop) -> None:
    owner = await known_customer(shop, phone=number, email=None, first_name="Ann", last_name="Owner")
    await shop.load(header + by_names(3, "phone"))
    assert shared(shop) == [("phone", number)]
    assert shop.orders_of(owner.id) == []


async def test_the_same_name_in_other_letters_and_orders_of_one_person_are_one(shop: Shop) -> None:
    names = ["Ann,Meier", "ANN,MEIER", " ann ,meier", "Ann,Meier ", "Ann,Meier"]
    lines = [line(order, "A", "ann@shop.example", number, name) for order, name in enumerate(names)]
    result = await shop.load(header + "".join(lines))
    assert (result.customers_created, shared(shop), shop.codes) == (1, [], {})


async def test_who_proved_the_contact_keeps_it(shop: Shop) -> None:
    owner = await known_customer(shop, phone=number)
    async with connect(shop.url) as connection:
        await set_columns(connection, owner, is_phone_verified=True)
    await shop.load(header + by_names(5, "phone"))
    assert (shared(shop), shop.customer_of("phone", number)) == ([], owner.id)


async def test_a_shared_contact_identifies_nobody_in_later_files(shop: Shop) -> None:
    await shop.load(header + "".join(line(order, f"c{order}", phone=number) for order in range(4)))
    result = await shop.load(
        header + line(11, phone=number) + line(12, "c9", phone=number) + line(13, "c1", phone=number)
    )
    assert (result.created, shop.codes) == (2, {2: "customer-shared"})
    assert shop.orders_of(shop.customer_of("ext:web", "c1")) == ["1", "13"]
    customers: ImportResult = await load(shop, f"phone,first_name\n{number},Ann\n", source=None)
    assert (customers.created, shop.codes) == (0, {2: "customer-shared"})


async def test_all_or_nothing_leaves_the_contact_what_it_was(shop: Shop) -> None:
    owner = await known_customer(shop, phone=number)
    result = await shop.load(header + by_names(5, "phone"), atomic=True)
    assert (result.is_written, shared(shop), shop.customer_of("phone", number)) == (False, [], owner.id)


@pytest.mark.parametrize("placeholder", ["+919999999999", "+911234567890", "+490000000000"])
async def test_a_number_that_anybody_types_is_none(shop: Shop, placeholder: str) -> None:
    await shop.load(
        header + line(1, "A", phone=placeholder) + line(2, "B", phone=placeholder) + line(3, phone=placeholder)
    )
    assert shop.codes == {4: "customer-missing"}
    assert shop.query("SELECT phone FROM customers") == [(None,), (None,)]
    assert shop.customer_of("phone", placeholder) is None


async def test_an_erasure_forgets_the_contact(shop: Shop) -> None:
    await shop.load(header + "".join(line(order, f"c{order}", phone=number) for order in range(4)))
    settings = Settings(_env_file=None, jwt_secret="f3c1a0d2b4e6978812345678901234567890ab")
    async with Database(shop.url, size=1) as database:
        person = shop.customer_of("ext:web", "c1")
        await Erasures(database, settings, shop.clock).erase(person, Request("request", operator))
    assert shared(shop) == []
    assert shop.query("SELECT count(*) FROM customers WHERE phone = %s", [number]) == [(3,)]
