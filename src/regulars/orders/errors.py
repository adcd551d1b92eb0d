"""How the orders domain says no."""

from typing import ClassVar

from regulars.kit.errors import Conflict, Forbidden


class OrderConflict(Conflict):
    """An order with this external_id is stored already, with other content."""

    example: ClassVar[dict[str, object]] = {"order_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}


class SourceForbidden(Forbidden):
    """An API client writes under its own source only."""
