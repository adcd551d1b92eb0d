"""Whose the orders of a file are: known people, new people, and identifiers that contradict each other."""

import pytest

from regulars.kit.database import connect
from tests.factories.customers import make_customer
from tests.flows.shop import Shop

columns = "order_id,ordered_at,total,customer_id,email,phone,customer_number\n"


def line(order: int, customer_id: str = "", email: str = "", phone: str = "", number: str = "") -> str:
    return f"{order},2026-01-02,1,{customer_id},{email},{phone},{number}\n"


async def known_customer(shop: Shop, **known: object) -> object:
    async with connect(shop.url) as connection:
        return await make_customer(connection, shop.clock, **known)


async def test_an_unknown_id_with_a_known_address_is_the_same_person(shop: Shop) -> None:
    ann = await known_customer(shop, email="ann@example.com")
    result = await shop.load(columns + line(1, "A", " ANN@Example.com"))
    assert (result.customers_created, result.rejected) == (0, 0)
    assert shop.customer_of("ext:web", "A") == ann.id
    assert shop.orders_of(ann.id) == ["1"]


async def test_a_customer_has_one_id_in_a_source(shop: Shop) -> None:
    ann = await known_customer(shop, email="ann@example.com", external_ids={"web": "OLD"})
    await shop.load(columns + line(1, "NEW", "ann@example.com") + line(2, "NEW"))
    assert shop.codes == {2: "email-taken"}
    assert shop.customer_of("ext:web", "NEW") not in (None, ann.id)


async def test_a_known_id_goes_before_the_address(shop: Shop) -> None:
    ann = await known_customer(shop, email="ann@example.com", external_ids={"web": "A"})
    await known_customer(shop, email="bob@example.com")
    await shop.load(columns + line(1, "A", "bob@example.com") + line(2, "A", "new@example.com"))
    assert shop.codes == {2: "email-taken"}
    assert shop.orders_of(ann.id) == ["2"]
    assert shop.customer_of("email", "new@example.com") is None  # she has an address already


async def test_an_address_the_profile_lacks_is_claimed(shop: Shop) -> None:
    ann = await known_customer(shop, email=None, external_ids={"web": "A"})
    await shop.load(columns + line(1, "A", "ann@example.com", "+49 30 123456"))
    assert shop.query("SELECT email, phone, version FROM customers") == [("ann@example.com", "+4930123456", 2)]
    assert shop.customer_of("email", "ann@example.com") == shop.customer_of("phone", "+4930123456") == ann.id


async def test_address_and_number_of_two_people_are_rejected(shop: Shop) -> None:
    await known_customer(shop, email="ann@example.com")
    await known_customer(shop, email=None, phone="+4930123456")
    await shop.load(columns + line(1, "", "ann@example.com", "+4930123456"))
    assert shop.codes == {2: "phone-taken"}


async def test_an_unknown_address_with_a_known_number_is_the_same_person_if_she_has_none(shop: Shop) -> None:
    ann = await known_customer(shop, email=None, phone="+4930123456")
    bob = await known_customer(shop, email="bob@example.com", phone="+4930654321")
    await shop.load(
        columns + line(1, "", "ann@example.com", "+4930123456") + line(2, "", "new@example.com", "+4930654321")
    )
    assert (shop.orders_of(ann.id), shop.orders_of(bob.id)) == (["1"], [])
    assert shop.codes == {3: "phone-taken"}
    assert shop.customer_of("email", "ann@example.com") == ann.id


async def test_a_customer_number_must_be_known(shop: Shop) -> None:
    ann = await known_customer(shop)
    await shop.load(columns + line(1, number=ann.customer_number.lower()) + line(2, number="CUST-20990101-0001"))
    assert (shop.orders_of(ann.id), shop.codes) == (["1"], {3: "customer-unknown"})


async def test_a_customer_number_gets_its_id_in_the_source(shop: Shop) -> None:
    ann = await known_customer(shop)
    bob = await known_customer(shop, external_ids={"web": "B"})
    await shop.load(columns + line(1, "A", number=ann.customer_number) + line(2, "B", number=ann.customer_number))
    assert (shop.customer_of("ext:web", "A"), shop.customer_of("ext:web", "B")) == (ann.id, bob.id)
    assert shop.codes == {3: "customer-conflict"}


async def test_lines_by_address_alone_find_the_person_of_the_line_that_has_an_id(shop: Shop) -> None:
    result = await shop.load(columns + line(1, "", "ann@example.com") + line(2, "A", "ann@example.com") + line(3, "A"))
    assert (result.customers_created, result.rejected) == (1, 0)
    assert shop.orders_of(shop.customer_of("ext:web", "A")) == ["1", "2", "3"]


async def test_two_new_ids_with_one_address_are_two_people_of_whom_the_first_has_it(shop: Shop) -> None:
    await shop.load(columns + line(1, "A", "x@example.com") + line(2, "B", "x@example.com") + line(3, "B"))
    assert shop.codes == {3: "email-taken"}
    assert shop.customer_of("email", "x@example.com") == shop.customer_of("ext:web", "A")
    assert shop.orders_of(shop.customer_of("ext:web", "B")) == ["3"]


async def test_two_ids_that_want_one_known_person_get_one(shop: Shop) -> None:
    ann = await known_customer(shop, email="ann@example.com")
    await shop.load(columns + line(1, "B", "ann@example.com") + line(2, "A", "ann@example.com"))
    assert (shop.orders_of(ann.id), shop.codes) == (["1"], {3: "email-taken"})
    assert shop.customer_of("ext:web", "A") is None


async def test_nobody_is_created_for_rejected_lines(shop: Shop) -> None:
    await shop.load(columns + line(1, "A"))
    result = await shop.load(columns + line(1, "B") + line(2, "", "", "12"))
    assert (result.customers_created, shop.codes) == (0, {2: "order-of-another-customer", 3: "phone-format"})
    assert shop.query("SELECT count(*) FROM customers") == [(1,)]


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3)])
async def test_the_order_of_lines_does_not_change_who_is_whom(shop: Shop, order: tuple[int, ...]) -> None:
    lines = {
        1: line(1, "A", "a@example.com", "+4930123456"),
        2: line(2, "", "a@example.com"),
        3: line(3, "", "", "+4930123456"),
        4: line(4, "A"),
    }
    result = await shop.load(columns + "".join(lines[number] for number in order))
    assert (result.customers_created, result.rejected) == (1, 0)


async def test_a_second_run_finds_the_people_of_the_first(shop: Shop) -> None:
    text = columns + line(1, "A", "a@example.com") + line(2, "", "b@example.com") + line(3, "", "", "+4930123456")
    await shop.load(text)
    before = shop.writes()
    assert (await shop.load(text)).unchanged == 3
    assert shop.writes() == before


async def test_a_number_is_the_same_person_whatever_programs_left_around_it(shop: Shop) -> None:
    numbers = ["+919876543210", "'+919876543210", "+919876543210.0", "\u202a+91\u00a098765 43210\u202c"]
    result = await shop.load(columns + "".join(line(order, phone=text) for order, text in enumerate(numbers, 1)))
    assert (result.customers_created, shop.codes) == (1, {})
    assert shop.orders_of(shop.customer_of("phone", "+919876543210")) == ["1", "2", "3", "4"]
