"""Connections and transactions. The only place that commits on behalf of a request.

A repository is bound to a connection and never commits. Whoever owns the request, command or job opens one
transaction around all of its work:

    async with database.transaction() as connection:
        await RetailCustomerRepository(connection).get(customer_id)
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, LiteralString, Protocol, Self, TypeAlias, TypeVar

from psycopg import AsyncConnection, AsyncCursor, OperationalError
from psycopg import connect as connect_now
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import (
    ConnectionTimeout,
    DeadlockDetected,
    DiskFull,
    LockNotAvailable,
    ObjectInUse,
    QueryCanceled,
    ReadOnlySqlTransaction,
    SerializationFailure,
)
from psycopg.rows import class_row, scalar_row, tuple_row
from psycopg.sql import SQL, Composed, Identifier
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from regulars.kit.deadline import Timeout, begin_to_commit
from regulars.kit.errors import OperatorError, Refusal, Unavailable, out_of_space
from regulars.kit.measures import Figure, gauge, gauges

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]
Query: TypeAlias = LiteralString | SQL | Composed
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
Row = TypeVar("Row")

_settings = {"timezone": "UTC", "jit": "off"}

longest_wait_seconds = 1.0

runtime_role = "regulars_app"
"""Who the program is while it works: it may use the tables and change no history and no schema, whoever it signs in as.

Only migrations, and what makes databases, work as the user of the address. What the role may do with each table stands
in `migrations/distribution.csv`.
"""


class Overloaded(Unavailable):
    """The service is busy; try again in a moment."""


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached."""


def refusal_for(error: BaseException) -> Refusal | None:
    """The refusal that stands for a fault of the database which is nobody's mistake; None for any other exception."""
    if isinstance(error, QueryCanceled):
        return Timeout(retry_after=1)
    if isinstance(error, LockNotAvailable | DeadlockDetected | SerializationFailure):
        return Overloaded(retry_after=1)
    if isinstance(error, OperationalError):
        return DatabaseUnavailable(retry_after=1)
    return None


def runtime_conninfo(
    url: str, *, application_name: str = "regulars", settings: Mapping[str, object] | None = None
) -> str:
    """The address of a database, for connections that are the runtime role from their first statement on.

    Args:
        url: A libpq connection string or URL.
        application_name: As the server's list of connections shows it.
        settings: Of the session, by the server's names for them.
    """
    options = " ".join(f"-c {name}={value}" for name, value in {"role": runtime_role, **(settings or {})}.items())
    return make_conninfo(url, options=options, application_name=application_name)


class Transactions(Protocol):
    """Whatever can open a transaction: the database of a running program, or the one of a test."""

    def transaction(self) -> Any:  # noqa: ANN401 - an async context manager of Connection
        """Open a transaction: committed when the block ends, rolled back when it raises."""


class Database:
    """A pool of connections to one PostgreSQL database, all of them as the runtime role.

    Args:
        url: A libpq connection string or URL.
        size: How many connections may be open at once.
        statement_seconds: Time limit of one statement; 0 means none.
        lock_seconds: How long a statement may wait for a lock.
        stuck_seconds: How long the pool may stand still, with every connection in use and none coming back, before
            those who wait are refused. A queue that moves is a burst: it is worth waiting in, for a second at most. One
            that does not move is no place to wait: what holds the connections (a lock, a stalled disk) takes as long
            as it takes, and every waiting request would hold a place that others could be refused from at once.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 8,
        statement_seconds: float = 0,
        lock_seconds: float = 0,
        stuck_seconds: float = longest_wait_seconds,
    ) -> None:
        session = {
            "statement_timeout": int(statement_seconds * 1000),
            "lock_timeout": int(lock_seconds * 1000),
            "idle_in_transaction_session_timeout": 60_000,
            **_settings,
        }
        self.url = url
        self._size = size
        self._stuck_seconds = stuck_seconds
        self._lent = 0
        self._moved_at = 0.0
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            runtime_conninfo(url, settings=session),
            min_size=1,
            max_size=size,
            timeout=longest_wait_seconds,
            # After a failure the pool waits ever longer. Whoever needs a connection then makes it begin anew, at once.
            reconnect_timeout=longest_wait_seconds,
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

    def figures(self) -> list[Figure]:
        """How the pool stands."""
        stats = self._pool.get_stats()
        counts = {"used": self._lent, "open": stats.get("pool_size", 0), "allowed": self._size}
        return [
            gauges("pool_connections", "Connections of this process to the database.", "state", counts),
            gauge("pool_waiting", "Requests that wait for a connection.", stats.get("requests_waiting", 0)),
        ]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Raises:
            Overloaded: every connection is in use and none came free in time.
            DatabaseUnavailable: the server cannot be reached.
        """
        connection: Connection | None = None
        try:
            async with AsyncExitStack() as borrowed:
                connection = await self._begin(borrowed)
                yield connection
                begin_to_commit()
        except OperationalError as error:
            if connection is not None and connection.broken:
                raise DatabaseUnavailable(retry_after=1) from error
            raise

    async def _begin(self, borrowed: AsyncExitStack) -> Connection:
        """A connection in a transaction, both ended by the stack.

        A server may have closed what lay idle in the pool; that shows at BEGIN, when nothing has been done yet. Such a
        connection is thrown away and the next one is tried: the fault is not one of the work.
        """
        for _ in range(self._size + 1):
            connection = await self._borrow()
            borrowed.push_async_callback(self._give_back, connection)
            try:
                await borrowed.enter_async_context(connection.transaction())
            except OperationalError:
                if not connection.closed:
                    raise
                await borrowed.aclose()
            else:
                return connection
        raise DatabaseUnavailable(retry_after=1)

    async def _give_back(self, connection: Connection) -> None:
        self._count(-1)
        await self._pool.putconn(connection)

    async def _borrow(self) -> Connection:
        give_up_at = _seconds() + longest_wait_seconds
        while True:
            if self._is_stuck():
                raise Overloaded(retry_after=1)
            try:
                connection = await self._pool.getconn(timeout=min(self._stuck_seconds, longest_wait_seconds))
            except PoolClosed as error:
                raise DatabaseUnavailable(retry_after=1) from error
            except PoolTimeout as error:
                if self._is_stuck() or _seconds() < give_up_at:
                    continue
                if self._pool.get_stats().get("pool_size", 0) == 0 or not await _is_reachable(self.url):
                    raise DatabaseUnavailable(retry_after=1) from error
                raise Overloaded(retry_after=1) from error
            self._count(1)
            return connection

    def _count(self, change: int) -> None:
        self._lent += change
        self._moved_at = _seconds()

    def _is_stuck(self) -> bool:
        """Whether every connection is in use, and has been for too long without one going or coming."""
        return self._lent >= self._size and _seconds() - self._moved_at >= self._stuck_seconds


