"""`regulars serve`, as the operator starts it."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import psutil
import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from regulars.cli import connections
from regulars.cli.listening import listen
from regulars.kit.database import runtime_role
from regulars.kit.errors import OperatorError
from regulars.kit.postgres import EmbeddedPostgres


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="regulars-") as base:
        yield Path(base) / "data"
        if left_over := postmaster(Path(base) / "data"):
            left_over.send_signal(signal.SIGQUIT)
            left_over.wait(10)


def start(
    data_dir: Path, *arguments: str, stderr: int | IO[str] = subprocess.PIPE, **settings: str
) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
    return subprocess.Popen(
        [sys.executable, "-m", "regulars", "serve", *arguments],
        env={**inherited, "REGULARS_DATA_DIR": str(data_dir), **settings},
        cwd=data_dir.parent,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


@contextmanager
def serving(data_dir: Path, *arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A running server and a client of it. It is told to stop when the block ends, unless it has been."""
    # Into a file: a server whose log lines nobody reads from a pipe stands still as soon as the pipe is full.
    with (data_dir.parent / "stderr").open("w") as said:
        process = start(data_dir, "--port", "0", *arguments, stderr=said, **settings)
        assert process.stdout is not None
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, (data_dir.parent / "stderr").read_text()
            with httpx.Client(base_url=found[0], timeout=10) as client:
                soon(lambda: status(client, "/readyz") == 200, "it is ready")
                yield process, client
        finally:
            process.terminate()
            process.communicate(timeout=60)


def soon(condition: Callable[[], object], what: str) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited 20 s in vain: {what}")


def status(client: httpx.Client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return 0


def postmaster(data_dir: Path) -> psutil.Process | None:
    try:
        return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def test_it_serves_brings_a_killed_database_back_and_leaves_nothing_behind(data_dir: Path) -> None:
    with serving(data_dir) as (process, client):
        answer = client.get("/livez")
        assert answer.status_code == 200
        assert "server" not in answer.headers
        first = postmaster(data_dir)
        assert first is not None
        first.kill()
        assert client.get("/livez").status_code == 200
        soon(
            lambda: postmaster(data_dir) not in {None, first} and status(client, "/readyz") == 200,
            "the database is back",
        )
        secret = (data_dir / "jwt_secret").read_text()
        assert len(secret) >= 32
        assert stat.S_IMODE((data_dir / "jwt_secret").stat().st_mode) == 0o600
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert postmaster(data_dir) is None
    assert secret not in (data_dir.parent / "stderr").read_text()
    for line in (data_dir.parent / "stderr").read_text().splitlines():
        assert json.loads(line)["time"]


attempts = (
    "UPDATE loyalty_transactions SET points = 1",
    "DELETE FROM loyalty_transactions",
    "TRUNCATE loyalty_transactions CASCADE",
    "UPDATE point_allocations SET points = 1",
    "DELETE FROM audit_log",
    "TRUNCATE customers CASCADE",
    "ALTER TABLE loyalty_transactions DISABLE TRIGGER append_only",
    "CREATE TABLE elsewhere ()",
    "DROP TABLE products",
)


def test_what_the_running_server_sends_cannot_change_history_or_schema(data_dir: Path) -> None:
    """A trigger on what it writes runs further statements on its own connection, with its own rights."""
    with (
        serving(data_dir) as (_, client),
        psycopg.connect(EmbeddedPostgres(data_dir).url, autocommit=True) as owner,
    ):
        owner.execute("CREATE TABLE outcomes (who text, attempt text, state text)")
        owner.execute("GRANT INSERT ON outcomes TO PUBLIC")
        owner.execute(f"""
            CREATE FUNCTION try_all() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE attempt text;
            BEGIN
                FOREACH attempt IN ARRAY ARRAY[{", ".join(f"'{attempt}'" for attempt in attempts)}] LOOP
                    BEGIN
                        EXECUTE attempt;
                        INSERT INTO outcomes VALUES (current_user, attempt, 'done');
                    EXCEPTION WHEN OTHERS THEN
                        INSERT INTO outcomes VALUES (current_user, attempt, SQLSTATE);
                    END;
                END LOOP;
                RETURN NULL;
            END $$
        """)
        owner.execute("CREATE TRIGGER try_all AFTER INSERT ON sign_in_failures EXECUTE FUNCTION try_all()")
        form = {"grant_type": "password", "username": "nobody@example.com", "password": "a wrong password"}
        assert client.post("/api/v1/auth/token", data=form).status_code == 401
        outcomes = owner.execute("SELECT * FROM outcomes").fetchall()
    refused = InsufficientPrivilege.sqlstate
    assert outcomes == [(runtime_role, attempt, refused) for attempt in attempts]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_told_to_stop_says_so_before_it_stops(data_dir: Path, workers: str) -> None:
    with serving(data_dir, "--workers", workers) as (process, client):
        process.send_signal(signal.SIGTERM)
        soon(lambda: status(client, "/readyz") == 503, "it is not ready any more")
        assert client.get("/readyz").json() == {"status": "unavailable", "failed": "draining"}
        assert client.get("/livez").status_code == 200
        assert client.get("/api/v1/auth/me").status_code == 401
        assert process.wait(30) == 0
    assert postmaster(data_dir) is None


def test_a_second_signal_stops_at_once(data_dir: Path) -> None:
    with serving(data_dir, REGULARS_DRAIN_SECONDS="60") as (process, client):
        process.send_signal(signal.SIGTERM)
        soon(lambda: status(client, "/readyz") == 503, "it is not ready any more")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_workers_share_the_port_and_end_with_a_killed_parent(data_dir: Path) -> None:
    with serving(data_dir, "--workers", "2") as (process, client):
        family = psutil.Process(process.pid).children(recursive=True)
        assert len([child for child in family if "spawn_main" in " ".join(child.cmdline())]) == 2
        assert client.get("/livez").status_code == 200
        process.kill()
        gone, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        assert gone
    assert postmaster(data_dir) is not None, "nobody was left to stop it"
    with serving(data_dir, "--workers", "2") as (process, client):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert postmaster(data_dir) is None


def test_a_port_in_use_is_one_line_and_nothing_is_started(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(data_dir, "--port", str(port))
        output, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said == f"error: Port {port} of 127.0.0.1 is in use. Stop what uses it, or choose another --port.\n"
    assert output == ""
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "settings", "line"),
    [
        (["--workers", "0"], {}, "0 workers cannot answer anybody"),
        (["--host", "nowhere.invalid"], {}, "The host 'nowhere.invalid' is not known here"),
        ([], {"REGULARS_DATABASE_URL": "postgresql://nowhere.invalid/regulars"}, "REGULARS_JWT_SECRET is not set"),
        ([], {"REGULARS_JWT_SECRET": "changeme" * 8}, "REGULARS_JWT_SECRET is too short or a sample value"),
    ],
)
def test_what_cannot_work_is_one_line_and_nothing_is_started(
    data_dir: Path, arguments: list[str], settings: dict[str, str], line: str
) -> None:
    process = start(data_dir, "--port", "0", *arguments, **settings)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.startswith(f"error: {line}")
    assert said.count("\n") == 1
    assert not data_dir.exists()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(OperatorError, match=f"There is no port {port}"):
        listen("127.0.0.1", port)


