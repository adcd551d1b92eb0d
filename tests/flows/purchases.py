"""What happens to an order in a test: events that can be sent in any order, and what they come to."""

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from regulars.flows.record_purchase import record_purchase
from regulars.flows.refund_order import cancel_order, refund_order
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import Refusal
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from regulars.orders.models import OrderName
from regulars.orders.schemas import OrderCreate
from regulars.orders.schemas_refunds import OrderCancel, RefundCreate

Json = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """An order in one of its statuses."""

    body: Json

    @property
    def name(self) -> str:
        return str(self.body["external_id"])


@dataclass(frozen=True)
class Refunded:
    """A refund of an order."""

    name: str
    body: Json


@dataclass(frozen=True)
class Cancelled:
    """A cancellation of an order."""

    name: str


Event = Recorded | Refunded | Cancelled


@dataclass
class Till:
    """Sends events, each in a transaction of its own, and keeps how often they were refused."""

    database: Transactions
    settings: Settings
    clock: Clock
    source: str = "till"
    refused: list[str] = field(default_factory=list)

    async def send(self, event: Event) -> None:
        async with self.database.transaction() as connection:
            try:
                await self._do(connection, event)
            except Refusal as refusal:
                self.refused.append(refusal.slug())

    async def _do(self, connection: Connection, event: Event) -> None:
        context: Json = {"by": operator, "settings": self.settings, "clock": self.clock}
        if isinstance(event, Recorded):
            order = OrderCreate.model_validate({**event.body, "source": self.source})
            await record_purchase(connection, order, **context)
        elif isinstance(event, Refunded):
            refund = RefundCreate.model_validate(event.body)
            await refund_order(connection, OrderName(self.source, event.name), refund, **context)
        else:
            await cancel_order(connection, OrderName(self.source, event.name), OrderCancel(), **context)


def split(cents: int, parts: int, random: Random) -> list[int]:
    """An amount in up to so many parts, each above zero."""
    cuts = sorted(random.sample(range(1, cents), min(parts - 1, cents - 1))) if cents > 1 else []
    return [end - start for start, end in zip([0, *cuts], [*cuts, cents], strict=True)]


def money(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


async def state_of(connection: Connection, customer_id: UUID) -> Json:
    """What a customer's purchases came to: metrics, points, and of each order what it earned and gave back."""

    async def rows(statement: str) -> list[tuple[Any, ...]]:
        return await (await connection.execute(statement, {"id": customer_id})).fetchall()  # type: ignore[arg-type]

    return {
        "metrics": await rows(
            "SELECT total_orders, net_spent, first_order_at, last_order_at, purchase_days FROM customer_metrics"
            " WHERE customer_id = %(id)s"
        ),
        "points": await rows(
            "SELECT balance, lifetime_points, tier FROM loyalty_accounts"
            " WHERE customer_id = %(id)s AND (balance, lifetime_points) <> (0, 0)"
        ),
        "scores": await rows(
            "SELECT recency_score, frequency_score, monetary_score, segment, clv, clv_reason FROM customer_scores"
            " WHERE customer_id = %(id)s"
        ),
        "orders": await rows(
            """
            SELECT external_id, status, CASE WHEN status <> 'cancelled' THEN refunded_total END,
                coalesce((SELECT sum(points) FROM loyalty_transactions t
                    WHERE t.customer_id = o.customer_id AND t.order_id = o.id AND t.transaction_type = 'EARNED'), 0)
                - coalesce((SELECT sum(due) FROM point_clawbacks c
                    WHERE c.customer_id = o.customer_id AND c.order_id = o.id), 0) AS points_left
            FROM orders o WHERE customer_id = %(id)s ORDER BY external_id
            """
        ),
    }