def _seconds() -> float:
    return asyncio.get_running_loop().time()


async def _is_reachable(url: str) -> bool:
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
        OperatorError: the server cannot be reached, or its user may not become the runtime role.
    """
    try:
        connection = await AsyncConnection.connect(
            runtime_conninfo(url, settings=_settings), autocommit=True, connect_timeout=10
        )
    except OperationalError as error:
        raise server_away(error) from error
    async with connection:
        yield connection


def server_away(error: OperationalError) -> OperatorError:
    """What an operator is told who cannot connect."""
    reason = str(error).strip().splitlines()[0]
    return OperatorError(
        f"The database server cannot be reached ({reason}).",
        "Check REGULARS_DATABASE_URL and that the server runs; unset it to use the embedded PostgreSQL.",
    )


def recreate_database(url: str) -> None:
    """Drop a database with everything in it, and make it anew, empty.

    Raises:
        OperatorError: somebody uses it.
    """
    name = Identifier(str(conninfo_to_dict(url)["dbname"]))
    with connect_now(make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        try:
            connection.execute(SQL("DROP DATABASE IF EXISTS {}").format(name))
        except ObjectInUse as error:
            raise OperatorError(
                "The database is in use, perhaps by a demo in another terminal.", "Stop that, then try again."
            ) from error
        connection.execute(SQL("CREATE DATABASE {}").format(name))


async def allow_long_work(connection: Connection) -> None:
    """Give the statements of this transaction the time that those of a worker have: five minutes each."""
    await connection.execute("SET LOCAL statement_timeout = '300s'")


async def schema_revision(connection: Connection) -> str | None:
    """The revision of the schema; None before the first migration."""
    cursor = await connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return None
    cursor = await connection.execute("SELECT version_num FROM alembic_version")
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def is_durable(connection: Connection) -> bool:
    """Whether the server flushes a commit to disk before it reports it."""
    cursor = await connection.execute(
        "SELECT bool_and(setting <> 'off') FROM pg_settings"
        " WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
    )
    return await cursor.fetchone() == (True,)


async def require_writable(connection: Connection) -> None:
    """Refuse a server that would refuse what is written: it is read-only, or its disk is full.

    A result larger than the least memory goes to a file on the disk of the data, and leaves nothing behind.

    Raises:
        DatabaseError: it cannot write.
    """
    await connection.execute("SET LOCAL work_mem = '64kB'")
    cursor = await connection.execute(
        "SELECT count(*) > 0, current_setting('transaction_read_only') = 'on' FROM generate_series(1, 10000)"
    )
    if await cursor.fetchone() != (True, False):
        raise ReadOnlySqlTransaction


def is_out_of_space(error: BaseException | None) -> bool:
    """Whether a full disk is behind a fault, here or where the server runs."""
    while error is not None:
        if isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in out_of_space):
            return True
        error = error.__cause__ or error.__context__
    return False


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