def test_a_name_with_several_addresses_is_served_on_one_port() -> None:
    listeners = listen("localhost", 0)
    try:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
    finally:
        for listener in listeners:
            listener.close()


def test_a_head_that_does_not_end_and_what_is_not_http_are_answered_as_problems(data_dir: Path) -> None:
    with serving(data_dir) as (_, client):
        assert problem_of(client, b"GET / HTTP/1.1\r\nX: " + b"a" * connections.head_bytes) == (
            431,
            "headers-too-large",
        )
        assert problem_of(client, b"\x16\x03\x01 this is not HTTP\r\n\r\n") == (400, "malformed-request")


def problem_of(client: httpx.Client, sent: bytes) -> tuple[int, str]:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=10) as connection:
        # In pieces: a server that reads everything before it looks would wait for the end.
        for begin in range(0, len(sent), 8192):
            connection.sendall(sent[begin : begin + 8192])
            time.sleep(0.01)
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert f"HTTP/1.1 {problem['status']} ".encode() in head
    return problem["status"], problem["type"].removeprefix("/problems/")


class Visits:
    """Somebody who connects, asks once and reads the answer, again and again, until nobody listens any more."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.answered = 0
        self.lost: list[str] = []

    def pay(self) -> None:
        while True:
            try:
                connection = socket.create_connection(self.address, timeout=60)
            except ConnectionRefusedError:
                return
            with connection:
                try:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    answer = connection.recv(4096)
                except OSError as error:
                    answer = repr(error).encode()
            if answer.startswith(b"HTTP/1.1 200"):
                self.answered += 1
            else:
                self.lost.append(answer.decode())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_connection_that_was_accepted_is_answered_when_the_server_stops(data_dir: Path, workers: str) -> None:
    with serving(data_dir, "--workers", workers, REGULARS_DRAIN_SECONDS="0.5") as (process, client):
        visits = Visits((client.base_url.host, client.base_url.port or 0))
        with ThreadPoolExecutor(8) as visitors:
            paid = [visitors.submit(visits.pay) for _ in range(8)]
            soon(lambda: visits.answered > 50, "visitors are answered")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            for visit in paid:
                visit.result(60)
    assert visits.lost == []


def test_a_service_manager_may_signal_every_process(data_dir: Path) -> None:
    """To be told twice is no reason to skip the time in which /readyz says no."""
    with serving(data_dir, "--workers", "2") as (process, client):
        workers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        for told in (*workers, process, *workers):
            told.send_signal(signal.SIGTERM)
        soon(lambda: status(client, "/readyz") == 503, "it is not ready any more")
        assert status(client, "/livez") == 200
        assert process.wait(60) == 0
