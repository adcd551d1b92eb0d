"""How callers name an order: by the id it was given here, or by its id in its source."""

import re
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import Field

from regulars.orders.models import OrderKey, OrderName

_id = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_name = r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}:.{1,200}"

OrderKeyText: TypeAlias = Annotated[
    str,
    Field(
        pattern=f"^(?:{_id}|{_name})$",
        description="The order's id, or `source:external_id`.",
        examples=["0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77", "webshop:W-10042"],
    ),
]
"""An order in a path. No source has a colon in its name, so the first one ends it."""


def parse_order_key(text: str) -> OrderKey:
    """What an `OrderKeyText` names."""
    if re.fullmatch(_id, text):
        return UUID(text)
    source, _, external_id = text.partition(":")
    return OrderName(source, external_id)
