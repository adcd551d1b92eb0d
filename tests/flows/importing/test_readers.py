"""Reading order files: what each format yields, and what is said about a file that cannot be used."""

import gzip
import lzma
from pathlib import Path

import pytest

from regulars.flows.importing.files import guess_format, open_text, parse_format
from regulars.flows.importing.readers import parse_mapping, read_cdnow, read_csv, read_ndjson
from regulars.flows.importing.rows import ImportRow, customers, orders, products
from regulars.kit.errors import OperatorError


def lines_of(text: str) -> object:
    return iter(text.splitlines(keepends=True))


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    rows = read_csv(lines_of("Total, Customer_ID ,note,ORDER_ID,ordered_at\n1,A,x,O1,2026-01-02\n"), {})
    assert rows.columns == ("order_id", "ordered_at", "total", "customer_id")
    assert list(rows.rows) == [ImportRow(2, ("O1", "2026-01-02", "1", "A"))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_told_by_the_header(delimiter: str) -> None:
    text = "order_id,ordered_at,total,customer_id\nO1,2026-01-02,1,A\n".replace(",", delimiter)
    assert [row.values for row in read_csv(lines_of(text), {}).rows] == [("O1", "2026-01-02", "1", "A")]


def test_a_mapped_column_goes_before_one_of_the_same_name() -> None:
    mapping = parse_mapping(["total = Amount paid", "order_id=No"])
    rows = read_csv(lines_of("No,ordered_at,total,Amount Paid,email\n7,2026-01-02,1,2,a@b.c\n"), mapping)
    assert next(iter(rows.rows)).values == ("7", "2026-01-02", "2", "a@b.c")


def test_lines_are_counted_over_blank_lines_and_line_ends_in_quotes() -> None:
    text = 'order_id,ordered_at,total,customer_id\n\n1,d,1,"A\nB"\n2,d,1,A\n'
    assert [(row.line, row.values) for row in read_csv(lines_of(text), {}).rows] == [
        (3, ("1", "d", "1", "A\nB")),
        (5, ("2", "d", "1", "A")),
    ]


def test_a_quote_that_is_not_closed_costs_one_line() -> None:
    text = 'order_id,ordered_at,total,customer_id\n1,d,1,A\n2,d,1,"A\n3,d,1,A\n4,d,1,"A"B\n5,d,1,A\n'
    rows = list(read_csv(lines_of(text), {}).rows)
    assert [(row.line, row.problem) for row in rows] == [
        (2, None),
        (3, "unreadable-row"),
        (4, None),
        (5, "unreadable-row"),
        (6, None),
    ]
    assert rows[1].raw == '2,d,1,"A\n'


@pytest.mark.parametrize(
    ("header", "mapping", "said"),
    [
        ("order_id,ordered_at,customer_id", [], "no column total; its columns are order_id, ordered_at, customer_id"),
        ("a;b", [], "no column order_id, ordered_at, total; its columns are a, b"),
        ("order_id,ordered_at,total", [], "no column customer_id or email or phone or customer_number"),
        ("order_id,order_id,ordered_at,total,email", [], "order_id stands in the header twice"),
        ("order_id,ordered_at,total,email", ["total=price"], "--map total=price: the file has no such column"),
        ('"order_id', [], "header of the file cannot be read"),
    ],
)
def test_a_header_that_cannot_be_used_is_told(header: str, mapping: list[str], said: str) -> None:
    with pytest.raises(OperatorError) as caught:
        read_csv(lines_of(header + "\n"), parse_mapping(mapping))
    assert said in str(caught.value)


@pytest.mark.parametrize(("pair", "said"), [("total", "not name"), ("total=", "not name"), ("sum=x", "no field sum")])
def test_a_mapping_that_cannot_be_used_is_told(pair: str, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        parse_mapping([pair])


def test_json_numbers_keep_their_digits() -> None:
    text = '{"order_id": 12, "total": 10.10, "customer_id": "A", "x": [1], "lines": [{"total": 1.50}]}\n'
    [row] = read_ndjson(lines_of(text), {}).rows
    values = dict(zip(orders.fields, row.values, strict=True))
    assert (values["order_id"], values["total"], values["email"]) == ("12", "10.10", "")
    assert values["lines"] == '[{"total": "1.50"}]'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "unreadable-json"),
        ("[1]", "unreadable-json"),
        ('{"total": NaN}', "unreadable-json"),
        ("[" * 100_000, "unreadable-json"),
        ('{"total": true}', "value-type"),
        ('{"email": ["a"]}', "value-type"),
        ('{"lines": "text"}', None),
    ],
)
def test_json_lines_that_cannot_be_read_are_marked(text: str, problem: str | None) -> None:
    [row] = read_ndjson(lines_of(text + "\n\n"), {}).rows
    assert row.problem == problem


