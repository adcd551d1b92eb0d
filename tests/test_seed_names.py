"""Every name that the product owes is where the seed map says, and the map leaves none out.

`tests/spec/seed_names.csv` lists what is owed, `docs/seed-map.md` where each lives: a name of the code (`module:Name`),
an operation (`GET /path`), an index of the database (`index name`), or a test (`tests/file.py::name`).
"""

import ast
import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from regulars.customers.models import RetailCustomer
from regulars.kit.database import Connection
from regulars.loyalty.models import LoyaltyTransaction
from regulars.preferences.models import CustomerPreference
from tests.factories.api import document

root = Path(__file__).parents[1]


@dataclass(frozen=True)
class Owed:
    """A name that the product owes."""

    id: str
    kind: str
    name: str


def owed() -> list[Owed]:
    with (root / "tests" / "spec" / "seed_names.csv").open(newline="") as file:
        return [Owed(**row) for row in csv.DictReader(file)]


@cache
def seed_map() -> dict[str, tuple[str, str]]:
    """By id, the name and where it lives."""
    rows = re.findall(
        r"^\| `([^`]+)` \| (.+?) \| `([^`]+)` \|", (root / "docs" / "seed-map.md").read_text(), re.MULTILINE
    )
    assert len({id_ for id_, _, _ in rows}) == len(rows), "an id stands twice in the map"
    return {id_: (name.strip("`"), where) for id_, name, where in rows}


def test_the_map_has_every_name_and_no_other() -> None:
    assert {id_: name for id_, (name, _) in seed_map().items()} == {row.id: row.name for row in owed()}


def place_of(row: Owed) -> str:
    return seed_map()[row.id][1]


def found(place: str) -> Any:
    """What a place such as `regulars.kit.money:format_money` names; a field of a schema or a row is its description."""
    module, _, names = place.partition(":")
    value: Any = import_module(module)
    for name in names.split("."):
        known = _fields_of(value)
        value = known[name] if name in known else getattr(value, name)
    return value


def _fields_of(value: Any) -> dict[str, Any]:
    if _is_schema(value):
        return dict(value.model_fields)
    return {field.name: field for field in fields(value)} if isinstance(value, type) and is_dataclass(value) else {}


def _is_schema(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def of_kind(*kinds: str) -> list[Owed]:
    rows = [row for row in owed() if row.kind in kinds]
    assert rows, f"the list has no row of the kind {kinds}"
    return rows


def missing(rows: list[Owed], is_there: Callable[[Owed], bool]) -> list[str]:
    """The names that are not where the map says, all of them at once."""
    return [f"{row.id}: {place_of(row)}" for row in rows if not _holds(is_there, row)]


def _holds(is_there: Callable[[Owed], bool], row: Owed) -> bool:
    try:
        return is_there(row)
    except (ImportError, AttributeError, KeyError, FileNotFoundError):
        return False


def test_a_field_of_a_model_is_a_field_of_what_callers_read() -> None:
    def is_there(row: Owed) -> bool:
        return place_of(row).endswith("." + row.name.partition(".")[2]) and found(place_of(row)) is not None

    assert missing(of_kind("field"), is_there) == []


def test_a_member_of_an_enum_is_there() -> None:
    def is_there(row: Owed) -> bool:
        return place_of(row).endswith(":" + row.name) and found(place_of(row)) is not None

    assert missing(of_kind("member"), is_there) == []


def test_a_schema_is_there() -> None:
    def is_there(row: Owed) -> bool:
        schema = found(place_of(row))
        is_described = _is_schema(schema) or bool(is_dataclass(schema) and fields(schema))
        return schema.__name__.partition("[")[0] == row.name and is_described

    assert missing(of_kind("schema"), is_there) == []


def test_a_method_is_there_under_its_name() -> None:
    def is_there(row: Owed) -> bool:
        name = row.name.partition(".")[2]
        is_named = re.split(r"[.:]", place_of(row))[-1] in {name, name.removeprefix("_")}
        return is_named and callable(found(place_of(row)))

    assert missing(of_kind("method"), is_there) == []


def test_an_endpoint_is_in_the_document_under_its_name() -> None:
    def is_there(row: Owed) -> bool:
        method, path = place_of(row).split(" ")
        return bool(document()["paths"][path][method.lower()]["operationId"] == row.name)

    assert missing(of_kind("endpoint"), is_there) == []


async def test_an_index_is_in_the_database(connection: Connection) -> None:
    names = [place_of(row).removeprefix("index ") for row in of_kind("index")]
    cursor = await connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL", [names]
    )
    assert await cursor.fetchall() == []


def test_a_test_is_there() -> None:
    def is_there(row: Owed) -> bool:
        file, _, name = place_of(row).partition("::")
        tree = ast.parse((root / file).read_text())
        return name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}

    assert missing(of_kind("test", "fixture"), is_there) == []


def test_a_name_that_is_not_there_is_found_missing() -> None:
    gone = Owed(next(row.id for row in owed() if row.kind == "field"), "field", "RetailCustomer.gone")
    assert missing([gone], lambda row: found("regulars.customers.schemas:RetailCustomerResponse.gone") is not None)


async def test_the_models_of_the_seed_can_be_had_in_a_test(
    retail_customer: RetailCustomer, loyalty_transaction: LoyaltyTransaction, customer_preference: CustomerPreference
) -> None:
    assert loyalty_transaction.customer_id == customer_preference.customer_id == retail_customer.id
