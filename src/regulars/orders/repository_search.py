"""Finding orders: a page in a given order, and how many there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Placeholder

from regulars.kit.database import Repository
from regulars.orders.models import Order
from regulars.orders.repository_sql import order_columns
from regulars.orders.schemas_search import OrderSearchFilters, OrderSortKey

counted_exactly = 10_000

# Ids grow with the time at which they are made, so that the index on them gives orders as they came in.
_orders: Mapping[OrderSortKey, SQL] = {
    "created_at": SQL("id"),
    "-created_at": SQL("id DESC"),
    "ordered_at": SQL("ordered_at, id"),
    "-ordered_at": SQL("ordered_at DESC, id DESC"),
}
_terms: Mapping[str, SQL] = {
    "customer_id": SQL("customer_id = {}"),
    "source": SQL("source = {}"),
    "external_id": SQL("external_id = {}"),
    "status": SQL("status = ANY({})"),
    "channel": SQL("channel = {}"),
    "ordered_from": SQL("ordered_on >= {}"),
    "ordered_to": SQL("ordered_on <= {}"),
    "total_min": SQL("total >= {}"),
    "total_max": SQL("total <= {}"),
    "has_refunds": SQL("(refunded_total > 0) = {}"),
}
_present = SQL(
    "EXISTS (SELECT FROM customers c WHERE c.id = customer_id AND c.deleted_at IS NULL AND c.erased_at IS NULL)"
)


@dataclass(frozen=True)
class Reach:
    """Whose orders a caller may see.

    Attributes:
        customer_id: This customer's only.
        source: Those of this source only.
        deleted: Also those of customers who were deleted or erased.
    """

    customer_id: UUID | None = None
    source: str | None = None
    deleted: bool = False


class OrderSearchRepository(Repository):
    """Reading many orders at once."""

    async def search_orders(self, filters: OrderSearchFilters, reach: Reach) -> list[Order]:
        """The page that the filters ask for, in their order."""
        where, parameters = _conditions(filters, reach)
        query = SQL("SELECT {} FROM orders WHERE {} ORDER BY {} LIMIT {} OFFSET {}").format(
            order_columns, where, _orders[filters.sort], filters.limit, filters.offset
        )
        async with self._connection.cursor(row_factory=class_row(Order)) as cursor:
            await cursor.execute(query, parameters, prepare=False)  # the best plan depends on how rare the values are
            return await cursor.fetchall()

    async def count_orders(self, filters: OrderSearchFilters, reach: Reach) -> tuple[int, bool]:
        """How many orders match, and whether that is what the planner expects: above 10,000."""
        where, parameters = _conditions(filters, reach)
        matching = SQL("SELECT FROM orders WHERE {}").format(where)
        at_most = SQL("SELECT count(*) FROM ({} LIMIT {}) AS found").format(matching, counted_exactly + 1)
        cursor = await self._connection.execute(at_most, parameters, prepare=False)
        [total] = await cursor.fetchone() or (0,)
        if total <= counted_exactly:
            return int(total), False
        cursor = await self._connection.execute(
            SQL("EXPLAIN (FORMAT JSON) {}").format(matching), parameters, prepare=False
        )
        [plan] = await cursor.fetchone() or ([],)
        return max(int(total), int(plan[0]["Plan"]["Plan Rows"])), True


def _conditions(filters: OrderSearchFilters, reach: Reach) -> tuple[Composable, dict[str, Any]]:
    given = {name: value for name, value in filters if name in _terms and value is not None and value != []}
    terms = [_terms[name].format(Placeholder(name)) for name in given]
    for name, value in (("customer_id", reach.customer_id), ("source", reach.source)):
        if value is not None:
            terms.append(_terms[name].format(Placeholder(f"reach_{name}")))
            given[f"reach_{name}"] = value
    if not reach.deleted:
        terms.append(SQL("{}").format(_present))
    return SQL(" AND ").join(terms) if terms else SQL("true"), given
