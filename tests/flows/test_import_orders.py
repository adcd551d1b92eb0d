"""What an import writes, what it leaves alone, and what it refuses."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from regulars.flows import import_orders as flow
from regulars.flows.importing.rows import ImportProduct
from regulars.kit.errors import OperatorError
from regulars.kit.settings import Settings
from tests.flows.shop import Shop, ndjson_rows, rows_of

header = "order_id,ordered_at,total,customer_id\n"


async def test_orders_and_their_customers_are_created(shop: Shop) -> None:
    result = await shop.load(header + "1,2026-01-02,10.50,A\n2,2026-01-01,1,A\n3,2026-01-02,7,B\n")
    assert (result.received, result.created, result.customers_created, result.rejected) == (3, 3, 2, 0)
    assert shop.query("SELECT external_id, source, total, status, currency, ordered_on FROM orders ORDER BY 1") == [
        ("1", "web", Decimal("10.5"), "paid", "EUR", date(2026, 1, 2)),
        ("2", "web", Decimal(1), "paid", "EUR", date(2026, 1, 1)),
        ("3", "web", Decimal(7), "paid", "EUR", date(2026, 1, 2)),
    ]
    assert shop.orders_of(shop.customer_of("ext:web", "A")) == ["1", "2"]
    assert shop.wrong_metrics() == []


async def test_a_customer_number_tells_the_store_day_of_the_first_order(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A\n2,2025-12-31T23:30:00Z,1,A\n3,2026-01-01T05:00,1,B\n")
    assert shop.query("SELECT customer_number FROM customers ORDER BY 1") == [
        ("CUST-20260101-0001",),
        ("CUST-20260101-0002",),
    ]
    assert shop.query("SELECT last_number FROM customer_number_counters") == [(2,)]
    assert shop.query("SELECT created_at FROM customers WHERE id = %s", [shop.customer_of("ext:web", "A")]) == [
        (datetime(2025, 12, 31, 23, 30, tzinfo=UTC),)
    ]


async def test_a_time_without_offset_is_the_stores(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A\n2,2026-05-02T00:30,1,A\n3,2026-01-02T23:30:00-05:00,1,A\n")
    assert shop.query("SELECT external_id, ordered_at, ordered_on FROM orders ORDER BY 1") == [
        ("1", datetime(2026, 1, 1, 23, 0, tzinfo=UTC), date(2026, 1, 2)),
        ("2", datetime(2026, 5, 1, 22, 30, tzinfo=UTC), date(2026, 5, 2)),
        ("3", datetime(2026, 1, 3, 4, 30, tzinfo=UTC), date(2026, 1, 3)),
    ]


async def test_importing_twice_changes_nothing(shop: Shop) -> None:
    text = (
        "order_id,ordered_at,total,customer_id,email,first_name\n"
        "1,2026-01-02,10,A,a@example.com,Ann\n2,2026-01-03,10,B,,Bob\n"
    )
    await shop.load(text)
    before = shop.writes()
    result = await shop.load(text)
    assert (result.created, result.updated, result.unchanged, result.customers_created) == (0, 0, 2, 0)
    assert shop.writes() == before


async def test_another_spelling_of_the_same_order_is_no_change(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02T12:00:00+01:00,10,A\n")
    result = await shop.load(header + " 1 ,2026-01-02 11:00:00Z,10.00, A\n")
    assert (result.updated, result.unchanged) == (0, 1)


@pytest.mark.parametrize(
    "changed",
    [
        "1,2026-01-03,10,A,paid,web",
        "1,2026-01-02,11,A,paid,web",
        "1,2026-01-02,10,A,fulfilled,web",
        "1,2026-01-02,10,A,paid,app",
    ],
)
async def test_an_order_with_other_content_is_updated(shop: Shop, changed: str) -> None:
    columns = "order_id,ordered_at,total,customer_id,status,channel\n"
    await shop.load(columns + "1,2026-01-02,10,A,paid,web\n")
    result = await shop.load(columns + changed + "\n")
    assert (result.created, result.updated, result.unchanged) == (0, 1, 0)
    [(day, total, status, channel)] = shop.query(
        "SELECT ordered_on::text, total::int::text, status, channel FROM orders"
    )
    assert f"1,{day},{total},A,{status},{channel}" == changed
    assert shop.wrong_metrics() == []


async def test_late_orders_move_the_first_and_only_later_ones_the_last(shop: Shop) -> None:
    await shop.load(header + "5,2026-03-05,1,A\n")
    await shop.load(header + "1,2026-01-01,2,A\n3,2026-03-03,4,A\n")
    [(orders, spent, first, last, days)] = shop.query(
        "SELECT total_orders, net_spent, first_order_at::date::text, last_order_at::date::text, purchase_days"
        " FROM customer_metrics"
    )
    assert (orders, spent, days) == (3, 7, 3)
    assert (first, last) == ("2025-12-31", "2026-03-04")  # midnight in Berlin, told in UTC
    assert shop.wrong_metrics() == []


async def test_a_cancelled_order_is_kept_and_does_not_count(shop: Shop) -> None:
    columns = "order_id,ordered_at,total,customer_id,status\n"
    await shop.load(columns + "1,2026-01-02,10,A,cancelled\n2,2026-01-05,3,A,paid\n")
    assert shop.query("SELECT cancelled_on FROM orders ORDER BY external_id") == [(date(2026, 1, 2),), (None,)]
    await shop.load(columns + "2,2026-01-05,3,A,cancelled\n")
    assert shop.query("SELECT status, cancelled_on FROM orders WHERE external_id = '2'") == [
        ("cancelled", shop.clock.today())
    ]
    assert shop.query("SELECT total_orders, first_order_at FROM customer_metrics") == [(0, None)]


async def test_what_was_refunded_stays_refunded(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,10,A\n2,2026-01-02,10,A\n")
    shop.query("UPDATE orders SET refunded_total = 4, status = 'partially_refunded'")
    result = await shop.load(header + "1,2026-01-02,12,A\n2,2026-01-02,3,A\n")
    assert (result.updated, shop.codes) == (1, {3: "order-refunded"})
    assert shop.query("SELECT total, refunded_total, status FROM orders ORDER BY external_id") == [
        (12, 4, "partially_refunded"),
        (10, 4, "partially_refunded"),
    ]
    assert shop.wrong_metrics() == []


async def test_a_repeated_line_is_skipped_and_a_contradicting_one_rejected(shop: Shop) -> None:
    result = await shop.load(header + "1,2026-01-02,10,A\n1,2026-01-02,10.00,A\n1,2026-01-02,11,A\n1,2026-01-02,10,B\n")
    assert (result.created, result.unchanged, shop.codes) == (1, 1, {4: "order-repeated", 5: "order-repeated"})
    assert shop.query("SELECT total FROM orders") == [(10,)]
    assert shop.customer_of("ext:web", "B") is None


async def test_the_same_id_of_another_source_is_another_order_and_another_customer(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,10,A\n")
    result = await shop.load(header + "1,2026-01-02,10,A\n", source="till")
    assert (result.created, result.customers_created) == (1, 1)


bad_lines = {
    "order-id-missing": ",2026-01-02,1,A,,,,,",
    "order-id-length": f"{'x' * 201},2026-01-02,1,A,,,,,",
    "ordered-at-missing": "1,,1,A,,,,,",
    "ordered-at-format": "1,02.01.2026,1,A,,,,,",
    "ordered-at-range": "1,2026-06-16,1,A,,,,,",
    "total-missing": "1,2026-01-02,,A,,,,,",
    "total-negative": "1,2026-01-02,-1,A,,,,,",
    "total-decimals": "1,2026-01-02,1.005,A,,,,,",
    "total-format": '1,2026-01-02,"1,50",A,,,,,',
    "customer-missing": "1,2026-01-02,1,,,,,,",
    "customer-id-length": f"1,2026-01-02,1,{'x' * 201},,,,,",
    "currency-mismatch": "1,2026-01-02,1,A,USD,,,,",
    "status-unknown": "1,2026-01-02,1,A,,shipped,,,",
    "discount-total-negative": "1,2026-01-02,1,A,,,-1,,",
    "email-format": "1,2026-01-02,1,A,,,,nobody,",
    "phone-format": "1,2026-01-02,1,A,,,,,030 12",
    "column-count": "1,2026-01-02,1,A",
    "unreadable-row": '"1,2026-01-02,1,A,,,,,',
}


@pytest.mark.parametrize(("code", "line"), bad_lines.items(), ids=bad_lines)
async def test_a_bad_line_is_rejected_and_the_others_are_imported(shop: Shop, code: str, line: str) -> None:
    columns = "order_id,ordered_at,total,customer_id,currency,status,discount_total,email,phone\n"
    good = "good,2026-01-02,1,G,eur,paid,0,,\n"
    result = await shop.load(f"{columns}{line}\n{good}")
    assert shop.codes == {2: code}
    assert (result.received, result.created, result.rejected, result.customers_created) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-02-30", "ordered-at-format"),
        ("2026-01-02T25:00", "ordered-at-format"),
        ("2026-01-02T12:00Z+05", "ordered-at-format"),
        ("2026-01-02T12:00:00Z-05:00", "ordered-at-format"),
        ("2026-01-02T12:00:00+01:00+02:00", "ordered-at-format"),
        ("20260102", "ordered-at-format"),
        ("yesterday", "ordered-at-format"),
        ("2026-01-02 BC", "ordered-at-format"),
        ("infinity", "ordered-at-format"),
        ("1899-12-31", "ordered-at-range"),
        ("2026-06-15T12:10:00", "ordered-at-range"),
    ],
)
async def test_only_past_instants_are_taken(shop: Shop, text: str, code: str) -> None:
    await shop.load(header + f"1,{text},1,A\n")
    assert shop.codes == {2: code}


@pytest.mark.parametrize(
    "text", ["NaN", "1e3", "Infinity", "1,000.00", "1 000", "+5", "0x10", "1.", ".5", "1000000000000"]
)
async def test_only_plain_amounts_are_taken(shop: Shop, text: str) -> None:
    await shop.load(rows_of(["order_id", "ordered_at", "total", "customer_id"], [["1", "2026-01-02", text, "A"]]))
    assert shop.codes == {1: "total-format"}


async def test_a_currency_without_decimals_takes_none(shop: Shop) -> None:
    shop.settings = Settings(_env_file=None, currency="JPY")
    result = await shop.load(header + "1,2026-01-02,100,A\n2,2026-01-02,100.5,A\n")
    assert (result.created, shop.codes) == (1, {3: "total-decimals"})


async def test_all_or_nothing_writes_nothing_if_a_line_is_bad(shop: Shop) -> None:
    before = shop.writes()
    result = await shop.load(header + "1,2026-01-02,1,A\n2,2026-01-02,x,A\n", atomic=True)
    assert (result.is_written, result.created, result.rejected) == (False, 0, 1)
    assert shop.writes() == before
    assert (await shop.load(header + "1,2026-01-02,1,A\n", atomic=True)).created == 1


async def test_all_or_nothing_also_covers_what_only_the_stored_orders_show(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A\n")
    result = await shop.load(header + "2,2026-01-02,1,A\n1,2026-01-02,1,B\n", atomic=True)
    assert (result.is_written, shop.codes) == (False, {3: "order-of-another-customer"})
    assert shop.query("SELECT count(*) FROM orders") == [(1,)]


async def test_customers_are_described_by_their_latest_order_and_never_overwritten(shop: Shop) -> None:
    columns = "order_id,ordered_at,total,customer_id,first_name,city,date_of_birth,acquisition_source\n"
    await shop.load(columns + "2,2026-02-02,1,A,Anna,,1990-05-31,\n1,2026-01-02,1,A,Ann,Rom,,shop\n")
    profile = "SELECT first_name, city, date_of_birth, acquisition_source, country FROM customers"
    assert shop.query(profile) == [("Anna", "Rom", date(1990, 5, 31), "shop", None)]
    await shop.load("order_id,ordered_at,total,customer_id,first_name,country\n3,2026-03-02,1,A,Other,IT\n")
    assert shop.query(profile) == [("Anna", "Rom", date(1990, 5, 31), "shop", "IT")]
    assert shop.query("SELECT version FROM customers") == [(2,)]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("first_name", "x" * 101, "profile-length"),
        ("postal_code", "x" * 21, "profile-length"),
        ("city", "Ro\x1bme", "profile-characters"),
        ("last_name", "\u202egnp.exe", "profile-characters"),
        ("date_of_birth", "31.05.1990", "date-of-birth-format"),
        ("date_of_birth", "1990-02-30", "date-of-birth-format"),
        ("date_of_birth", "2026-06-16", "date-of-birth-format"),
    ],
)
async def test_a_profile_that_makes_no_sense_rejects_its_line(shop: Shop, field: str, value: str, code: str) -> None:
    order = ["1", "2026-01-02", "1", "A", value]
    await shop.load(rows_of(["order_id", "ordered_at", "total", "customer_id", field], [order]))
    assert shop.codes == {1: code}


async def test_blanks_are_no_value(shop: Shop) -> None:
    columns = ["order_id", "ordered_at", "total", "email", "phone", "customer_number", "status", "lines"]
    good = [" 1 ", " 2026-01-02 ", " 1 ", " a@example.com ", "  ", " ", " ", "  "]
    await shop.load(rows_of(columns, [good, ["2", "2026-01-02", "1", " ", " ", " ", "", ""]]))
    assert shop.codes == {2: "customer-missing"}
    assert shop.query("SELECT external_id, status FROM orders") == [("1", "paid")]


async def test_an_erased_customer_gets_no_profile_back(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A\n")
    shop.query("UPDATE customers SET erased_at = now()")
    await shop.load("order_id,ordered_at,total,customer_id,first_name\n2,2026-01-02,1,A,Ann\n")
    assert shop.query("SELECT first_name FROM customers") == [(None,)]


async def test_lines_come_with_their_orders_and_products(shop: Shop) -> None:
    order = '{"order_id": "1", "ordered_at": "2026-01-02", "total": %s, "customer_id": 7, "lines": [%s]}'
    first = '{"sku": "S1", "quantity": 2, "unit_price": "2.50", "name": "Soap", "brand": "B"}'
    second = '{"sku": "S2", "quantity": 0.333, "unit_price": 2.99, "total": "1.00"}'
    await shop.load(ndjson_rows(order % ("6.00", f"{first}, {second}")))
    lines = "SELECT line_number, sku, quantity, unit_price, discount, total FROM order_lines ORDER BY 1"
    assert shop.query(lines) == [
        (1, "S1", 2, Decimal("2.5"), 0, 5),
        (2, "S2", Decimal("0.333"), Decimal("2.99"), 0, 1),
    ]
    assert shop.query("SELECT sku, name, brand, category FROM products") == [("S1", "Soap", "B", None)]
    before = shop.writes()
    assert (await shop.load(ndjson_rows(order % ('"6"', f"{first}, {second}")))).unchanged == 1
    assert shop.writes() == before
    assert (await shop.load(ndjson_rows(order % ("5.00", first)))).updated == 1
    assert shop.query(lines) == [(1, "S1", 2, Decimal("2.5"), 0, 5)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('[{"sku": "S", "quantity": 1, "unit_price": "9.00"}]', "lines-sum"),
        ('[{"sku": "S", "quantity": 2, "unit_price": "5", "total": "5"}]', "lines-format"),
        ('[{"sku": "S", "quantity": 1}]', "lines-format"),
        ('[{"sku": "", "quantity": 1, "total": "10"}]', "lines-format"),
        ('[{"sku": "S", "quantity": "one", "total": "10"}]', "lines-format"),
        ('[{"sku": "S", "quantity": 1, "total": "10", "colour": "red"}]', "lines-format"),
        ('[{"sku": "S", "quantity": 1, "unit_price": -10}]', "lines-format"),
        ("[1]", "lines-format"),
        ('{"sku": "S"}', "value-type"),
        (
            "[" + '{"sku": "S", "quantity": 1, "total": "0.01"},' * 500 + '{"sku": "S", "quantity": 1, "total": 5}]',
            "lines-format",
        ),
    ],
)
async def test_lines_that_do_not_make_sense_reject_the_order(shop: Shop, lines: str, code: str) -> None:
    text = f'{{"order_id": "1", "ordered_at": "2026-01-02", "total": "10.00", "customer_id": "A", "lines": {lines}}}'
    await shop.load(ndjson_rows(text))
    assert shop.codes == {1: code}


async def test_products_can_come_beside_the_orders(shop: Shop) -> None:
    def rows(*products: ImportProduct) -> object:
        return rows_of(["order_id", "ordered_at", "total", "customer_id"], [["1", "2026-01-02", "1", "A"]], products)

    await shop.load(rows(ImportProduct("S1", name="Soap"), ImportProduct("S1", name="Soap", department="Home")))
    await shop.load(rows(ImportProduct("S1", brand="B")))
    assert shop.query("SELECT sku, name, brand, department FROM products") == [("S1", "Soap", "B", "Home")]


async def test_texts_with_the_signs_of_copy_come_through(shop: Shop) -> None:
    values = ["a\tb\\n\r\nc", "2026-01-02", "1", "x\\N", 'O"Neil\\.']
    await shop.load(rows_of(["order_id", "ordered_at", "total", "customer_id", "first_name"], [values]))
    assert shop.query("SELECT external_id FROM orders") == [("a\tb\\n\r\nc",)]
    assert shop.query("SELECT first_name FROM customers") == [('O"Neil\\.',)]
    assert shop.customer_of("ext:web", "x\\N")


async def test_a_nul_character_rejects_its_line(shop: Shop) -> None:
    await shop.load(header + "1,2026-01-02,1,A\0\n2,2026-01-02,1,B\n")
    assert shop.codes == {2: "unreadable-row"}
    assert shop.query("SELECT external_id FROM orders") == [("2",)]


async def test_a_rejected_line_is_told_with_its_fields_or_its_text(shop: Shop) -> None:
    await shop.load(header + '1,2026-01-02,x,A\n2,"2026\n3,2026-01-02,1,A\n')
    assert [(reject.line, reject.values, reject.raw) for reject in shop.rejects] == [
        (2, {"order_id": "1", "ordered_at": "2026-01-02", "total": "x", "customer_id": "A"}, ""),
        (3, {"order_id": "", "ordered_at": "", "total": "", "customer_id": ""}, '2,"2026\n'),
    ]
    assert shop.query("SELECT external_id FROM orders") == [("3",)]


async def test_bytes_that_are_no_text_stop_the_import_before_it_writes(shop: Shop) -> None:
    with pytest.raises(OperatorError, match=r"^Line 3 .*--encoding"):
        await shop.load(header + "1,2026-01-02,1,A\n2,2026-01-02,1,M\udcfcller\n")
    assert shop.query("SELECT count(*) FROM orders") == [(0,)]


async def test_half_a_surrogate_pair_in_json_rejects_its_line(shop: Shop) -> None:
    order = '{"order_id": "%s", "ordered_at": "2026-01-02", "total": "1", "customer_id": "%s"}'
    await shop.load(ndjson_rows(order % (1, "\\ud800") + "\n" + order % (2, "A")))
    assert shop.codes == {1: "unreadable-row"}


@pytest.mark.parametrize("source", ["", "a b", "ext:x", "x" * 51, "ümlaut"])
async def test_a_source_is_a_plain_name(shop: Shop, source: str) -> None:
    with pytest.raises(OperatorError, match="source"):
        await shop.load(header, source=source)


async def test_all_orders_of_a_customer_are_written_in_one_batch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "orders_per_batch", 2)
    lines = "".join(f"{number},2026-01-02,1,{'ABCDE'[number % 5]}\n" for number in range(15))
    done = []
    result = await shop.load(header + lines, on_progress=lambda progress: done.append((progress.stage, progress.done)))
    assert result.created == 15
    assert [count for stage, count in done if stage == "writing"] == [3, 6, 9, 12, 15]
    assert shop.wrong_metrics() == []


async def test_every_fault_of_a_line_is_named(shop: Shop) -> None:
    text = "order_id,ordered_at,total,email,phone,status,city,lines\n"
    lines = [
        f",yesterday,-1,nonsense,12,lost,{'x' * 101},[1]",
        "1,2026-01-02,1.234,,,,,",
        "2,2027-01-02,5,ann@example.com,12,paid,,",
        "3,2026-01-02,5,ann@example.com,,,,",
        "4,2026-01-02",
    ]
    result = await shop.load(text + "\n".join(lines) + "\n")
    assert (result.created, result.rejected) == (1, 4)
    assert {line: set(codes.split()) for line, codes in shop.codes.items()} == {
        2: {
            "order-id-missing", "ordered-at-format", "total-negative", "email-format", "phone-format",
            "status-unknown", "profile-length", "lines-format",
        },
        3: {"customer-missing", "total-decimals"},
        4: {"ordered-at-range", "phone-format"},
        6: {"column-count"},
    }  # fmt: skip
