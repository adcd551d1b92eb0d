"""The rules of new orders: who may send them, and what makes sense; and orders as callers read them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.money import minor_units
from regulars.kit.schemas import Page
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import FieldError, Place, Validation
from regulars.orders.access import find_visible, is_masked_for, reach_of
from regulars.orders.errors import SourceForbidden
from regulars.orders.lines import add_up, complete_line
from regulars.orders.models import FullOrder, Order, OrderKey, OrderLine, Refund, StoredLine
from regulars.orders.repository import OrderRepository
from regulars.orders.repository_refunds import RefundRepository
from regulars.orders.repository_search import OrderSearchRepository
from regulars.orders.schemas import OrderCreate, OrderLineCreate, OrderResponse
from regulars.orders.schemas_search import OrderSearchFilters

# Tills' clocks run ahead; an order is in the future only beyond this.
clock_tolerance = timedelta(minutes=5)


def own_source(source: str | None, by: Principal, *, place: Place = "body") -> str:
    """The source under which a caller writes: an API client's own, for others the one they name.

    Raises:
        SourceForbidden: an API client names another's.
        Validation: nobody names any.
    """
    if by.source is not None and source not in (None, by.source):
        raise SourceForbidden
    if by.source is None and source is None:
        raise Validation.at("/source", "missing", place=place)
    return by.source or source or ""


def check_order(order: OrderCreate, settings: Settings, clock: Clock) -> Sequence[OrderLine]:
    """The lines of an order that makes sense, with what they left out.

    Raises:
        Validation: it lies in the future, is in another currency, has more decimals than the currency, or does not
            add up; lists everything that is wrong.
    """
    digits = minor_units(settings.currency)
    faults = [*money_faults(order.currency, _amounts(order), settings)]
    if order.ordered_at > clock.now() + clock_tolerance:
        faults.append(FieldError("body", "/ordered_at", "range", "must not be in the future"))
    lines = [] if faults else list(_complete(order.lines, digits, faults))
    if lines and not faults and not add_up(lines, order.totals(), minor_units=digits):
        faults.append(FieldError("body", "/lines", "range", "must add up to the total"))
    if faults:
        raise Validation.of(faults)
    return lines


def money_faults(
    currency: str | None, amounts: Mapping[str, Decimal | None], settings: Settings
) -> Iterator[FieldError]:
    """Another currency than the installation's, and amounts with more decimals than that has.

    Args:
        currency: As it was sent; None is the installation's.
        amounts: By where they stand in the body; None was not sent.
        settings: Of the installation.
    """
    if currency not in (None, settings.currency):
        yield FieldError("body", "/currency", "enum", f"must be {settings.currency}, the currency of this installation")
    digits = minor_units(settings.currency)
    for pointer, amount in amounts.items():
        if amount is not None and -int(amount.as_tuple().exponent) > digits:
            yield FieldError("body", pointer, "format", f"must have at most {digits} decimals")


def _amounts(order: OrderCreate) -> Mapping[str, Decimal | None]:
    amounts: dict[str, Decimal | None] = {f"/{name}": amount for name, amount in asdict(order.totals()).items()}
    for place, line in enumerate(order.lines):
        amounts |= {f"/lines/{place}/discount": line.discount, f"/lines/{place}/total": line.total}
    return amounts


def _complete(lines: list[OrderLineCreate], digits: int, faults: list[FieldError]) -> Iterator[OrderLine]:
    for place, line in enumerate(lines):
        try:
            yield complete_line(line.sku, line.quantity, line.unit_price, line.discount, line.total, minor_units=digits)
        except ValueError as error:
            faults.append(FieldError("body", f"/lines/{place}", "range", str(error)))


class OrderService:
    """Orders as callers read them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders = OrderRepository(connection)
        self._refunds = RefundRepository(connection)
        self._search = OrderSearchRepository(connection)

    async def get_order(self, key: OrderKey, *, by: Principal) -> OrderResponse:
        """An order with its lines and refunds.

        Raises:
            NotFound: there is none, or none that the caller may know of.
            CustomerErased: the customer was erased, and the caller may know it.
        """
        return await self.show(await find_visible(self._connection, key, by, "orders:read"), by=by)

    async def list_orders(self, filters: OrderSearchFilters, *, by: Principal) -> Page[OrderResponse]:
        """A page of the orders that match, as far as the caller may see them, and how many there are."""
        reach = reach_of(by, names_customer=filters.customer_id is not None)
        found = await self._search.search_orders(filters, reach)
        if len(found) < filters.limit and (found or not filters.offset):
            total, is_estimate = filters.offset + len(found), False
        else:
            total, is_estimate = await self._search.count_orders(filters, reach)
        items = [
            OrderResponse.of(order, masked=is_masked_for(order.order.customer_id, by))
            for order in await self.complete(found)
        ]
        return Page[OrderResponse](
            items=items, total=total, total_is_estimate=is_estimate, limit=filters.limit, offset=filters.offset
        )

    async def show(self, order: Order, *, by: Principal) -> OrderResponse:
        """An order that was read, as a caller sees it."""
        [found] = await self.complete([order])
        return OrderResponse.of(found, masked=is_masked_for(order.customer_id, by))

    async def complete(self, orders: Sequence[Order]) -> list[FullOrder]:
        """Orders with their lines and refunds, in two statements for any number of them."""
        if not orders:
            return []
        lines: dict[UUID, list[StoredLine]] = defaultdict(list)
        refunds: dict[UUID, list[Refund]] = defaultdict(list)
        for line in await self._orders.get_lines(orders):
            lines[line.order_id].append(line)
        for refund in await self._refunds.get_refunds(orders):
            refunds[refund.order_id].append(refund)
        return [FullOrder(order, lines[order.id], refunds[order.id]) for order in orders]
