"""A file holds every match once, in its order, as the caller may see it and as of one moment."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, get_args

import pytest

from regulars.accounts.roles import scopes_of
from regulars.customers import repository_search
from regulars.customers.identifiers import Phone
from regulars.customers.models import RetailCustomer
from regulars.customers.schemas import RetailCustomerResponse
from regulars.customers.schemas_search import RetailCustomerSearchFilters, SortKey
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, connect
from regulars.kit.security import InsufficientScope, Principal, operator
from regulars.kit.settings import Settings
from tests.factories.customers import make_customer, make_metrics, make_scores, set_columns

settings = Settings(_env_file=None, store_timezone="Europe/Berlin")
analyst = Principal(None, "user", "analyst", scopes_of("analyst"))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_search, "exported_at_once", 3)


async def export(
    connection: Connection, clock: Clock, by: Principal = operator, **filters: Any
) -> list[dict[str, str]]:
    file = io.BytesIO()
    service = RetailCustomerService(connection, settings, clock)
    rows = await service.export_customers(RetailCustomerSearchFilters.model_validate(filters), file, by=by)
    read = list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))
    assert len(read) == rows
    return read


async def shop_of(connection: Connection, clock: Clock) -> list[RetailCustomer]:
    """Eight customers, some of whom lack names, orders or scores, and some with equal values."""
    people = [
        await make_customer(
            connection, clock, last_name=name, city="Köln" if position % 2 else None,
            created_at=clock.now() - timedelta(days=position),
        )
        for position, name in enumerate(["Öz", "Adams", None, "Öz", "Baker", None, "young", "Zoe"])
    ]  # fmt: skip
    for position, person in enumerate(people[:5]):
        await make_metrics(connection, person, orders=1 + position // 2, spent=str(10 * (position // 2)))
    for position, person in enumerate(people[1:6]):
        await make_scores(connection, person, scores=(1 + position // 2, 3, 3), clv=str(5 * (position // 2)))
    return people


async def test_a_row_is_what_the_api_answers(connection: Connection, clock: Clock) -> None:
    ann = await make_customer(
        connection, clock, last_name='O"Neil, jr.', phone=Phone("+4930123456"), date_of_birth=date(1990, 5, 1),
        notes="two\nlines", tags=["vip", "ä;b"], city="-Berlin",
    )  # fmt: skip
    await make_metrics(connection, ann, orders=3, spent="-100")
    [row] = await export(connection, clock)
    shown = (await RetailCustomerService(connection, settings, clock).get_customer(ann.id, by=operator)).model_dump(
        mode="json"
    )
    assert list(row) == list(RetailCustomerResponse.model_fields)
    assert json.loads(row.pop("tags")) == shown.pop("tags")
    assert row.pop("city") == "'" + shown.pop("city")
    assert (row["total_spent"], row["average_order_value"], row["phone"]) == ("-100.00", "-33.33", "+4930123456")
    assert row == {name: _as_cell(value) for name, value in shown.items() if name not in {"tags", "city"}}


def _as_cell(value: Any) -> str:
    return "" if value in (None, []) else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("sort", get_args(SortKey))
async def test_the_order_is_that_of_the_list_and_a_page_is_no_limit(
    connection: Connection, clock: Clock, sort: str
) -> None:
    await shop_of(connection, clock)
    page = await RetailCustomerService(connection, settings, clock).search_customers(
        RetailCustomerSearchFilters.model_validate({"sort": sort}), by=operator
    )
    assert page.total == 8
    rows = await export(connection, clock, sort=sort, limit=2, offset=5)
    assert [row["id"] for row in rows] == [str(item.id) for item in page.items]


questions: tuple[Mapping[str, Any], ...] = (
    {},
    {"q": "öz"},
    {"city": ["KÖLN", "Bonn"]},
    {"has_orders": True},
    {"has_orders": False, "sort": "last_name"},
    {"rfm_segment": ["need_attention"], "sort": "-clv"},
    {"clv_min": "5", "clv_max": "10"},
    {"total_orders_min": 2, "sort": "total_spent"},
    {"created_from": "2026-06-11"},
    {"email": "nobody@example.com"},
)


@pytest.mark.parametrize("filters", questions, ids=str)
async def test_there_are_as_many_rows_as_a_search_counts(
    connection: Connection, clock: Clock, filters: dict[str, Any]
) -> None:
    await shop_of(connection, clock)
    page = await RetailCustomerService(connection, settings, clock).search_customers(
        RetailCustomerSearchFilters.model_validate(filters), by=operator
    )
    rows = await export(connection, clock, **filters)
    assert (len(rows), {row["id"] for row in rows}) == (page.total, {str(item.id) for item in page.items})


async def test_what_is_deleted_is_left_out_unless_asked_for(connection: Connection, clock: Clock) -> None:
    ann, bob = await make_customer(connection, clock), await make_customer(connection, clock)
    await set_columns(connection, ann, deleted_at=clock.now())
    assert [row["id"] for row in await export(connection, clock)] == [str(bob.id)]
    assert len(await export(connection, clock, include_deleted=True)) == 2
    with pytest.raises(InsufficientScope):
        await export(connection, clock, by=analyst, include_deleted=True)


async def test_an_analyst_gets_a_mask_and_cannot_ask_what_it_hides(connection: Connection, clock: Clock) -> None:
    await make_customer(
        connection, clock, first_name="=Ann", last_name="Doe", phone=Phone("+4930123456"), notes="n",
        date_of_birth=date(1990, 5, 1), address_line1="a", postal_code="1", city="Bonn",
    )  # fmt: skip
    [row] = await export(connection, clock, by=analyst)
    assert (row["first_name"], row["last_name"], row["email"], row["phone"]) == ("'=.", "D.", "j***@***", "***56")
    assert {row[name] for name in ("notes", "date_of_birth", "address_line1", "postal_code", "user_id")} == {""}
    assert (row["city"], row["masked"]) == ("Bonn", "true")
    for filters in ({"q": "ann"}, {"sort": "last_name"}, {"first_name": "A"}):
        with pytest.raises(InsufficientScope):
            await export(connection, clock, by=analyst, **filters)


async def test_who_exported_what_is_written_down(connection: Connection, clock: Clock) -> None:
    await shop_of(connection, clock)
    await export(connection, clock, by=analyst, city=["Köln"])
    cursor = await connection.execute("SELECT action, object_id, fields, facts FROM audit_log")
    assert await cursor.fetchall() == [("export_customers", None, ["city"], {"rows": 4})]


async def test_a_file_shows_one_moment(own_database_url: str, clock: Clock) -> None:
    async with connect(own_database_url) as reader, connect(own_database_url) as writer:
        people = await shop_of(writer, clock)
        filters = RetailCustomerSearchFilters.model_validate({"sort": "last_order_date"})
        service = RetailCustomerService(reader, settings, clock)
        async with reader.transaction():
            batches = service._customers.export_customers(filters, clock)
            read = list(await anext(batches))
            # Whoever had no order is last; the one who orders now must not be met in front, nor the others be missed.
            await make_metrics(writer, people[7], orders=1, last=clock.now() - timedelta(days=900))
            await set_columns(writer, people[6], deleted_at=clock.now())
            await make_customer(writer, clock)
            read += [customer async for batch in batches for customer in batch]
        assert sorted(customer.id for customer in read) == sorted(person.id for person in people)
        assert {customer.deleted_at for customer in read} == {None}
