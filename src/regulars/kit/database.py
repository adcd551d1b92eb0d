"""Connections and transactions. The only place that commits on behalf of a request.

A repository is bound to a connection and never commits. Whoever owns the request, command or job opens one
transaction around all of its work:

    async with database.transaction() as connection:
        await RetailCustomerRepository(connection).get(customer_id)
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, Protocol, Self, TypeAlias, TypeVar

from psycopg import AsyncConnection, AsyncCursor, OperationalError
from psycopg.conninfo import make_conninfo
from psycopg.errors import ConnectionTimeout
from psycopg.rows import class_row, scalar_row, tuple_row
from psycopg.sql import SQL, Composed
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from regulars.kit.errors import OperatorError, Unavailable

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]
Query: TypeAlias = LiteralString | SQL | Composed
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
Row = TypeVar("Row")


class Overloaded(Unavailable):
    """The service is busy; try again in a moment."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached."""


class Transactions(Protocol):
    """Whatever can open a transaction: the database of a running program, or the one of a test."""

    def transaction(self) -> Any:  # noqa: ANN401 - an async context manager of Connection
        """Open a transaction: committed when the block ends, rolled back when it raises."""


class Database:
    """A pool of connections to one PostgreSQL database.

    Args:
        url: A libpq connection string or URL.
        size: How many connections may be open at once.
        statement_seconds: Time limit of one statement; 0 means none.
        lock_seconds: How long a statement may wait for a lock.
    """

    def __init__(self, url: str, *, size: int = 8, statement_seconds: float = 0, lock_seconds: float = 0) -> None:
        options = (
            f"-c statement_timeout={int(statement_seconds * 1000)} -c lock_timeout={int(lock_seconds * 1000)}"
            " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC -c jit=off"
        )
        self.url = url
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            make_conninfo(url, options=options, application_name="regulars"),
            min_size=1,
            max_size=size,
            timeout=1.0,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the pool; a server that cannot be reached is found at the first transaction."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Raises:
            Overloaded: every connection is in use and none came free within a second.
            DatabaseUnavailable: the server cannot be reached.
        """
        connection = await self._borrow()
        try:
            async with connection.transaction():
                yield connection
        except OperationalError as error:
            if connection.broken:
                raise DatabaseUnavailable(retry_after=1) from error
            raise
        finally:
            await self._pool.putconn(connection)

    async def _borrow(self) -> Connection:
        try:
            return await self._pool.getconn()
        except (PoolTimeout, PoolClosed) as error:
            if self._pool.get_stats().get("pool_size", 0) == 0 or not await is_reachable(self.url):
                raise DatabaseUnavailable(retry_after=1) from error
            raise Overloaded(retry_after=1) from error


async def is_reachable(url: str) -> bool:
    """Whether a server answers at this address within two seconds."""
    try:
        connection = await AsyncConnection.connect(url, connect_timeout=2)
    except (OperationalError, ConnectionTimeout):
        return False
    await connection.close()
    return True


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Connection]:
    """One connection of its own, in autocommit mode, for commands that manage their own transactions.

    Raises:
        OperatorError: the server cannot be reached.
    """
    try:
        connection = await AsyncConnection.connect(
            url, autocommit=True, connect_timeout=10, options="-c timezone=UTC -c jit=off", application_name="regulars"
        )
    except OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise OperatorError(
            f"The database server cannot be reached ({reason}).",
            "Check REGULARS_DATABASE_URL and that the server runs; unset it to use the embedded PostgreSQL.",
        ) from error
    async with connection:
        yield connection


class Repository:
    """Statements on one connection. Subclasses keep each SQL text next to the method that runs it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _one(self, row: type[Row], query: Query, parameters: Parameters = None) -> Row | None:
        async with self._connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchone()

    async def _all(self, row: type[Row], query: Query, parameters: Parameters = None) -> list[Row]:
        async with self._connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def _value(self, query: Query, parameters: Parameters = None) -> Any:  # noqa: ANN401 - the caller knows its column
        async with self._connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchone()

    async def _rows(self, query: Query, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        async with self._connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query, parameters)
            return await cursor.fetchall()

    async def _execute(self, query: Query, parameters: Parameters = None) -> int:
        """Run a statement and say how many rows it touched."""
        cursor: AsyncCursor[tuple[Any, ...]] = await self._connection.execute(query, parameters)
        return cursor.rowcount
