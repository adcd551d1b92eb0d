"""What orders were awarded, and what refunds and changes of them do to it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from regulars.formulas.earning import OrderAmounts, Returned
from regulars.loyalty.models import Programme


@dataclass(frozen=True)
class Award:
    """What an order earned, and what refunds have done to it so far.

    Attributes:
        is_supplement: Whether it was given because the order became larger after it had been awarded.
        order_total: The order's total when it was awarded, if it has been changed since; likewise the other amounts.
    """

    transaction_id: UUID
    customer_id: UUID
    order_id: UUID
    points: int
    qualifies: bool
    is_supplement: bool
    programme_version: int
    lot_id: UUID | None
    due_before: int
    charged_before: int
    expired: int
    order_total: Decimal | None
    order_tax: Decimal | None
    order_shipping: Decimal | None
    order_discount: Decimal | None
    order_lines: Decimal | None
    order_rounding: Decimal | None

    @property
    def left(self) -> int:
        """Points of it that nothing has made due."""
        return self.points - self.due_before

    def awarded_for(self, order: OrderAmounts) -> OrderAmounts:
        """The amounts of the order when it was awarded, given those of now."""
        if self.order_total is None:
            return order
        nothing = Decimal(0)
        return OrderAmounts(
            self.order_total,
            self.order_tax or nothing,
            self.order_shipping or nothing,
            self.order_discount or nothing,
            self.order_lines,
            self.order_rounding or nothing,
            order.minor_units,
        )


@dataclass(frozen=True)
class AwardedOrder:
    """An order whose points are to follow what happened to it.

    Attributes:
        cause_id: What happened: the refund, for a cancellation the order, for a change an id of its own.
        amounts: The order as it is now.
        returned: What was paid back for it; None if the order is void: cancelled, or refunded in full.
        may_earn: Whether it earns more when it became larger: it is paid for.
    """

    customer_id: UUID
    order_id: UUID
    cause_id: UUID
    amounts: OrderAmounts
    returned: Returned | None
    may_earn: bool = False

    def points_left(self, award: Award, points: int, programme: Programme) -> int:
        """Points that it keeps of those that its first award, under these rules, gave it."""
        if self.returned is None:
            return 0
        return programme.points_left(points, self.amounts, self.returned, awarded_for=award.awarded_for(self.amounts))


@dataclass(frozen=True)
class ClawBack:
    """What a refund did to one award.

    `due` = `taken` + `expired` + `written_off`: points that expired are not charged again, and what the policy does
    not let become debt is written off.
    """

    customer_id: UUID
    refund_id: UUID
    award_id: UUID
    order_id: UUID
    transaction_id: UUID | None
    due: int
    expired: int
    written_off: int
    taken: int
    lifetime_points: int
    created_at: datetime
