"""Quantities as callers send and read them."""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError


def _quantity(value: object) -> object:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**8:
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,7})(\.[0-9]{1,3})?", value):
        return Decimal(value)
    raise PydanticCustomError("format", 'must be a whole number such as 2, or an amount in a string such as "0.333"')


Quantity: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_quantity),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^-?[0-9]{1,8}(\.[0-9]{1,3})?$"}]}),
]
"""Pieces as a whole number, weights and lengths as a string with up to three decimals."""


def plain(number: Decimal) -> str:
    """A number without needless zeros or an exponent: `2`, `0.333`."""
    return f"{number.normalize():f}"
