"""How the orders domain says no."""

from typing import ClassVar

from regulars.kit.errors import Conflict, Forbidden, Unprocessable


class OrderConflict(Conflict):
    """An order with this external_id is stored already, with other content."""

    example: ClassVar[dict[str, object]] = {"order_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}


class SourceForbidden(Forbidden):
    """An API client writes under its own source only."""


class OrderCancelled(Conflict):
    """The order is cancelled; it can no longer be paid or refunded."""


class RefundConflict(Conflict):
    """A refund of this order with this refund_id is stored already, with another amount or other lines."""

    example: ClassVar[dict[str, object]] = {"refund_id": "0199c1de-7a10-7c3e-9d55-0c5b4f1e2a77"}


class RefundExceedsOrder(Unprocessable):
    """All refunds together would be more than the order came to, or than was bought of a line."""

    example: ClassVar[dict[str, object]] = {"refundable": "4.90"}
