"""Every filter finds whom it should and nobody else; every order is complete, whatever the page size."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import ValidationError

from regulars.customers import repository_search
from regulars.customers.identifiers import Email, Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_search import CustomerCount
from regulars.customers.schemas_search import RetailCustomerListQuery, RetailCustomerSearchFilters, SortKey
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.factories.customers import make_customer, make_metrics, make_scores, make_unmeasured_order, set_columns
from tests.factories.loyalty import make_account

referrer, user = UUID(int=1), UUID(int=2)


@pytest.fixture
async def ann(connection: Connection, clock: Clock) -> RetailCustomer:
    """Has a value in everything that can be asked for."""
    ann = await make_customer(
        connection,
        clock,
        first_name="Ann-Sofie",
        last_name="Ödegård",
        email=Email("ann_100%@example.com"),
        phone=Phone("+4930123456"),
        created_at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC),  # 10 March in Berlin
        date_of_birth=date(1990, 5, 1),
        gender="female",
        city="ÅRHUS",
        state="Midtjylland",
        country="Denmark",
        email_marketing_consent=True,
        sms_marketing_consent=True,
        push_notification_consent=True,
        preferred_categories=["shoes", "hats"],
        preferred_brands=["Acme"],
        tags=["vip", "b2b"],
        acquisition_source="ads",
        acquisition_campaign="spring",
        referrer_customer_id=referrer,
        user_id=user,
    )
    await set_columns(connection, ann, is_active=False, is_email_verified=True, is_phone_verified=True)
    first, last = datetime(2026, 3, 31, 22, 0, tzinfo=UTC), datetime(2026, 5, 1, 21, 59, tzinfo=UTC)
    await make_metrics(connection, ann, orders=4, spent="200", first=first, last=last)
    await make_scores(connection, ann, scores=(5, 4, 3), segment="loyal", clv="80", p_buy=0.5)
    await make_unmeasured_order(connection, ann, date(2026, 5, 1))
    await make_account(
        connection,
        ann.id,
        balance=20,
        lifetime=30,
        tier="gold",
        tier_until=clock.end_of(date(2026, 7, 31)),
        expires_at=clock.end_of(date(2026, 6, 30)),
    )
    await connection.execute(
        "INSERT INTO customer_engagement (customer_id, last_activity_at) VALUES (%s, '2026-05-10 12:00+02')", [ann.id]
    )
    return ann


@pytest.fixture
async def bob(connection: Connection, clock: Clock) -> RetailCustomer:
    """Has nothing but a name and an address."""
    return await make_customer(connection, clock, first_name="Bob", last_name="Xavier", email=Email("bob@example.org"))


async def found(connection: Connection, clock: Clock, **filters: Any) -> list[UUID]:
    query = RetailCustomerSearchFilters.model_validate(filters)
    return [customer.id for customer in await RetailCustomerRepository(connection).search_customers(query, clock)]


# For each filter: values that find Ann but not Bob, and values that do not find Ann.
cases: Mapping[str, tuple[list[Any], list[Any]]] = {
    "q": (
        [
            "ödeg",
            "SOFIE ö",
            "ann_1",
            "100%",
            "+49301",
            "3456",
            "an",
            "260310-0001",
            "ödegård ann-sofie",
            "degard o fie",
        ],
        ["100_", "a%n", "nn-sofie x", "nn", "%%%%", "ann bob", "\u0301\u0301"],
    ),
    "email": (["ANN_100%@example.com "], ["ann@example.com"]),
    "phone": (["+49 30 123456"], ["+4930123457"]),
    "customer_number": (["cust-20260310-0001"], ["CUST-20260310-0002"]),
    "first_name": (["ANN", "Ann-Sofie", "Änn"], ["Sofie", "Ann_", "%", "\u0301"]),
    "last_name": (["öde", "ÖDEGÅRD", "odegard"], ["degård"]),
    "gender": ([["female", "male"]], [["male"]]),
    "date_of_birth_from": (["1990-05-01"], ["1990-05-02"]),
    "date_of_birth_to": (["1990-05-01"], ["1990-04-30"]),
    "city": ([["århus"], ["Oslo", "Århus"], ["Arhus"]], [["Oslo"], ["Århu"]]),
    "state": ([["MIDTJYLLAND"], ["Mídtjylland"]], [["Skåne"]]),
    "country": ([["denmark"]], [["Norway"]]),
    "is_active": ([False], [True]),
    "is_verified": ([True], [False]),
    "is_email_verified": ([True], [False]),
    "is_phone_verified": ([True], [False]),
    "loyalty_tier": ([["gold"], ["silver", "gold"]], [["bronze"], ["platinum"]]),
    "loyalty_points_min": ([20, 1], [21]),
    "loyalty_points_max": ([], [19]),
    "loyalty_points_lifetime_min": ([30, 1], [31]),
    "loyalty_points_lifetime_max": ([], [29]),
    "tier_expiry_from": (["2026-07-31"], ["2026-08-01"]),
    "tier_expiry_to": (["2026-07-31"], ["2026-07-30"]),
    "points_expiring_from": (["2026-06-30"], ["2026-07-01"]),
    "points_expiring_to": (["2026-06-30"], ["2026-06-29"]),
    "rfm_segment": ([["loyal"], ["lost", "loyal"]], [["champion"], ["prospect"]]),
    "rfm_recency_score_min": ([5, 1], []),
    "rfm_recency_score_max": ([5], [4]),
    "rfm_frequency_score_min": ([4], [5]),
    "rfm_frequency_score_max": ([4], [3]),
    "rfm_monetary_score_min": ([3], [4]),
    "rfm_monetary_score_max": ([3], [2]),
    "clv_min": (["80"], ["80.01"]),
    "clv_max": (["80"], ["79.99"]),
    "p_buy_min": ([0.5], [0.51]),
    "p_buy_max": ([0.5], [0.49]),
    "total_spent_min": (["200", "0.01"], ["200.01"]),
    "total_spent_max": ([], ["199.99"]),
    "average_order_value_min": (["50"], ["50.01"]),
    "average_order_value_max": (["50"], ["49.99"]),
    "total_orders_min": ([4, 1], [5]),
    "total_orders_max": ([], [3]),
    "has_orders": ([True], [False]),
    "first_order_from": (["2026-04-01"], ["2026-04-02"]),
    "first_order_to": (["2026-04-01"], ["2026-03-31"]),
    "last_order_from": (["2026-05-01"], ["2026-05-02"]),
    "last_order_to": (["2026-05-01"], ["2026-04-30"]),
    "ordered_from": (["2026-05-01"], ["2026-05-02"]),
    "ordered_to": (["2026-05-01"], ["2026-04-30"]),
    "created_from": ([], ["2026-03-11"]),
    "created_to": (["2026-03-10"], ["2026-03-09"]),
    "last_activity_from": (["2026-05-10"], ["2026-05-11"]),
    "last_activity_to": (["2026-05-10"], ["2026-05-09"]),
    "email_marketing_consent": ([True], [False]),
    "sms_marketing_consent": ([True], [False]),
    "push_notification_consent": ([True], [False]),
    "preferred_categories": ([["hats", "toys"]], [["toys"]]),
    "preferred_brands": ([["Acme"]], [["acme"]]),
    "tags_any": ([["vip", "new"]], [["new"]]),
    "tags_all": ([["b2b", "vip"]], [["vip", "new"]]),
    "tags_none": ([], [["vip", "new"]]),
    "acquisition_source": ([["ads"]], [["Ads"]]),
    "acquisition_campaign": ([["spring"]], [["summer"]]),
    "referrer_customer_id": ([str(referrer)], [str(user)]),
    "user_id": ([str(user)], [str(referrer)]),
}
hits = [(name, value) for name, (values, _) in cases.items() for value in values]
misses = [(name, value) for name, (_, values) in cases.items() for value in values]


# Which go together, and need runs: see the tests of movement.
of_two_runs = {"segment_from", "from_run", "to_run"}
of_a_birthday = {"birthday_from", "birthday_to"}


def test_every_filter_has_a_case() -> None:
    filters = RetailCustomerSearchFilters.model_fields.keys() - {"sort", "limit", "offset", "include_deleted"}
    assert filters - of_two_runs - of_a_birthday == cases.keys()


@pytest.mark.parametrize(("name", "value"), hits)
async def test_a_filter_finds_whom_it_describes(
    connection: Connection, clock: Clock, ann: RetailCustomer, bob: RetailCustomer, name: str, value: Any
) -> None:
    assert await found(connection, clock, **{name: value}) == [ann.id]


@pytest.mark.parametrize(("name", "value"), misses)
async def test_a_filter_leaves_out_whom_it_does_not_describe(
    connection: Connection, clock: Clock, ann: RetailCustomer, bob: RetailCustomer, name: str, value: Any
) -> None:
    assert ann.id not in await found(connection, clock, **{name: value})


@pytest.mark.parametrize(
    "filters",
    [
        {"total_spent_max": "0"},
        {"total_orders_max": 0},
        {"has_orders": False},
        {"rfm_segment": ["prospect"]},
        {"loyalty_tier": ["bronze"]},
        {"loyalty_points_max": 0},
        {"loyalty_points_lifetime_max": 0},
        {"tags_none": ["vip"]},
        {"created_from": "2026-06-15"},
    ],
)
async def test_whoever_has_not_bought_is_found_by_it(
    connection: Connection, clock: Clock, ann: RetailCustomer, bob: RetailCustomer, filters: dict[str, Any]
) -> None:
    assert await found(connection, clock, **filters) == [bob.id]


async def test_a_least_total_of_nothing_leaves_nobody_out(
    connection: Connection, clock: Clock, ann: RetailCustomer, bob: RetailCustomer
) -> None:
    assert await found(connection, clock, total_spent_min="0", total_orders_min=0) == [bob.id, ann.id]


async def test_filters_all_hold_and_ends_of_one_range_meet_one_order(
    connection: Connection, clock: Clock, ann: RetailCustomer
) -> None:
    await make_unmeasured_order(connection, ann, date(2026, 7, 1))
    await make_unmeasured_order(connection, ann, date(2026, 6, 1), cancelled=True)
    assert await found(connection, clock, ordered_from="2026-05-15", ordered_to="2026-06-15") == []
    assert await found(connection, clock, ordered_from="2026-05-15", ordered_to="2026-07-15") == [ann.id]
    assert await found(connection, clock, city=["Århus"], gender=["male"]) == []
    assert await found(connection, clock, email="ann_100%@example.com", phone="+4930999999") == []


async def test_deleted_customers_are_found_only_when_asked_for(
    connection: Connection, clock: Clock, ann: RetailCustomer, bob: RetailCustomer
) -> None:
    await set_columns(connection, ann, deleted_at=clock.now())
    assert await found(connection, clock) == [bob.id]
    assert await found(connection, clock, email="ann_100%@example.com") == []
    assert await found(connection, clock, include_deleted=True) == [bob.id, ann.id]


async def crowd(connection: Connection, clock: Clock) -> dict[UUID, RetailCustomer]:
    """Twelve customers with ties and gaps in everything that can be sorted by."""
    customers = RetailCustomerRepository(connection)
    for number in range(12):
        name = None if number % 4 == 0 else ["b", "A", "a", "Ä"][number % 4]
        at = clock.now() - timedelta(hours=number % 5)
        made = await make_customer(connection, clock, last_name=name, created_at=at)
        if number % 3:
            orders = 0 if number == 1 else number % 4 + 1
            await make_metrics(connection, made, orders=orders, spent=str(number % 5), last=at)
        if number % 3 == 2:
            await make_scores(connection, made, scores=(number % 5 + 1, 2, 3), clv=str(number % 2 * 7))
        if number % 4:
            await make_account(connection, made.id, balance=number % 5 - 2, lifetime=number % 3)
        if number == 4:
            await make_scores(connection, made, scores=None, clv=None)
    filters = RetailCustomerSearchFilters()
    return {customer.id: customer for customer in await customers.search_customers(filters, clock)}


sort_values = {
    "last_name": lambda customer: customer.last_name and customer.last_name.lower().replace("ä", "a"),
}


def in_order(customers: list[RetailCustomer], sort: str) -> bool:
    key = sort.removeprefix("-")
    value = sort_values.get(key, lambda customer: getattr(customer, key))
    values = [value(customer) for customer in customers]
    present = [one for one in values if one is not None]
    return values[: len(present)] == present and present == sorted(present, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", get_args(SortKey))
async def test_every_order_is_the_same_in_pages_of_any_size(
    connection: Connection, clock: Clock, sort: SortKey
) -> None:
    by_id = await crowd(connection, clock)
    everyone = await found(connection, clock, sort=sort)
    assert sorted(everyone) == sorted(by_id)
    assert in_order([by_id[customer_id] for customer_id in everyone], sort)
    for size in (1, 5):
        pages = [await found(connection, clock, sort=sort, limit=size, offset=at) for at in range(0, 15, size)]
        assert [customer_id for page in pages for customer_id in page] == everyone


async def test_the_latest_come_first_unless_asked_otherwise(connection: Connection, clock: Clock) -> None:
    await crowd(connection, clock)
    assert await found(connection, clock) == await found(connection, clock, sort="-created_at")


@pytest.mark.parametrize(("present", "expected"), [(3, (3, False)), (4, (4, False)), (6, (6, True))])
async def test_a_count_is_exact_up_to_a_bound_and_an_estimate_above(
    connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch, present: int, expected: tuple[int, bool]
) -> None:
    monkeypatch.setattr(repository_search, "counted_exactly", 4)
    for _ in range(present):
        await make_customer(connection, clock, city="Berlin")
    await make_customer(connection, clock, city="Bern")
    await connection.execute("ANALYZE customers")
    filters = RetailCustomerSearchFilters(city=["berlin"])
    assert await RetailCustomerRepository(connection).count_customers(filters, clock) == CustomerCount(*expected)


async def test_an_estimate_is_never_below_what_was_counted(
    connection: Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_search, "counted_exactly", 4)
    for _ in range(8):
        await make_customer(connection, clock, tags=["new"])
    filters = RetailCustomerSearchFilters(tags_any=["new"], city=[])
    count = await RetailCustomerRepository(connection).count_customers(filters, clock)
    assert count.is_estimate
    assert count.total >= 5


async def test_nobody_is_counted_for_an_unknown_identifier(connection: Connection, clock: Clock) -> None:
    filters = RetailCustomerSearchFilters(email=Email("nobody@example.com"))
    assert await RetailCustomerRepository(connection).count_customers(filters, clock) == CustomerCount(
        0, is_estimate=False
    )


@pytest.mark.parametrize(
    "filters",
    [
        {"total_spent_min": "2", "total_spent_max": "1"},
        {"created_from": "2026-01-02", "created_to": "2026-01-01"},
        {"rfm_recency_score_min": 0},
        {"clv_min": 1},
        {"q": "a"},
        {"q": "a" * 101},
        {"limit": 101},
        {"limit": "10"},
        {"offset": 100_001},
        {"sort": "password_hash"},
        {"city": ["a"] * 51},
        {"is_active": "true"},
        {"colour": "red"},
    ],
)
def test_filters_without_sense_are_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RetailCustomerSearchFilters.model_validate(filters)


def test_a_range_may_be_one_value() -> None:
    filters = RetailCustomerSearchFilters.model_validate({"clv_min": "1", "clv_max": "1", "created_to": "2026-01-01"})
    assert filters.given().keys() == {"clv_min", "clv_max", "created_to"}


def test_query_parameters_are_the_same_filters_as_text() -> None:
    query = RetailCustomerListQuery.model_validate({"limit": "10", "is_active": "true", "p_buy_min": "0.5"})
    assert (query.limit, query.is_active, query.p_buy_min) == (10, True, 0.5)
    assert RetailCustomerListQuery.model_fields.keys() == RetailCustomerSearchFilters.model_fields.keys()
