"""How long the work of a request may take.

Work over its time is cancelled and rolled back, and refused with 504. What has begun to commit is past that: it is
waited for and answered, however long it takes, so that a 504 never stands for something that was done.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from regulars.kit.errors import Unavailable

_running: ContextVar[asyncio.Timeout | None] = ContextVar("running_deadline", default=None)


class Timeout(Unavailable):
    """The answer took too long; nothing was changed."""

    status = 504


@asynccontextmanager
async def deadline(seconds: float | None) -> AsyncIterator[None]:
    """Cancel the block after so many seconds, unless something has been committed in it by then; None never does.

    Raises:
        Timeout: the time was over.
    """
    limit = asyncio.timeout(seconds)
    outer = _running.set(limit)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Timeout(retry_after=1) from error
    finally:
        _running.reset(outer)


def begin_to_commit() -> None:
    """Take the deadline away; called where a transaction is about to commit.

    Raises:
        TimeoutError: the time was over before; roll back.
    """
    limit = _running.get()
    if limit is None:
        return
    if limit.expired():
        raise TimeoutError
    limit.reschedule(None)
