"""How callers of a busy service behave."""

import asyncio
from typing import Any

import httpx


async def settled(caller: httpx.AsyncClient, method: str, url: str, **sent: Any) -> httpx.Response:
    """Ask, and ask again as a caller should when the service is busy: nothing was done then."""
    while True:
        answer = await caller.request(method, url, **sent)
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(0.05)
