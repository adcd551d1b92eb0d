"""Running a transaction again that the database broke off."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg.errors import DeadlockDetected, SerializationFailure

Result = TypeVar("Result")
attempts = 3


async def with_retries(run: Callable[[], Awaitable[Result]]) -> Result:
    """Run a transaction, and again when it met a deadlock or a serialization failure: three times in all.

    The pause between is short and random, so that two that met do not meet again.
    """
    for attempt in range(1, attempts):
        try:
            return await run()
        except (DeadlockDetected, SerializationFailure):
            await asyncio.sleep(attempt * secrets.randbelow(50) / 1000)
    return await run()
