"""Importing a catalogue: what becomes of rows, and what is said about those that are no product."""

import pytest

from regulars.flows import import_products as flow
from regulars.flows.importing.readers import read_csv, read_ndjson
from regulars.flows.importing.result import ImportResult
from regulars.flows.importing.rows import products
from regulars.flows.importing.staged import ImportOptions
from tests.flows.shop import Shop


async def load(shop: Shop, text: str, *, atomic: bool = False) -> ImportResult:
    shop.rejects = []
    read = read_ndjson if text.startswith("{") else read_csv
    rows = read(iter(text.splitlines(keepends=True)), {}, products)
    return await flow.import_products(
        shop.url, rows, clock=shop.clock, options=ImportOptions(atomic=atomic), on_reject=shop.rejects.append
    )


def catalogue(shop: Shop) -> list[tuple[object, ...]]:
    return shop.query("SELECT sku, name, brand, category, department FROM products ORDER BY sku")


async def test_products_are_added_changed_and_left_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "products_per_batch", 2)
    first = await load(shop, "sku,name,brand\nA,One,X\nB,Two,\nC,Three,Y\n")
    assert (first.received, first.created, first.updated, first.unchanged) == (3, 3, 0, 0)
    written = shop.writes()
    again = await load(shop, "sku,name,brand\nA,One,X\nB,Two,\nC,Three,Y\n")
    assert (again.created, again.updated, again.unchanged) == (0, 0, 3)
    assert shop.writes() == written
    changed = await load(shop, '{"sku": "A", "category": "Soap"}\n{"sku": "B", "name": ""}\n{"sku": "D"}\n')
    assert (changed.created, changed.updated, changed.unchanged) == (1, 1, 1)
    assert catalogue(shop) == [
        ("A", "One", "X", "Soap", None),
        ("B", "Two", None, None, None),
        ("C", "Three", "Y", None, None),
        ("D", None, None, None, None),
    ]


async def test_of_several_lines_with_one_sku_the_last_one_counts(shop: Shop) -> None:
    result = await load(shop, "sku,name\nA,One\nA,Two\n")
    assert (result.created, result.unchanged) == (1, 1)
    assert catalogue(shop)[0][:2] == ("A", "Two")


bad = f"sku,name,brand\nA,One,X\n,Two,X\n{'s' * 201},x,x\nB,{'n' * 201},x\nC,\u202e,x\nD,1\n"


async def test_a_line_that_is_no_product_is_told_and_the_others_are_taken(shop: Shop) -> None:
    result = await load(shop, bad)
    assert (result.received, result.created, result.rejected, result.is_written) == (6, 1, 5, True)
    assert shop.codes == {
        3: "sku-missing",
        4: "sku-length",
        5: "product-length",
        6: "product-characters",
        7: "column-count",
    }
    assert shop.rejects[0].values == {"sku": "", "name": "Two", "brand": "X"}
    assert shop.rejects[-1].raw == "D,1\n"


async def test_all_or_nothing_writes_nothing_when_a_late_line_is_bad(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "products_per_batch", 1)
    result = await load(shop, bad, atomic=True)
    assert (result.created, result.rejected, result.is_written) == (0, 5, False)
    assert catalogue(shop) == []
    assert (await load(shop, "sku\nA\n", atomic=True)).created == 1
