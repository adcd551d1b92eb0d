"""Work for many, one after the other, in which one that meets a fault holds up no other."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from regulars.kit.database import DatabaseUnavailable, refusal_for
from regulars.kit.errors import Refusal
from regulars.kit.logs import current_trace_id, log_fault

Item = TypeVar("Item")


async def one_by_one(
    find: Callable[[Sequence[Item]], Awaitable[Sequence[Item]]],
    do: Callable[[Item], Awaitable[object]],
    *,
    at_once: int,
) -> int:
    """Do something for all that are found, page by page; how many it was done for.

    What is raised for one is logged, and leaves that one for another time.

    Args:
        find: Up to `at_once` for whom it is to be done, without those given: they met a fault.
        do: Does it for one, so that it is not found again, in a transaction of its own.
        at_once: The size of a page. A smaller one is the last.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    done, left = 0, list[Item]()
    while True:
        found = await find(left)
        for item in found:
            try:
                await do(item)
                done += 1
            except DatabaseUnavailable:
                raise
            except Exception as fault:  # noqa: BLE001 - whatever it is, the others are not to wait for its end
                expected = isinstance(fault, Refusal) or refusal_for(fault) is not None
                log_fault(fault, trace_id=current_trace_id.get() or "", expected=expected)
                left.append(item)
        if len(found) < at_once:
            return done
