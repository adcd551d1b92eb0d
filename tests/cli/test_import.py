"""`regulars import orders`, as the operator types it."""

import gzip
import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from tests.cli.program import complaint, query, regulars

header = "order_id,ordered_at,total,customer_id\n"


def imported(url: str, *arguments: object, typed: str = "") -> Result:
    return regulars(url, "import", "orders", *arguments, typed=typed)


def orders_in(url: str) -> list[str]:
    return [row[0] for row in query(url, "SELECT external_id FROM orders ORDER BY 1")]


def test_a_good_file_is_imported_and_summed_up(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(header + "1,2026-01-02,10,A\n2,2026-01-02,10,B\n")
    done = imported(own_database_url, file, "--source", "web")
    assert done.exit_code == 0
    assert done.output.startswith("2 orders created, 0 updated, 0 unchanged, 2 customers created in ")
    assert imported(own_database_url, file, "--source", "web").output.startswith(
        "0 orders created, 0 updated, 2 unchanged"
    )
    assert list(tmp_path.iterdir()) == [file]


def test_rejected_lines_go_to_a_file_that_can_be_corrected_and_imported(own_database_url: str, tmp_path: Path) -> None:
    file, rejects = tmp_path / "orders.csv", tmp_path / "orders.csv.rejects.csv"
    file.write_text(
        "Nr,ordered_at,total,customer_id,first_name\n1,2026-01-02,10,A,Ann\n2,2026-01-02,-10,B,Bob\n3,2026\n"
    )
    rejects.write_text("of an earlier import, when everybody could read it")
    rejects.chmod(0o644)
    done = imported(own_database_url, file, "--source", "web", "--map", "order_id=Nr")
    assert done.exit_code == 2
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert f"2 lines were rejected: correct them in {rejects} and import that file." in done.output
    assert rejects.read_text().splitlines() == [
        "line,code,message,order_id,ordered_at,total,customer_id,first_name,raw",
        "3,total-negative,total is negative,2,2026-01-02,-10,B,Bob,",
        '4,column-count,the line does not have as many values as the header,,,,,,"3,2026"',
    ]
    rejects.write_text(rejects.read_text().replace("-10", "10").rpartition("4,")[0])
    assert imported(own_database_url, rejects, "--source", "web").exit_code == 0
    assert orders_in(own_database_url) == ["1", "2"]


def test_a_rejected_line_tells_all_that_is_wrong_with_it(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order_id,ordered_at,total,phone\n1,2026-01-02,-10,12\n")
    assert imported(own_database_url, file, "--source", "web").exit_code == 2
    assert (tmp_path / "orders.csv.rejects.csv").read_text().splitlines()[1] == (
        "2,phone-format total-negative,phone is not a phone number with country code such as +4930123456;"
        " total is negative,1,2026-01-02,-10,12,"
    )


def test_rejects_can_be_sent_elsewhere(own_database_url: str, tmp_path: Path) -> None:
    file, rejects = tmp_path / "orders.csv", tmp_path / "bad.csv"
    file.write_text(header + "1,2026-01-02,x,A\n")
    done = imported(own_database_url, file, "--source", "web", "--rejects", rejects, "--json")
    assert (done.exit_code, json.loads(done.output)["rejects_file"]) == (2, str(rejects))
    assert len(rejects.read_text().splitlines()) == 2


def test_all_or_nothing_says_that_nothing_was_imported(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(header + "1,2026-01-02,1,A\n2,2026-01-02,x,A\n")
    done = imported(own_database_url, file, "--source", "web", "--atomic")
    assert done.exit_code == 2
    assert done.output.startswith("Nothing was imported, because 1 of 2 lines were rejected: see ")
    assert orders_in(own_database_url) == []


def test_the_outcome_comes_as_json(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl.gz"
    order = '{"order_id": "1", "ordered_at": "2026-01-02", "total": "1", "email": "a@example.com"}\n'
    file.write_bytes(gzip.compress(order.encode()))
    outcome = json.loads(imported(own_database_url, file, "--source", "web", "--json").output)
    assert outcome.pop("seconds") > 0
    assert outcome.pop("rows_per_second") > 0
    assert outcome == {
        "received": 1,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "rejected": 0,
        "customers_created": 1,
        "is_written": True,
        "points": 0,
        "orders_awarded": 0,
        "rejects_file": None,
    }


def test_standard_input_is_a_file(own_database_url: str) -> None:
    done = imported(own_database_url, "-", "--source", "web", "--format", "csv", typed=header + "1,2026-01-02,1,A\n")
    assert done.exit_code == 0
    assert orders_in(own_database_url) == ["1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "There is no file"),
        (["."], "does not tell its format by its name"),
        ([".", "--format", "csv"], "is a folder"),
        ([], "No file is named"),
        (["-"], "Standard input has no name to tell its format by"),
        (["orders.csv", "--format", "xlsx"], "There is no format xlsx"),
        (["orders.csv", "--map", "sum=total"], "orders have no field sum"),
        (["orders.csv", "--map", "channel=Shop"], "the file has no such column"),
        (["orders.csv", "--encoding", "klingon"], "There is no encoding klingon"),
        (["orders.csv", "--rejects", "orders.csv"], "--rejects names the file that is imported"),
        (["orders.csv", "--rejects", "nowhere/bad.csv"], "There is no folder"),
        (["orders.csv", "--source", "a b"], "The source is not a name"),
        (["empty.csv"], "empty.csv is empty"),
        (
            ["no_total.csv"],
            "no column total; its columns are order_id, ordered_at, customer_id. Say which column it is",
        ),
        (
            ["latin.csv"],
            "Line 3 holds bytes that are no text in this encoding. Say how it is written: --encoding cp1252",
        ),
        (["damaged.csv", "--encoding", "cp1252"], "this encoding. It is not written in cp1252: name another"),
        (["damaged.csv", "--encoding", "utf-16"], "It is not written in utf-16: name another"),
        (["orders.csv", "--format", "cdnow"], "This is not the CDNOW table"),
        (["orders.csv", "--format", "completejourney"], "is not the transactions of The Complete Journey"),
        (["missing.parquet", "--format", "completejourney"], "There is no file"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_is_written(
    own_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("orders.csv").write_text(header + "1,2026-01-02,1,A\n")
    Path("empty.csv").touch()
    Path("no_total.csv").write_text("order_id,ordered_at,customer_id\n1,2026-01-02,A\n")
    Path("latin.csv").write_bytes(header.encode() + b"1,2026-01-02,1,A\n2,2026-01-02,1,M\xfcller\n")
    Path("damaged.csv").write_bytes(header.encode() + b"1,2026-01-02,1,M\x81ller\n")
    assert said in complaint(imported(own_database_url, "--source", "web", *arguments))
    assert orders_in(own_database_url) == []


def test_a_missing_extra_is_named(own_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    said = complaint(imported(own_database_url, "--source", "journey", "--format", "completejourney"))
    assert "regulars[completejourney]" in said


def test_customers_products_and_points_are_imported_by_the_same_options(own_database_url: str, tmp_path: Path) -> None:
    people, goods, points = (tmp_path / name for name in ("people.csv", "goods.ndjson.gz", "points.parquet"))
    people.write_text("Nr,email\n1,a@example.com\n2,nonsense\n")
    done = regulars(own_database_url, "import", "customers", people, "--source", "crm", "--map", "customer_id=Nr")
    assert done.exit_code == 2
    assert done.output.startswith("1 customers created, 0 updated, 0 unchanged in ")
    assert (tmp_path / "people.csv.rejects.csv").read_text().splitlines()[1] == (
        "3,email-format,email is not an e-mail address such as name@example.com,2,nonsense,"
    )
    goods.write_bytes(gzip.compress(b'{"sku": "A", "name": "Soap"}\n{"sku": "B"}\n'))
    assert regulars(own_database_url, "import", "products", goods).output.startswith(
        "2 products created, 0 updated, 0 unchanged"
    )
    pq.write_table(pa.table({"email": ["a@example.com"], "points": [30]}), points)
    assert "\n30 points brought in." in regulars(own_database_url, "import", "points", points).output
    assert "--format csv|ndjson|parquet." in complaint(
        regulars(own_database_url, "import", "products", tmp_path / "goods.txt")
    )
    assert "no format cdnow" in complaint(regulars(own_database_url, "import", "products", goods, "--format", "cdnow"))


def test_points_are_awarded_when_asked(own_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(header + "1,2026-01-02,10,A\n2,2026-01-02,10,B\n")
    done = imported(own_database_url, file, "--source", "web", "--award", "--events")
    assert "\n20 points awarded for 2 orders." in done.output
    kinds = query(own_database_url, "SELECT kind, count(*) FROM events GROUP BY kind")
    assert ("order.recorded", 2) in kinds
