"""Every type that a Parquet column may have, for every kind of field: its text, or a refusal that names the column."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regulars.flows.importing import parquet
from regulars.flows.importing.parquet import read_parquet
from regulars.flows.importing.rows import Subject, UnusableFile, customers, orders
from tests.flows.shop import Shop

uuids = [UUID("0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"), UUID("ffc0b1a2-0000-4000-8000-00000000000f"), None]
raw = [value and value.bytes for value in uuids]
told = [str(value or "") for value in uuids]
midnight = datetime(1990, 5, 31, tzinfo=UTC)


def column(tmp_path: Path, name: str, values: object, subject: Subject = orders) -> list[str]:
    """The texts of one column of a file."""
    file = tmp_path / "file.parquet"
    table = {"order_id": ["1"], "ordered_at": ["d"], "total": ["1"], "email": ["e"], "customer_id": ["c"]}
    count = len(values)  # type: ignore[arg-type]
    pq.write_table(pa.table({key: value * count for key, value in table.items()} | {name: values}), file)
    rows = read_parquet(file, {}, subject)
    return [row.values[rows.columns.index(name)] for row in rows.rows]


def decimals(*texts: str | None, scale: int = 9) -> pa.Array:
    return pa.array([text and Decimal(text) for text in texts], pa.decimal128(38, scale))


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("total", decimals("19.9", "0", "-0", "100", None), ["19.9", "0", "0", "100", ""]),
        ("total", decimals("0.000000001"), ["0.000000001"]),
        ("total", pa.array([Decimal("19.9")], pa.decimal256(60, 20)), ["19.9"]),
        ("total", decimals("19.9").dictionary_encode(), ["19.9"]),
        ("total", pa.array([19.9, 1e-7, 1e15, -0.0]), ["19.9", "0.0000001", "1000000000000000", "0"]),
        ("total", pa.array([float("nan"), None]), ["", ""]),
        ("total", pa.array([19.9], pa.float32()), ["19.9"]),
        ("total", pa.array([1, 2**63], pa.uint64()), ["1", str(2**63)]),
        ("total", pa.array(["19.90"], pa.large_string()), ["19.90"]),
        ("customer_id", decimals("17850"), ["17850"]),
        ("customer_id", pa.array([17850.0, None]), ["17850", ""]),
        ("customer_id", pa.array(raw, pa.uuid()), told),
        ("customer_id", pa.array(raw, pa.binary(16)), told),
        ("customer_id", pa.array(raw, pa.binary()), told),
        ("customer_id", pa.array(raw, pa.binary_view()), told),
        ("customer_id", pa.array([b"ABCDEFGHIJKLMNO", b"\xc3\xb6"], pa.large_binary()), ["ABCDEFGHIJKLMNO", "\u00f6"]),
        ("customer_id", pa.array([b"ABCDEFGHIJKLMNOP"], pa.binary(16)), ["ABCDEFGHIJKLMNOP"]),
        ("email", pa.array(["a", None], pa.string_view()), ["a", ""]),
        ("email", pa.array(["a", None, "a"], pa.large_string()).dictionary_encode(), ["a", "", "a"]),
        ("email", pa.nulls(2), ["", ""]),
        ("ordered_at", pa.array([midnight], pa.timestamp("us", "Asia/Kolkata")), ["1990-05-31 05:30:00.000000+0530"]),
        ("ordered_at", pa.array([midnight], pa.timestamp("s")), ["1990-05-31 00:00:00.000"]),
        ("ordered_at", pa.array([date(1990, 5, 31)], pa.date64()), ["1990-05-31"]),
        ("date_of_birth", pa.array([midnight, None], pa.timestamp("ns")), ["1990-05-31", ""]),
        ("date_of_birth", pa.array([midnight], pa.timestamp("us", "UTC")), ["1990-05-31"]),
        ("date_of_birth", pa.array([midnight.replace(hour=7)], pa.timestamp("s")), ["1990-05-31 07:00:00.000"]),
        ("channel", pa.array([True, None]), ["true", ""]),
    ],
)  # fmt: skip
def test_values_become_the_texts_of_a_csv_file(tmp_path: Path, name: str, values: object, texts: list[str]) -> None:
    assert column(tmp_path, name, values) == texts


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("total", pa.array([timedelta(days=1)], pa.duration("s"))),
        ("total", pa.array([time(1, 2)], pa.time64("us"))),
        ("total", pa.array([midnight], pa.timestamp("us"))),
        ("total", pa.array([True])),
        ("total", pa.array([["1"]])),
        ("total", pa.array(raw[:1], pa.uuid())),
        ("customer_id", pa.array([timedelta(days=1)], pa.duration("ns"))),
        ("customer_id", pa.array([{"a": 1}])),
        ("ordered_at", pa.array([20260131])),
        ("ordered_at", pa.array([time(1, 2)], pa.time32("s"))),
        ("date_of_birth", pa.array([33023.0])),
        ("email", pa.array([["a@example.com"]])),
        ("lines", pa.array([7])),
    ],
)
def test_a_type_that_means_nothing_for_a_field_is_refused_by_column(tmp_path: Path, name: str, values: object) -> None:
    with pytest.raises(UnusableFile, match=f"The column {name} is of the type .*, which means nothing for {name}"):
        column(tmp_path, name, values)


def test_lists_and_objects_hold_exact_numbers(tmp_path: Path) -> None:
    line = {"sku": "A", "quantity": Decimal(1), "unit_price": Decimal("19.9"), "discount": Decimal(0), "total": 19.9}
    kinds = dict.fromkeys(["quantity", "unit_price", "discount"], pa.decimal128(38, 9))
    kind = pa.struct({"sku": pa.string(), **kinds, "total": pa.float64()})
    for values in (pa.array([[line], None], pa.list_(kind)), pa.array([[line], None], pa.large_list(kind))):
        found, nothing = column(tmp_path, "lines", values)
        assert json.loads(found) == [
            {"sku": "A", "quantity": "1", "unit_price": "19.9", "discount": "0", "total": "19.9"}
        ]
        assert nothing == ""
    ids = pa.array([[("web", "7")], None], pa.map_(pa.string(), pa.string()))
    assert column(tmp_path, "external_ids", ids, customers) == ['{"web": "7"}', ""]
    with pytest.raises(UnusableFile, match="The column lines holds values that mean nothing in lines"):
        column(tmp_path, "lines", pa.array([[{"sku": "A", "quantity": timedelta(1)}]]))


def test_the_first_values_say_whether_bytes_are_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_rows_at_once", 2)
    # The last of them alone would pass for text.
    ascii_id = UUID(bytes=b"ABCDEFGHIJKLMNOP")
    values = pa.array([None, None, *raw[:2], ascii_id.bytes], pa.binary())
    assert column(tmp_path, "customer_id", values) == ["", "", *told[:2], str(ascii_id)]


async def test_a_file_as_other_programs_write_it_is_imported(tmp_path: Path, shop: Shop) -> None:
    file = tmp_path / "orders.parquet"
    table = {
        "order_id": pa.array(raw[:2], pa.uuid()),
        "customer_id": pa.array(raw[:2], pa.binary(16)),
        "ordered_at": pa.array([midnight, midnight], pa.timestamp("ns", "Europe/Berlin")),
        "total": decimals("19.9", "0"),
        "date_of_birth": pa.array([datetime(1990, 5, 31)] * 2, pa.timestamp("ns")),  # noqa: DTZ001 - as pandas has days
        "city": pa.array(["K\u00f6ln"] * 2).dictionary_encode(),
    }
    pq.write_table(pa.table(table), file)
    assert ((await shop.load(read_parquet(file, {}))).created, shop.codes) == (2, {})
    assert shop.query("SELECT external_id, total::text FROM orders ORDER BY 1") == [
        (told[0], "19.9000"),
        (told[1], "0.0000"),
    ]
    assert shop.query("SELECT DISTINCT date_of_birth, city FROM customers") == [(date(1990, 5, 31), "K\u00f6ln")]
    assert shop.customer_of("ext:web", told[0])
    too_exact = {**table, "total": decimals("19.995", "0.000000001")}
    pq.write_table(pa.table(too_exact), file)
    await shop.load(read_parquet(file, {}))
    assert shop.codes == dict.fromkeys([1, 2], "total-decimals")


# The most memory since the program began; ru_maxrss would count that of the process it was forked from.
program = """
import sys
from pathlib import Path
from regulars.flows.importing.parquet import read_parquet

count = sum(1 for _ in read_parquet(Path(sys.argv[1]), {}).rows)
print(count, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_a_file_of_one_row_group(tmp_path: Path) -> None:
    grown = []
    for count in (100_000, 1_500_000):
        ids = pa.array([f"{number:032d}" for number in range(count)], pa.string())
        table = pa.table({"order_id": ids, "ordered_at": ids, "total": ids, "email": ids})
        file = tmp_path / f"{count}.parquet"
        pq.write_table(table, file, row_group_size=count, use_dictionary=False, compression="none")
        done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
        read, kilobytes = map(int, done.stdout.split())
        assert read == count
        grown.append(kilobytes // 1024)
    assert grown[1] - grown[0] < 60, grown
