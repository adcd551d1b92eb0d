"""Order lines of an import: from the JSON of a row to lines that add up, and the catalogue entries they carry."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

from regulars.flows.importing.rows import ImportProduct, product_fields
from regulars.kit.bounds import money_digits, price_decimals, quantity_decimals
from regulars.orders.lines import add_up, canonical_lines, complete_line, most_lines
from regulars.orders.models import OrderLine, OrderTotals

_number = re.compile(rf"-?[0-9]{{1,{money_digits}}}(\.[0-9]{{1,{price_decimals}}})?")
_line_fields = frozenset(["sku", "quantity", "unit_price", "discount", "total", *product_fields])
longest_text = 200


class LinesProblem(Exception):  # noqa: N818 - carries a code to the row's reject, never leaves the import
    """The lines of a row cannot be taken."""


def read_lines(text: str, totals: Mapping[str, str], *, minor_units: int) -> tuple[str, list[ImportProduct]]:
    """The lines of one row as canonical text, and what they say about products.

    Args:
        text: A JSON array of objects.
        totals: The amounts of the row as texts; one that is no number is left to the check of amounts.
        minor_units: Decimals of the currency.

    Raises:
        LinesProblem: with the code of `problems` as its text.
    """
    try:
        objects = json.loads(text, parse_float=str, parse_int=str)
        if not isinstance(objects, list) or len(objects) > most_lines:
            raise LinesProblem("lines-format")
        lines = [_line(item, minor_units) for item in objects]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise LinesProblem("lines-format") from error
    amounts = _amounts(totals)
    if lines and amounts and not add_up(lines, amounts, minor_units=minor_units):
        raise LinesProblem("lines-sum")
    return canonical_lines(lines), [_product(item) for item in objects if any(item.get(key) for key in product_fields)]


def _line(item: Mapping[str, str | None], minor_units: int) -> OrderLine:
    if not _line_fields.issuperset(item) or not all(value is None or isinstance(value, str) for value in item.values()):
        raise ValueError("a line has fields of its own")
    sku = (item["sku"] or "").strip()
    if not 0 < len(sku) <= longest_text or any(len(item.get(key) or "") > longest_text for key in product_fields):
        raise ValueError("a text of a line is missing or too long")
    quantity, total = _decimal(item["quantity"], quantity_decimals), _decimal(item.get("total"), minor_units)
    unit_price, discount = _decimal(item.get("unit_price"), price_decimals), _decimal(item.get("discount"), minor_units)
    if quantity is None or (unit_price or 0) < 0 or (discount or 0) < 0:
        raise ValueError("a number of a line is missing or negative")
    return complete_line(sku, quantity, unit_price, discount or Decimal(0), total, minor_units=minor_units)


def _decimal(text: str | None, decimals: int) -> Decimal | None:
    if text is None or text == "":
        return None
    if not _number.fullmatch(text) or len(text.partition(".")[2]) > decimals:
        raise ValueError("not a number with so many decimals")
    return Decimal(text)


def _amounts(totals: Mapping[str, str]) -> OrderTotals | None:
    texts = {name: text.strip() for name, text in totals.items() if text.strip()}
    if "total" not in texts or not all(_number.fullmatch(text) for text in texts.values()):
        return None
    return OrderTotals(**{name: Decimal(text) for name, text in texts.items()})


def _product(item: Mapping[str, str | None]) -> ImportProduct:
    return ImportProduct((item["sku"] or "").strip(), *(item.get(key) or "" for key in product_fields))
