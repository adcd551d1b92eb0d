"""Who may see which customer, and what is written down about it."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from regulars.customers.access import exact_filters, identifying_filters
from regulars.customers.errors import AgeRestriction, CustomerErased
from regulars.customers.identifiers import Email
from regulars.customers.schemas import RetailCustomerCreate
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.customers.service_base import age_on
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import InsufficientScope, Principal, operator
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from tests.factories.customers import make_customer, make_metrics, make_scores, set_columns


def caller(*scopes: str, customer_id: UUID | None = None) -> Principal:
    return Principal(uuid4(), "user", "staff", frozenset(scopes), customer_id=customer_id)


lookup = caller("customers:create", "customers:read", "customers:lookup")
staff = caller("customers:create", "customers:read", "customers:lookup", "customers:search", "customers:pii")
analyst = caller("customers:read", "customers:search")
admin = replace(staff, scopes=staff.scopes | {"customers:erase"})


@pytest.fixture
def customers(connection: Connection, clock: Clock) -> RetailCustomerService:
    settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
    return RetailCustomerService(connection, settings, clock)


def new(**fields: Any) -> RetailCustomerCreate:
    return RetailCustomerCreate(**{"first_name": "John", "last_name": "Doe", "email": "john@example.com"} | fields)


async def audited(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = await connection.execute("SELECT action, actor_id, object_id, fields, facts FROM audit_log ORDER BY id")
    return await cursor.fetchall()


async def test_a_new_customer_is_numbered_and_written_down(
    connection: Connection, customers: RetailCustomerService
) -> None:
    made = await customers.create_customer(new(notes="secret", tags=["vip", "vip"]), by=staff)
    assert (made.customer_number, made.version, made.tags, made.masked) == ("CUST-20260615-0001", 1, ["vip"], False)
    [entry] = await audited(connection)
    assert entry == ("create_customer", staff.id, made.id, ["email", "first_name", "last_name", "notes", "tags"], {})


@pytest.mark.parametrize(
    ("born", "refusal"),
    [
        (date(2008, 6, 15), None),
        (date(2008, 6, 16), AgeRestriction),
        (date(2026, 6, 16), Validation),
        (date(1900, 1, 1), None),
        (date(1899, 12, 31), Validation),
    ],
)
async def test_customers_are_of_age(
    customers: RetailCustomerService, born: date, refusal: type[Exception] | None
) -> None:
    if refusal is None:
        assert (await customers.create_customer(new(date_of_birth=born), by=staff)).date_of_birth == born
        return
    with pytest.raises(refusal):
        await customers.create_customer(new(date_of_birth=born), by=staff)


def test_age_changes_on_the_birthday() -> None:
    assert age_on(date(2026, 2, 28), date(2008, 2, 29)) == 17
    assert age_on(date(2026, 3, 1), date(2008, 2, 29)) == 18


async def test_a_referrer_must_be_a_customer(
    connection: Connection, clock: Clock, customers: RetailCustomerService
) -> None:
    ann = await make_customer(connection, clock)
    made = await customers.create_customer(new(referrer_customer_id=ann.id), by=staff)
    assert made.referrer_customer_id == ann.id
    with pytest.raises(Validation):
        await customers.create_customer(new(email="b@example.com", referrer_customer_id=uuid4()), by=staff)
    await set_columns(connection, ann, deleted_at=clock.now())
    with pytest.raises(Validation):
        await customers.create_customer(new(email="b@example.com", referrer_customer_id=ann.id), by=staff)


async def test_money_is_rounded_and_days_are_store_days(
    connection: Connection, clock: Clock, customers: RetailCustomerService
) -> None:
    ann = await make_customer(connection, clock)
    late = clock.start_of(date(2026, 6, 10))
    await make_metrics(connection, ann, orders=3, spent="10.01", first=late, last=late)
    await make_scores(connection, ann, clv="0.005", segment="cant_lose_them")
    shown = await customers.get_customer(ann.id, by=staff)
    assert (shown.total_spent, shown.average_order_value, shown.clv) == ("10.01", "3.34", "0.01")
    assert (shown.first_order_date, shown.last_order_date) == (date(2026, 6, 10), date(2026, 6, 10))
    assert (shown.rfm_segment, shown.rfm_segment_label) == ("cant_lose_them", "Can't Lose Them")


async def test_whoever_sees_people_is_written_down(
    connection: Connection, clock: Clock, customers: RetailCustomerService
) -> None:
    ann = await make_customer(connection, clock)
    filters = RetailCustomerSearchFilters(city=[], tags_none=["x"])
    for by in (analyst, caller(customer_id=ann.id)):
        await customers.get_customer(ann.id, by=by)
    await customers.search_customers(filters, by=analyst)
    assert await audited(connection) == []
    await customers.get_customer(ann.id, by=staff)
    await customers.get_customer_by_number(ann.customer_number, by=operator)
    await customers.search_customers(filters, by=staff)
    assert await audited(connection) == [
        ("get_customer", staff.id, ann.id, [], {}),
        ("get_customer_by_number", None, ann.id, [], {}),
        ("search_customers", staff.id, None, ["tags_none"], {"customer_ids": [str(ann.id)]}),
    ]


async def test_own_records_are_shown_in_clear_and_others_do_not_exist(
    connection: Connection, clock: Clock, customers: RetailCustomerService
) -> None:
    ann, bob = await make_customer(connection, clock), await make_customer(connection, clock)
    me = caller("self", customer_id=ann.id)
    for read in (customers.get_customer(ann.id, by=me), customers.get_customer_by_number(ann.customer_number, by=me)):
        shown = await read
        assert (shown.id, shown.email, shown.masked) == (ann.id, ann.email, False)
    for read in (customers.get_customer(bob.id, by=me), customers.get_customer_by_number(bob.customer_number, by=me)):
        with pytest.raises(NotFound) as refused:
            await read
        assert (type(refused.value), refused.value.detail, refused.value.facts) == (NotFound, None, {})


async def test_callers_without_sight_of_people_get_masks(
    connection: Connection, clock: Clock, customers: RetailCustomerService
) -> None:
    ann = await make_customer(connection, clock, email=Email("ann@example.com"))
    for by in (lookup, analyst):
        assert (await customers.get_customer(ann.id, by=by)).email == "a***@***"
    page = await customers.search_customers(RetailCustomerSearchFilters(), by=analyst)
    assert [(item.email, item.masked) for item in page.items] == [("a***@***", True)]
    made = await customers.create_customer(new(), by=lookup)
    assert (made.last_name, made.masked) == ("D.", True)


@pytest.mark.parametrize(
    ("columns", "by", "expected"),
    [
        (["deleted_at"], staff, NotFound),
        (["deleted_at"], lookup, NotFound),
        (["deleted_at"], admin, None),
        (["deleted_at"], operator, None),
        (["deleted_at", "erased_at"], admin, CustomerErased),
        (["deleted_at", "erased_at"], staff, CustomerErased),
        (["deleted_at", "erased_at"], lookup, NotFound),
    ],
)
async def test_deleted_is_gone_for_most_and_erased_for_all(
    connection: Connection,
    clock: Clock,
    customers: RetailCustomerService,
    columns: list[str],
    by: Principal,
    expected: type[Exception] | None,
) -> None:
    ann = await make_customer(connection, clock, email=Email("ann@example.com"))
    await set_columns(connection, ann, **dict.fromkeys(columns, clock.now()))
    for read in (
        customers.get_customer(ann.id, by=by),
        customers.get_customer_by_number(ann.customer_number, by=by),
        customers.get_customer_by_email(Email("ann@example.com"), by=by),
    ):
        if expected is None:
            assert (await read).id == ann.id
        else:
            with pytest.raises(expected):
                await read


async def allowed(customers: RetailCustomerService, by: Principal, **filters: Any) -> bool:
    try:
        await customers.search_customers(RetailCustomerSearchFilters.model_validate(filters), by=by)
    except InsufficientScope:
        return False
    return True


async def test_whoever_may_only_look_up_gives_exactly_one_identifier(customers: RetailCustomerService) -> None:
    values = {"email": "a@example.com", "phone": "+4930123456", "customer_number": "CUST-20260615-0001"}
    assert values.keys() == exact_filters
    for name, value in values.items():
        assert await allowed(customers, lookup, **{name: value}, limit=1)
        assert not await allowed(customers, lookup, **{name: value}, is_active=True)
    assert not await allowed(customers, lookup)
    assert not await allowed(customers, lookup, email=values["email"], phone=values["phone"])
    assert not await allowed(customers, lookup, q="ann")


async def test_whoever_sees_masks_cannot_ask_for_what_they_hide(customers: RetailCustomerService) -> None:
    values = {
        "q": "ann", "email": "a@example.com", "phone": "+4930123456", "first_name": "A", "last_name": "B",
        "date_of_birth_from": "1990-01-01", "date_of_birth_to": "1990-01-01",
    }  # fmt: skip
    birthday = {"birthday_from": "2026-01-01", "birthday_to": "2026-01-01"}
    assert values.keys() | birthday.keys() | {"user_id", "referrer_customer_id"} == identifying_filters
    assert not await allowed(customers, analyst, **birthday)
    assert await allowed(customers, staff, **birthday)
    values |= {"user_id": str(uuid4()), "referrer_customer_id": str(uuid4())}
    for name, value in values.items():
        assert not await allowed(customers, analyst, **{name: value})
        assert await allowed(customers, staff, **{name: value})
    assert not await allowed(customers, analyst, sort="last_name")
    assert not await allowed(customers, analyst, sort="-last_name")
    assert await allowed(customers, analyst, customer_number="CUST-20260615-0001", city=["Berlin"], sort="-clv")


async def test_deleted_records_are_listed_for_those_who_may_erase(customers: RetailCustomerService) -> None:
    assert not await allowed(customers, staff, include_deleted=True)
    assert await allowed(customers, admin, include_deleted=True)


@pytest.mark.parametrize(("limit", "offset", "total"), [(2, 0, 3), (2, 2, 3), (3, 0, 3), (10, 0, 3), (10, 5, 3)])
async def test_a_page_knows_how_much_there_is(
    connection: Connection, clock: Clock, customers: RetailCustomerService, limit: int, offset: int, total: int
) -> None:
    for _ in range(3):
        await make_customer(connection, clock)
    page = await customers.search_customers(RetailCustomerSearchFilters(limit=limit, offset=offset), by=staff)
    assert (page.total, page.total_is_estimate, page.limit, page.offset) == (total, False, limit, offset)
    assert len(page.items) == max(0, min(limit, 3 - offset))
