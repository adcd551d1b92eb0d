"""The PostgreSQL that a program measures on, and the CPU time of processes."""

import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from regulars.kit.postgres import EmbeddedPostgres
from regulars.migrations import migrate

told_settings = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "data_checksums",
    "shared_buffers",
    "work_mem",
    "maintenance_work_mem",
    "max_wal_size",
    "wal_compression",
    "jit",
)


def add_server_option(parser: ArgumentParser) -> None:
    """Let a server be named that runs already."""
    parser.add_argument("--server-url", help="a superuser's address; otherwise an embedded server is started")


@contextmanager
def server_for(url: str | None) -> Iterator[str]:
    """The server that was named; otherwise one of our own, durable, in a scratch folder that is removed."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as folder, EmbeddedPostgres(Path(folder)) as own:
        yield own


@contextmanager
def own_database(server_url: str) -> Iterator[str]:
    """A migrated, empty database that is dropped at the end."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = make_conninfo(server_url, dbname=name)
        migrate(url)
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def settings_of(url: str) -> dict[str, str]:
    """What decides how safe and how fast the server is, as it says it itself; and its version."""
    with psycopg.connect(url) as connection:
        names = ["server_version", *told_settings]
        rows = connection.execute("SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [names])
        return dict(rows.fetchall())


def local_server(url: str) -> psutil.Process | None:
    """The server's first process, if it runs on this machine."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int").fetchone()
    with suppress(psutil.Error):
        return psutil.Process(row[0] if row else 0)
    return None


def fine_cpu_of(process: psutil.Process) -> float:
    """CPU seconds of one process alone, by the scheduler's own count; where there is none, in ticks of 10 ms."""
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        times = process.cpu_times()
        return times.user + times.system


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process and of all that it started; those that have ended are in the figures of their parent."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:4])
    return total


def settled_cpu_of(*processes: psutil.Process) -> float:
    """The same of several, once servers have counted the CPU of processes that just ended as their own."""
    sleep(0.5)
    return sum(map(cpu_of, processes))
