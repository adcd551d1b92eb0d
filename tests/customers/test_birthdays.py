"""Customers are found by their birthday."""

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from tests.factories.customers import make_customer


def has_birthday(born: date, day: date) -> bool:
    """The rule, said without arithmetic on months."""
    last_of_february = day.month == 2 and (day + timedelta(days=1)).month == 3
    leapling = (born.month, born.day) == (2, 29)
    return (born.month, born.day) == (day.month, day.day) or (leapling and last_of_february)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-02-28", "2026-02-28"), ("2026-03-01", "2026-03-01"), ("2026-02-27", "2026-02-27"),
        ("2028-02-28", "2028-02-28"), ("2028-02-29", "2028-02-29"), ("2028-03-01", "2028-03-01"),
        ("2026-02-01", "2026-02-28"), ("2026-02-20", "2026-03-10"), ("2026-12-20", "2027-01-10"),
        ("2026-03-01", "2027-02-28"), ("2026-03-01", "2027-02-27"), ("2027-03-01", "2028-02-28"),
        ("2027-03-01", "2028-02-29"), ("2028-02-29", "2029-02-28"), ("2028-02-29", "2029-02-27"),
        ("2026-01-01", "2026-12-31"), ("2020-05-05", "2026-05-04"), ("2026-06-15", "2026-06-15"),
        ("2100-02-28", "2100-02-28"), ("2000-01-01", "2099-12-31"),
    ],
)  # fmt: skip
async def test_a_birthday_in_the_period_is_found(connection: Connection, clock: Clock, first: str, last: str) -> None:
    births = [date(2000, 1, 1) + timedelta(days=number) for number in range(0, 366, 9)]
    births += [date(1990, 12, 31), date(2000, 2, 28), date(2000, 2, 29), date(1999, 3, 1), date(1980, 6, 15)]
    born = {(await make_customer(connection, clock, date_of_birth=day)).id: day for day in births}
    await make_customer(connection, clock)
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [start + timedelta(days=number) for number in range(min((end - start).days, 800) + 1)]
    expected = {id_ for id_, birth in born.items() if any(has_birthday(birth, day) for day in days)}
    filters = RetailCustomerSearchFilters.model_validate({"birthday_from": first, "birthday_to": last, "limit": 100})
    found = await RetailCustomerRepository(connection).search_customers(filters, clock)
    assert {customer.id for customer in found} == expected


@pytest.mark.parametrize(
    "given",
    [
        {"birthday_from": "2026-01-01"},
        {"birthday_to": "2026-01-01"},
        {"birthday_from": "2026-01-02", "birthday_to": "2026-01-01"},
    ],
)
def test_a_period_of_birthdays_has_two_ends_in_order(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        RetailCustomerSearchFilters.model_validate(given)
