"""What a customer is drawn to, as the purchases show it; beside what the customer says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from regulars.kit.database import Connection
from regulars.kit.settings import Settings
from regulars.orders.repository_affinities import AffinityRepository


@dataclass(frozen=True)
class Affinity:
    """One category or brand.

    Attributes:
        name: As the catalogue has it.
        orders: In how many orders it was bought.
        net_spent: What was paid for it, less refunds, in the installation's currency.
        share: Part of what was spent on all that have a category, or a brand; 0 to 1.
    """

    name: str
    orders: int
    net_spent: Decimal
    share: float


@dataclass(frozen=True)
class CustomerAffinities:
    """What the latest orders of a customer have in common. Orders that were cancelled or refunded in full do not count.

    Attributes:
        orders: On how many orders it rests; up to 500.
        categories: Up to five, by what was spent, largest first.
        brands: Likewise.
        weekday: On which most orders were made, 1 is Monday; the later one of two; None without orders.
        weekday_share: Part of the orders that were made on it.
        hour: Of the store's day in which most orders were made, 0 to 23; None without orders.
        hour_share: Part of the orders that were made in it.
        average_lines: Lines of an order, of those that have any; one decimal.
        average_pieces: Pieces of an order, of those that have lines; one decimal.
    """

    customer_id: UUID
    orders: int
    categories: Sequence[Affinity]
    brands: Sequence[Affinity]
    weekday: int | None
    weekday_share: float
    hour: int | None
    hour_share: float
    average_lines: Decimal | None
    average_pieces: Decimal | None


class AffinityService:
    """Derives affinities when they are asked for: two statements, bounded by the customer's latest 500 orders."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._store_timezone = settings.store_timezone
        self._affinities = AffinityRepository(connection)

    async def get_affinities(self, customer_id: UUID) -> CustomerAffinities:
        """What a customer is drawn to; of one who bought nothing, or is not there, nothing is known."""
        habits = await self._affinities.get_habits(customer_id, store_timezone=self._store_timezone)
        found = await self._affinities.get_favourites(customer_id, store_timezone=self._store_timezone)
        by_kind: dict[str, list[Affinity]] = {"category": [], "brand": []}
        for favourite in found:
            net_spent = favourite.net_spent.quantize(Decimal("0.0001"), ROUND_HALF_UP)
            by_kind[favourite.kind].append(Affinity(favourite.name, favourite.orders, net_spent, favourite.share))
        return CustomerAffinities(
            customer_id=customer_id,
            orders=habits.orders,
            categories=by_kind["category"],
            brands=by_kind["brand"],
            weekday=habits.weekday,
            weekday_share=_part(habits.weekday_orders, habits.orders),
            hour=habits.hour,
            hour_share=_part(habits.hour_orders, habits.orders),
            average_lines=_rounded(habits.average_lines),
            average_pieces=_rounded(habits.average_pieces),
        )


def _part(orders: int | None, of_all: int) -> float:
    return (orders or 0) / of_all if of_all else 0.0


def _rounded(average: Decimal | None) -> Decimal | None:
    return None if average is None else average.quantize(Decimal("0.1"), ROUND_HALF_UP)