def test_json_keys_can_be_mapped() -> None:
    [row] = read_ndjson(lines_of('{"no": "1", "items": [1]}'), {"order_id": "no", "lines": "items"}).rows
    assert (row.values[orders.fields.index("order_id")], row.values[orders.fields.index("lines")]) == ("1", '["1"]')


def test_json_lines_of_customers_may_hold_lists_and_objects() -> None:
    text = '{"E-Mail": "a@example.com", "tags": ["a", "b"], "external_ids": {"card": "1"}, "first_name": ["x"]}\n'
    lines = text + '{"E-Mail": "b@example.com", "tags": ["a"]}\n'
    rows = read_ndjson(lines_of(lines), {"email": "E-Mail"}, customers)
    bad, good = list(rows.rows)
    assert (bad.line, bad.problem) == (1, "value-type")
    found = {field: value for field, value in zip(rows.columns, good.values, strict=True) if value}
    assert found == {"email": "b@example.com", "tags": '["a"]'}


def test_a_file_of_one_column_is_read() -> None:
    assert [row.values for row in read_csv(lines_of("SKU\nA\nB\n"), {}, products).rows] == [("A",), ("B",)]


def test_a_file_of_customers_must_name_them() -> None:
    with pytest.raises(OperatorError, match="no column customer_id or email or phone or customer_number"):
        read_csv(lines_of("first_name,city\nAnn,Rom\n"), {}, customers)
    with pytest.raises(OperatorError, match="customers have no field total"):
        parse_mapping(["total=sum"], customers)


def test_cdnow_orders_get_ids_of_customer_day_and_occurrence() -> None:
    header = " customer_id  date number_of_cds  dollar_value\r\n"
    text = header + " 00002 19970112  1   12.00\r\n 00002 19970112  5   77.00\n oops\n"
    assert list(read_cdnow(lines_of(text)).rows) == [
        ImportRow(2, ("00002-19970112-1", "1997-01-12", "12.00", "00002")),
        ImportRow(3, ("00002-19970112-2", "1997-01-12", "77.00", "00002")),
        ImportRow(4, (), "column-count", " oops\n"),
    ]


def test_another_table_is_not_cdnow() -> None:
    with pytest.raises(OperatorError, match="its columns are a,b"):
        read_cdnow(lines_of("a,b\n"))


@pytest.mark.parametrize(
    ("name", "expected"), [("o.csv", "csv"), ("O.CSV.GZ", "csv"), ("o.ndjson.xz", "ndjson"), ("o.2026.jsonl", "ndjson")]
)
def test_the_name_tells_the_format(name: str, expected: str) -> None:
    assert guess_format(Path(name)) == expected


@pytest.mark.parametrize(
    ("name", "said"), [("o.txt", "o.txt"), ("-", "Standard input"), ("orders", "orders"), ("csv.gz", "csv.gz")]
)
def test_a_name_that_tells_no_format_asks_for_one(name: str, said: str) -> None:
    with pytest.raises(OperatorError, match=rf"^{said} .*--format csv\|ndjson\|parquet\|cdnow\|completejourney"):
        guess_format(Path(name))


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(OperatorError, match=r"no format xlsx.*csv, ndjson, parquet, cdnow, completejourney"):
        parse_format("xlsx")


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_files_are_unpacked_by_their_suffix(tmp_path: Path, suffix: str) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    file = tmp_path / f"orders.csv{suffix}"
    file.write_bytes(pack("\ufeffé\r\nb".encode()))
    with open_text(file, "utf-8") as lines:
        assert list(lines) == ["é\r\n", "b"]


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes("Müller".encode("cp1252"))
    with open_text(file, "cp1252") as lines:
        assert list(lines) == ["Müller"]


@pytest.mark.parametrize(
    ("name", "content", "encoding", "said"),
    [
        ("orders.csv", b"", "utf-8", "orders.csv is empty"),
        ("orders.csv", b"x", "klingon", "There is no encoding klingon"),
        ("orders.csv.gz", b"no gzip", "utf-8", "orders.csv.gz is damaged"),
        ("orders.csv.xz", lzma.compress(b"x" * 9999)[:-40], "utf-8", "orders.csv.xz is damaged"),
        ("orders.csv", b"a\x00\n\x00b", "utf-16", "orders.csv is not utf-16 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: bytes, encoding: str, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorError, match=said), open_text(tmp_path / name, encoding) as lines:
        list(lines)


def test_a_folder_or_nothing_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="is a folder"), open_text(tmp_path, "utf-8"):
        pass
    with pytest.raises(OperatorError, match="There is no file"), open_text(tmp_path / "o.csv", "utf-8"):
        pass
