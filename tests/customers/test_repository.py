"""Customers are numbered, claimed and found again."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from regulars.customers.errors import EmailTaken, ExternalIdTaken, PhoneTaken
from regulars.customers.identifiers import CustomerNumber, Email, Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Database, connect
from regulars.kit.errors import NotFound
from tests.factories.customers import make_customer, make_metrics, make_scores, set_columns


@pytest.fixture
def customers(connection: Connection) -> RetailCustomerRepository:
    return RetailCustomerRepository(connection)


async def test_customers_are_numbered_by_store_day(connection: Connection, clock: Clock) -> None:
    late_evening = datetime(2026, 6, 15, 22, 30, tzinfo=UTC)
    numbers = [(await make_customer(connection, clock)).customer_number for _ in range(2)]
    assert numbers == ["CUST-20260615-0001", "CUST-20260615-0002"]
    next_day = await make_customer(connection, clock, created_at=late_evening)
    assert next_day.customer_number == "CUST-20260616-0001"


async def test_the_counter_of_a_day_grows_past_four_digits(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    assert await customers.next_customer_number(date(2026, 6, 15), 9_999) == 1
    assert (await make_customer(connection, clock)).customer_number == "CUST-20260615-10000"
    assert await customers.next_customer_number(date(2026, 6, 15), 500) == 10_001
    assert await customers.next_customer_number(date(2026, 6, 15)) == 10_501
    assert await customers.next_customer_number(date(2026, 6, 16)) == 1


async def test_a_customer_is_found_by_everything_that_identifies_it(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    user_id = uuid4()
    ann = await make_customer(
        connection, clock, phone=Phone("+4930123456"), user_id=user_id, external_ids={"webshop": "4711"}
    )
    await make_customer(connection, clock)
    assert ann.email
    assert await customers.get(ann.id) == ann
    assert await customers.lock(ann.id) == ann
    assert await customers.get_by_email(ann.email) == ann
    assert await customers.get_by_phone(Phone("+4930123456")) == ann
    assert await customers.get_by_customer_number(ann.customer_number) == ann
    assert await customers.get_by_user_id(user_id) == ann
    assert await customers.find_claim("ext:webshop", "4711") == ann.id


async def test_what_is_not_there_is_not_found(customers: RetailCustomerRepository) -> None:
    assert await customers.get_by_email(Email("nobody@example.com")) is None
    assert await customers.get_by_phone(Phone("+4930123456")) is None
    assert await customers.get_by_customer_number(CustomerNumber("CUST-20260615-9999")) is None
    assert await customers.get_by_user_id(uuid4()) is None
    for read in (customers.get, customers.lock):
        with pytest.raises(NotFound):
            await read(uuid4())


async def test_no_two_customers_share_an_identifier(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    ann = await make_customer(connection, clock, phone=Phone("+4930123456"), external_ids={"webshop": "4711"})
    before = await customers._rows("SELECT kind, value, customer_id FROM customer_identifiers")
    with pytest.raises(EmailTaken):
        await make_customer(connection, clock, email=ann.email, phone=Phone("+4930999999"))
    with pytest.raises(PhoneTaken):
        await make_customer(connection, clock, phone=ann.phone)
    with pytest.raises(ExternalIdTaken):
        await make_customer(connection, clock, external_ids={"webshop": "4711"})
    assert await customers._rows("SELECT kind, value, customer_id FROM customer_identifiers") == before
    other = await make_customer(connection, clock, external_ids={"till": "4711"})
    assert other.id != ann.id


async def test_what_was_written_is_what_is_read(connection: Connection, clock: Clock) -> None:
    fields = {
        "first_name": "Ann",
        "last_name": "O'Neil",
        "date_of_birth": date(1990, 2, 28),
        "city": "Köln",
        "email_marketing_consent": True,
        "preferred_brands": ["Acme"],
        "tags": ["vip", "b2b"],
        "referrer_customer_id": uuid4(),
        "notes": "line one\nline two",
    }
    ann = await make_customer(connection, clock, **fields)
    assert {name: getattr(ann, name) for name in fields} == fields
    assert (ann.version, ann.is_active, ann.is_verified, ann.created_at) == (1, True, False, clock.now())
    assert (ann.total_orders, ann.total_spent, ann.average_order_value) == (0, Decimal(0), None)
    assert (ann.rfm_segment, ann.clv) == ("prospect", None)


async def test_metrics_and_scores_are_part_of_a_customer(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    ann = await make_customer(connection, clock)
    yesterday = clock.now() - timedelta(days=1)
    await make_metrics(connection, ann, orders=3, spent="100", first=yesterday, last=clock.now())
    unscored = await customers.get(ann.id)
    assert unscored.rfm_segment is None
    await make_scores(connection, ann, scores=(5, 4, 3), segment="loyal", clv="12.5", scored_at=yesterday)
    ann = await customers.get(ann.id)
    assert (ann.total_orders, ann.total_spent, ann.first_order_date) == (3, Decimal(100), yesterday)
    assert ann.average_order_value == Decimal(100) / 3
    assert (ann.rfm_recency_score, ann.rfm_frequency_score, ann.rfm_monetary_score) == (5, 4, 3)
    assert (ann.rfm_segment, ann.clv, ann.rfm_last_calculated) == ("loyal", Decimal("12.5"), yesterday)


@pytest.mark.parametrize(
    ("kind", "coverage", "confirms_rfm", "confirms_clv"),
    [
        ("rfm", "full", True, False),
        ("clv", "full", False, True),
        ("all", "full", True, True),
        ("all", "stale", False, False),
        ("rfm", "selected", False, False),
    ],
)
async def test_a_full_run_confirms_scores_it_need_not_write(
    connection: Connection,
    clock: Clock,
    customers: RetailCustomerRepository,
    kind: str,
    coverage: str,
    confirms_rfm: bool,
    confirms_clv: bool,
) -> None:
    scored, never = await make_customer(connection, clock), await make_customer(connection, clock)
    yesterday, now = clock.now() - timedelta(days=1), clock.now()
    await make_scores(connection, scored, scored_at=yesterday)
    await connection.execute(
        """
        INSERT INTO scoring_runs (kind, coverage, as_of, started_by, started_at, finished_at)
        VALUES (%s, %s, '2026-06-15', 'test', %s, %s)
        """,
        [kind, coverage, yesterday, now],
    )
    found = await customers.get(scored.id)
    assert found.rfm_last_calculated == (now if confirms_rfm else yesterday)
    assert found.clv_last_calculated == (now if confirms_clv else yesterday)
    assert (await customers.get(never.id)).rfm_last_calculated is None


async def test_many_at_once_get_one_email_and_different_numbers(own_database_url: str, clock: Clock) -> None:
    async with Database(own_database_url, size=8) as database:

        async def create(email: str) -> RetailCustomer | None:
            try:
                async with database.transaction() as connection:
                    return await make_customer(connection, clock, email=Email(email), phone=None)
            except EmailTaken:
                return None

        same = [create("ann@example.com") for _ in range(40)]
        others = [create(f"bob{number}@example.com") for number in range(40)]
        made = [customer for customer in await asyncio.gather(*same, *others) if customer]
    assert sorted(customer.email or "" for customer in made) == sorted(
        ["ann@example.com", *(f"bob{number}@example.com" for number in range(40))]
    )
    assert len({customer.customer_number for customer in made}) == 41


async def test_a_lock_holds_off_other_writers_of_the_profile(own_database_url: str, clock: Clock) -> None:
    async with connect(own_database_url) as first, connect(own_database_url) as second:
        ann = await make_customer(first, clock)
        async with first.transaction():
            await RetailCustomerRepository(first).lock(ann.id)
            cursor = await second.execute("SELECT FROM customers WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED", [ann.id])
            assert cursor.rowcount == 0
            # Rows of other tables may still point at the customer.
            cursor = await second.execute("SELECT FROM customers WHERE id = %s FOR KEY SHARE SKIP LOCKED", [ann.id])
            assert cursor.rowcount == 1


async def test_the_text_that_is_searched_follows_the_profile(
    connection: Connection, clock: Clock, customers: RetailCustomerRepository
) -> None:
    ann = await make_customer(connection, clock, first_name="Ann", phone=Phone("+4930123456"))
    text = f" ann {ann.last_name} {ann.email} +4930123456 {ann.customer_number}".lower()
    assert await customers._value("SELECT search_text FROM customers WHERE id = %s", [ann.id]) == text
    await set_columns(connection, ann, first_name=None, last_name=None, email=None, phone=None)
    stripped = await customers._value("SELECT search_text FROM customers WHERE id = %s", [ann.id])
    assert stripped == f" {ann.customer_number}".lower()
