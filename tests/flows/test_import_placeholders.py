"""What stands in a column of customers without naming one, and ids that a data frame turned into fractions."""

import pytest

from regulars.flows.import_points import import_points
from regulars.flows.importing.readers import read_csv
from regulars.flows.importing.rows import points
from tests.flows.shop import Shop
from tests.flows.test_import_customers import load

guests = """order_id,ordered_at,total,customer_id,email,first_name
7001,2026-03-02,18.00,0,mia@shop.example,Mia
7002,2026-03-03,27.00,0,noa@shop.example,Noa
7003,2026-03-04,36.00,0,,
"""
placeholders = """order_id,ordered_at,total,customer_id,email
1,2026-03-02,4.00,NA,
2,2026-03-02,4.00,nan,kim@shop.example
3,2026-03-03,4.00,NULL,
4,2026-03-03,4.00,-,
5,2026-03-04,4.00,17850.0,
6,2026-03-05,4.00,17850,
"""
nobody = (
    *("0", "0.0", "000", "-", "--", "''", "00000000-0000-0000-0000-000000000000", "-1", "NA", "N/A", "#N/A", "<NA>"),
    *("nan", "NaT", "NULL", "(null)", "[null]", "\\N", "nil", "None", "undefined", "unknown", "Guest", "anonymous"),
)


def spent(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query("""
        SELECT c.email, m.net_spent::text::float FROM customers c JOIN customer_metrics m ON m.customer_id = c.id
        ORDER BY c.email
    """)


async def test_guests_with_the_id_0_are_not_one_person(shop: Shop) -> None:
    result = await shop.load(guests)
    assert (result.created, result.customers_created, shop.codes) == (2, 2, {4: "customer-missing"})
    assert spent(shop) == [("mia@shop.example", 18.0), ("noa@shop.example", 27.0)]
    assert shop.customer_of("ext:web", "0") is None


async def test_placeholders_are_empty_and_whole_numbers_have_no_fraction(shop: Shop) -> None:
    result = await shop.load(placeholders)
    assert (result.created, result.customers_created) == (3, 2)
    assert shop.codes == dict.fromkeys((2, 4, 5), "customer-missing")
    assert shop.orders_of(shop.customer_of("ext:web", "17850")) == ["5", "6"]
    assert spent(shop) == [("kim@shop.example", 4.0), (None, 8.0)]
    assert shop.rejects[0].values["customer_id"] == "NA"  # as the file has it


@pytest.mark.parametrize("column", ["customer_id", "email", "phone", "customer_number"])
async def test_no_placeholder_identifies_anybody_in_any_column(shop: Shop, column: str) -> None:
    rows = [f"{number},2026-01-02,1,{text}" for number, text in enumerate(nobody)]
    result = await shop.load(f"order_id,ordered_at,total,{column}\n" + "\n".join(rows))
    assert (result.created, result.customers_created, set(shop.codes.values())) == (0, 0, {"customer-missing"})


async def test_a_fraction_that_is_meant_stays(shop: Shop) -> None:
    await shop.load("order_id,ordered_at,total,customer_id\n1,2026-01-02,1,7.0\n2,2026-01-02,1,7\n3,2026-01-02,1,7.5\n")
    assert shop.customer_of("ext:web", "7.0") not in (None, shop.customer_of("ext:web", "7"))


async def test_placeholders_bring_no_customers_nor_referrers_nor_further_ids(shop: Shop) -> None:
    text = "customer_id,first_name,referrer,external_ids\n"
    lines = ["0,Mia,,", "0,Noa,,", '1.0,Ann,nan,"{""card"": ""0"", ""app"": ""NULL"", ""shop"": ""9""}"']
    lines += ['2.0,Bob,1.0,"{""card"": 0, ""app"": """"}"', "3.0,Eve,0,"]
    result = await load(shop, text + "\n".join(lines) + "\n")
    assert (result.created, shop.codes) == (3, {2: "customer-missing", 3: "customer-missing"})
    ids = shop.query("SELECT kind, value FROM customer_identifiers WHERE kind <> 'number' ORDER BY 1, 2")
    assert ids == [("ext:crm", "1"), ("ext:crm", "2"), ("ext:crm", "3"), ("ext:shop", "9")]
    referrers = shop.query("""
        SELECT c.first_name, r.first_name FROM customers c LEFT JOIN customers r ON r.id = c.referrer_customer_id
        ORDER BY 1
    """)
    assert referrers == [("Ann", None), ("Bob", "Ann"), ("Eve", None)]


async def test_points_of_nobody_are_nobodys(shop: Shop) -> None:
    await load(shop, "customer_id,email\n17,ann@example.com\n")
    with_placeholder = "customer_id,email,points\n0,ann@example.com,5\n17.0,,7\n,-,9\n"
    result = await import_points(
        shop.url,
        read_csv(iter(with_placeholder.splitlines(keepends=True)), {}, points),
        source="crm",
        settings=shop.settings,
        clock=shop.clock,
        on_reject=shop.rejects.append,
    )
    assert (result.rejected, result.points, shop.codes) == (1, 12, {4: "customer-missing"})
