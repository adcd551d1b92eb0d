"""Quantities as callers send and read them."""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from regulars.kit.bounds import quantity_decimals, quantity_digits, quantity_limit
from regulars.kit.schemas import decimal_form

_form = decimal_form(quantity_digits, quantity_decimals, signed=True)


def _quantity(value: object) -> object:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < quantity_limit:
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(_form, value):
        return Decimal(value)
    raise PydanticCustomError("format", 'must be a whole number such as 2, or an amount in a string such as "0.333"')


Quantity: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_form}$"}]}),
]
"""Pieces as a whole number, weights and lengths as a string with up to three decimals."""


def plain(number: Decimal) -> str:
    """A number without needless zeros or an exponent: `2`, `0.333`."""
    return f"{number.normalize():f}"
