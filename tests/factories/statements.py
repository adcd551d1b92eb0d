"""How many statements something takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import AsyncCursor


@contextmanager
def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that the block runs, as they are run."""
    statements: list[str] = []
    execute = AsyncCursor.execute

    async def counted(cursor: Any, query: Any, *rest: Any, **options: Any) -> Any:
        statements.append(str(query))
        return await execute(cursor, query, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(AsyncCursor, "execute", counted)
        yield statements
