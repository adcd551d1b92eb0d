"""Reading Parquet files: the same rows as from text, and what is said about files that cannot be used."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regulars.flows.importing import parquet
from regulars.flows.importing.open_rows import open_rows
from regulars.flows.importing.parquet import read_parquet
from regulars.flows.importing.rows import ImportRow
from regulars.kit.errors import OperatorError


def write(path: Path, columns: dict[str, object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_numbers_days_and_instants_become_the_texts_of_a_csv_file(tmp_path: Path) -> None:
    file = write(
        tmp_path / "orders.parquet",
        {
            "note": ["x"],
            "Order_ID": [7],
            "ordered_at": pa.array([datetime(2026, 1, 31, 14, 30, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "total": [Decimal("20.00")],
            "discount_total": [0.5],
            "email": [None],
            "customer_id": pa.array(["A"]).dictionary_encode(),
            "date_of_birth": [date(1990, 5, 31)],
        },
    )
    rows = read_parquet(file, {})
    found = list(rows.rows)
    assert dict(zip(rows.columns, found[0].values, strict=True)) == {
        "order_id": "7",
        "ordered_at": "2026-01-31 14:30:00.000000Z",
        "total": "20",
        "discount_total": "0.5",
        "customer_id": "A",
        "date_of_birth": "1990-05-31",
        "email": "",
    }


def test_lines_may_be_a_nested_column(tmp_path: Path) -> None:
    lines = [[{"sku": "A", "quantity": Decimal("1.000"), "unit_price": Decimal("2.5000")}], None]
    file = write(
        tmp_path / "o.parquet",
        {"order_id": ["1", "2"], "ordered_at": ["d", "d"], "total": ["1", "1"], "email": ["a", "b"], "lines": lines},
    )
    rows = list(read_parquet(file, {}).rows)
    assert json.loads(rows[0].values[-1]) == [{"sku": "A", "quantity": "1", "unit_price": "2.5"}]
    assert rows[1].values[-1] == ""


def test_rows_are_numbered_through_all_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_rows_at_once", 2)
    columns = {"order_id": list("abcde"), "ordered_at": ["d"] * 5, "Sum": ["1"] * 5, "email": ["e"] * 5}
    file = write(tmp_path / "o.parquet", columns)
    with open_rows(file, "parquet", {"total": "sum"}) as rows:
        assert list(rows.rows) == [
            ImportRow(line, (order_id, "d", "1", "e")) for line, order_id in enumerate("abcde", start=1)
        ]


def test_a_file_that_is_something_else_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("order_id,total\n")
    for path, said in [
        (tmp_path / "none.parquet", "There is no file"),
        (tmp_path / "text.parquet", "is no Parquet file"),
        (write(tmp_path / "o.parquet", {"order_id": ["1"]}), "has no column ordered_at, total"),
    ]:
        with pytest.raises(OperatorError, match=said):
            read_parquet(path, {})
    binary = {"order_id": [b"\xff"], "ordered_at": ["d"], "total": ["1"], "email": ["e"]}
    with pytest.raises(OperatorError, match="The column order_id holds bytes that are neither text"):
        list(read_parquet(write(tmp_path / "b.parquet", binary), {}).rows)


def test_standard_input_cannot_be_parquet() -> None:
    with pytest.raises(OperatorError, match="standard input"), open_rows(Path("-"), "parquet", {}):
        pass


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(OperatorError, match=r"regulars\[parquet\]"):
        read_parquet(tmp_path / "o.parquet", {})
