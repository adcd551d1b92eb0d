"""The rules of new orders: who may send them, and what makes sense."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal

from regulars.kit.clock import Clock
from regulars.kit.money import minor_units
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import FieldError, Place, Validation
from regulars.orders.errors import SourceForbidden
from regulars.orders.lines import add_up, complete_line
from regulars.orders.models import OrderLine
from regulars.orders.schemas import OrderCreate, OrderLineCreate

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
    faults = [*_faults(order, settings.currency, digits)]
    if order.ordered_at > clock.now() + clock_tolerance:
        faults.append(FieldError("body", "/ordered_at", "range", "must not be in the future"))
    lines = [] if faults else list(_complete(order.lines, digits, faults))
    if lines and not faults and not add_up(lines, order.totals(), minor_units=digits):
        faults.append(FieldError("body", "/lines", "range", "must add up to the total"))
    if faults:
        raise Validation.of(faults)
    return lines


def _faults(order: OrderCreate, currency: str, digits: int) -> Iterator[FieldError]:
    if order.currency not in (None, currency):
        yield FieldError("body", "/currency", "enum", f"must be {currency}, the currency of this installation")
    amounts = {f"/{name}": amount for name, amount in asdict(order.totals()).items()}
    for place, line in enumerate(order.lines):
        amounts |= {f"/lines/{place}/discount": line.discount, f"/lines/{place}/total": line.total}
    for pointer, amount in amounts.items():
        if amount is not None and _decimals(amount) > digits:
            yield FieldError("body", pointer, "format", f"must have at most {digits} decimals")


def _decimals(amount: Decimal) -> int:
    return -int(amount.as_tuple().exponent)


def _complete(lines: list[OrderLineCreate], digits: int, faults: list[FieldError]) -> Iterator[OrderLine]:
    for place, line in enumerate(lines):
        try:
            yield complete_line(line.sku, line.quantity, line.unit_price, line.discount, line.total, minor_units=digits)
        except ValueError as error:
            faults.append(FieldError("body", f"/lines/{place}", "range", str(error)))
