"""Connections of clients that are slow, silent, or do not read; over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from regulars.api import open_connections
from regulars.api.open_connections import OpenConnections
from regulars.cli import connections
from regulars.cli.connections import LimitedConnection

asked = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
answered = b"HTTP/1.1 200 OK"
large_bytes = 32 * 1024 * 1024

Answer = Callable[[Any, Any, Any], Awaitable[None]]
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """Answers everything with so many bytes; it reads no body."""

    def __init__(self, size: int, register: OpenConnections) -> None:
        self.state = SimpleNamespace(connections=register)
        self._size = size

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-length", str(self._size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for begin in range(0, self._size, 1 << 16):
            await send(
                {"type": "http.response.body", "body": b"x" * min(1 << 16, self._size - begin), "more_body": True}
            )
        await send({"type": "http.response.body"})


class SlowApp(App):
    """Waits for the whole body before it answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.request":
            await super().__call__(scope, receive, send)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "sweep_seconds", 0.05)
    monkeypatch.setattr(open_connections, "silent_seconds", 0.2)


@asynccontextmanager
async def listening(
    *, size: int = 1, app: type[App] = App, **limits: Any
) -> AsyncIterator[tuple[OpenConnections, Callable[[], Awaitable[Client]]]]:
    """A server with limits, and what connects to it."""
    register = OpenConnections(**{"most_waiting": 3, "most": 100, **limits})
    options: Any = {"lifespan": "off", "log_config": None, "proxy_headers": False, "timeout_keep_alive": 1}
    config, state = Config(app(size, register), **options), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: LimitedConnection(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(await asyncio.open_connection("127.0.0.1", port, limit=large_bytes))
        return clients[-1]

    try:
        async with asyncio.timeout(15):
            yield register, connect
    finally:
        for _, writer in clients:
            writer.close()
        server.close()
        while state.connections:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


async def is_closed(client: Client) -> bool:
    try:
        await client[0].read()
    except ConnectionError:
        return True
    return client[0].at_eof()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"GET / HTT", b""),
        (b"\r\n", b""),
        (asked, answered),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1", answered),
    ],
)
async def test_a_connection_on_which_nothing_more_is_asked_is_closed(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes
) -> None:
    monkeypatch.setattr(connections, "head_seconds", 0.2)
    async with listening() as (_, connect):
        reader, writer = await connect()
        writer.write(sent)
        assert (await reader.read()).startswith(answer)


async def test_of_many_that_wait_the_most_silent_go_and_an_honest_one_is_served() -> None:
    async with listening(app=SlowApp) as (register, connect):
        silent = [await connect() for _ in range(4)]
        hostile = [*silent, *[await connect() for _ in range(4)]]
        for _, writer in hostile[4:]:
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        reader, writer = await connect()
        for _ in range(30):
            writer.write(asked)
            assert (await reader.readuntil(b"x")).startswith(answered)
            await asyncio.sleep(0.01)
        for client in hostile[:5]:
            assert await is_closed(client)
        assert register.given_up == 5
        writer.write(asked)
        assert (await reader.readuntil(b"x")).startswith(answered)


async def test_many_that_come_at_once_are_all_served() -> None:
    """The limit is for those that stay silent: a shop may send from a hundred tills in one moment."""
    async with listening() as (register, connect):
        for client in [await connect() for _ in range(20)]:
            client[1].write(asked)
            assert (await client[0].readuntil(b"x")).startswith(answered)
        assert register.given_up == 0


async def test_a_client_that_does_not_read_is_given_up_and_one_that_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "answer_seconds", 0.5)
    async with listening(size=large_bytes) as (register, connect):
        silent, slow = await connect(), await connect()
        for client in (silent, slow):
            client[0]._transport.pause_reading()  # type: ignore[attr-defined]
            client[1].write(asked)
        got = 0
        slow[0]._transport.resume_reading()  # type: ignore[attr-defined]
        while got < large_bytes:
            got += len(await slow[0].read(1 << 20))
            await asyncio.sleep(0.05)
        while any(count for _, _, count in register.figures()[0].values):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def test_when_no_more_connections_are_left_the_one_that_rests_goes() -> None:
    async with listening(most=2) as (register, connect):
        first, second = await connect(), await connect()
        for reader, writer in (first, second):
            writer.write(asked)
            await reader.readuntil(b"x")
        third = await connect()
        assert await is_closed(first)
        third[1].write(asked)
        assert (await third[0].readuntil(b"x")).startswith(answered)
        assert register.given_up == 1


async def test_behind_a_proxy_the_client_is_counted_that_it_speaks_for() -> None:
    proxies = {"trusted": [ip_network("127.0.0.0/8")]}
    async with listening(app=SlowApp, **proxies) as (register, connect):
        waiting = [await connect() for _ in range(10)]
        for number, (_, writer) in enumerate(waiting[:8]):
            address = b"203.0.113.%d" % (number if number < 3 else 9)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nContent-Length: 9\r\n\r\n1" % address)
        for client in waiting[3:5]:
            assert await is_closed(client)
        assert register.given_up == 2
