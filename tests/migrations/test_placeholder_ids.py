"""What becomes of placeholders that earlier imports took for ids of customers."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import psycopg
import pytest

import regulars.migrations


def upgrade_of(name: str, execute: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The upgrade of the migration with this name, with its statements led elsewhere."""
    [path] = (Path(regulars.migrations.__file__).parent / "versions").glob(f"*_{name}.py")
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "op", type("Statements", (), {"execute": staticmethod(execute)}))
    upgrade: Callable[[], None] = module.upgrade
    return upgrade


def test_placeholders_go_and_whole_numbers_lose_their_fraction(
    own_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {
        "web": ["0", "0.0", "NULL", "''", "\\N", "-", "\u2013", "17850.0", "17851", "17852.0", "17852"],
        "till": ["nan", "A-0", "7.0"],
    }
    with psycopg.connect(own_database_url, autocommit=True) as connection:
        for source, ids in before.items():
            for value in ids:
                connection.execute(
                    "INSERT INTO customer_identifiers VALUES (%s, %s, gen_random_uuid(), now())",
                    [f"ext:{source}", value],
                )

        def run(statement: str) -> None:
            connection.execute(statement.encode())

        upgrade_of("placeholders_identify_nobody", run, monkeypatch)()
        rows = connection.execute("SELECT kind, value FROM customer_identifiers ORDER BY kind, value").fetchall()
    # 17852 has somebody else already, and the ids of the till are no numbers: theirs may be meant.
    assert rows == [
        ("ext:till", "7.0"), ("ext:till", "A-0"),
        ("ext:web", "17850"), ("ext:web", "17851"), ("ext:web", "17852"), ("ext:web", "17852.0"),
    ]  # fmt: skip
