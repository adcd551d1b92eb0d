"""What we export we can import: value for value, here and in another installation."""

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.customers.identifiers import Email, Phone
from regulars.customers.schemas_search import RetailCustomerSearchFilters
from regulars.customers.service import RetailCustomerService
from regulars.flows.import_customers import import_customers
from regulars.flows.importing.own_exports import is_own_export, own_source
from regulars.flows.importing.readers import read_csv
from regulars.flows.importing.result import ImportResult
from regulars.flows.importing.rows import customers, orders
from regulars.kit.csv_files import csv_bytes
from regulars.kit.database import connect
from regulars.kit.schemas import Text
from regulars.kit.security import operator
from tests.factories.customers import make_customer, set_columns
from tests.flows.shop import Shop

brought_over = (
    *("first_name", "last_name", "email", "phone", "date_of_birth", "gender", "address_line1", "address_line2"),
    *("postal_code", "city", "state", "country", "acquisition_source", "acquisition_campaign", "tags", "created_at"),
)
hostile = [
    "=1+1",
    "-Meyer",
    "'-Meyer",
    "''+x",
    "+promo",
    "@home",
    "'t Hooft",
    "'",
    "''",
    'a"b',
    "a,b;c|d",
    "[x",
    "0",
    "NULL",
    "\ufeffx",
]


async def export(shop: Shop) -> str:
    file = io.BytesIO()
    async with connect(shop.url) as connection, connection.transaction():
        service = RetailCustomerService(connection, shop.settings, shop.clock)
        await service.export_customers(RetailCustomerSearchFilters(sort="created_at"), file, by=operator)
    return file.getvalue().decode()


async def load(shop: Shop, text: str, source: str | None = None) -> ImportResult:
    shop.rejects = []
    return await import_customers(
        shop.url,
        read_csv(iter(text.splitlines(keepends=True)), {}, customers),
        source=source,
        settings=shop.settings,
        clock=shop.clock,
        on_reject=shop.rejects.append,
    )


def kept(text: str) -> list[dict[str, str]]:
    return [{name: row[name] for name in brought_over} for row in csv.DictReader(io.StringIO(text, newline=""))]


async def hostile_shop(shop: Shop) -> None:
    """A customer for each hostile value, which stands wherever a text may stand."""
    async with connect(shop.url) as connection:
        before = None
        for number, value in enumerate(hostile):
            fields: dict[str, Any] = {"first_name": value, "last_name": value, "city": value, "address_line1": value}
            made = await make_customer(
                connection,
                shop.clock,
                created_at=shop.clock.now() - timedelta(days=40 - number),
                email=Email(f"+promo{number}@example.com") if number % 3 else None,
                phone=Phone(f"+4930123{number:03}") if number % 2 else None,
                date_of_birth=date(1990, 1, number + 1),
                tags=[value, "a|b", "=2"],
                acquisition_campaign=value,
                referrer_customer_id=before,
                **fields,
            )
            before = made.id


async def test_another_installation_takes_every_value_as_it_was(shop: Shop, another_shop: Callable[[], Shop]) -> None:
    await hostile_shop(shop)
    text, other = await export(shop), another_shop()
    assert "'=1+1" in text
    # A number of the first shop belongs to somebody else in the other one.
    async with connect(other.url) as connection:
        stranger = await make_customer(connection, other.clock, created_at=shop.clock.now() - timedelta(days=40))
        await set_columns(connection, stranger, phone=None)
    assert stranger.customer_number in text
    result = await load(other, text)
    assert (result.created, result.rejected, other.codes) == (len(hostile), 0, {})
    again = await export(other)
    assert [row for row in kept(again) if row["email"] != stranger.email] == kept(text)
    [[of_stranger]] = other.query("SELECT last_name FROM customers WHERE id = %s", [stranger.id])
    assert of_stranger == stranger.last_name
    referrers = """
        SELECT i.value, r.value FROM customers c
        JOIN customer_identifiers i ON i.customer_id = c.id AND i.kind = 'ext:regulars'
        LEFT JOIN customer_identifiers r ON r.customer_id = c.referrer_customer_id AND r.kind = 'ext:regulars'
    """
    here = shop.query("SELECT id::text, referrer_customer_id::text FROM customers")
    assert sorted(other.query(referrers), key=str) == sorted(here, key=str)
    repeated = await load(other, text)
    assert (repeated.created, repeated.updated, repeated.rejected) == (0, 0, 0)
    assert repeated.unchanged == len(hostile)


async def test_at_home_an_export_changes_nothing(shop: Shop) -> None:
    await hostile_shop(shop)
    text, claims = await export(shop), shop.query("SELECT * FROM customer_identifiers ORDER BY 1, 2")
    result = await load(shop, text)
    assert (result.created, result.updated, result.unchanged, result.rejected) == (0, 0, len(hostile), 0)
    assert await export(shop) == text
    assert shop.query("SELECT * FROM customer_identifiers ORDER BY 1, 2") == claims


async def test_a_part_of_an_export_leaves_out_referrers_who_are_not_in_it(
    shop: Shop, another_shop: Callable[[], Shop]
) -> None:
    await hostile_shop(shop)
    lines, other = (await export(shop)).splitlines(keepends=True), another_shop()
    result = await load(other, lines[0] + lines[5])
    assert (result.created, result.rejected) == (1, 0)
    assert other.query("SELECT referrer_customer_id FROM customers") == [(None,)]


async def test_a_masked_export_is_refused_line_by_line(shop: Shop) -> None:
    text = csv_bytes(
        [["id", "customer_number", "email", "masked"], ["x", "CUST-20260101-0001", "a***@example.com", True]]
    )
    result = await load(shop, text.decode())
    assert (result.created, shop.codes) == (0, {2: "masked-row customer-missing"})


async def test_what_other_systems_write_is_not_altered(shop: Shop) -> None:
    result = await load(shop, "customer_id,first_name,last_name,email\n1,'-Meyer,'=x,'+promo@example.com\n", "crm")
    assert result.created == 1
    assert shop.query("SELECT first_name, last_name, email FROM customers") == [
        ("'-Meyer", "'=x", "'+promo@example.com")
    ]


def test_an_export_is_known_by_three_columns_whatever_became_of_the_others() -> None:
    assert is_own_export(["customer_number", "Masked", "first_name", "ID"], customers)
    assert not is_own_export(["customer_number", "id", "first_name"], customers)
    assert not is_own_export(["customer_number", "id", "masked"], orders)
    assert own_source == "regulars"


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)


def is_a_name(text: str) -> bool:
    try:
        return Text(100).clean(text) == text != ""
    except ValueError:
        return False


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.one_of(names, st.sampled_from(hostile)).filter(is_a_name), min_size=1, max_size=4))
def test_any_name_is_read_as_it_was_written(texts: list[str]) -> None:
    header = ["id", "customer_number", "masked", "first_name"]
    file = csv_bytes([header, *(["1", "CUST-20260101-0001", False, text] for text in texts)]).decode()
    rows = read_csv(iter(file.splitlines(keepends=True)), {}, customers)
    place = rows.columns.index("first_name")
    assert [row.values[place] for row in rows.rows] == texts
