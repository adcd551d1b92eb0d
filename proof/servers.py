"""The product as an operator runs it: `regulars serve` with two processes, a worker, and a durable PostgreSQL."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import psutil

from proof.result import CannotRunError
from regulars.kit.postgres import EmbeddedPostgres

patience_seconds = 120
unhindered = {
    "REGULARS_DRAIN_SECONDS": "0",
    "REGULARS_CLIENT_REQUESTS_PER_MINUTE": "0",
    "REGULARS_LONG_REQUESTS_PER_MINUTE": "0",
}


class Installation:
    """Everything that runs, and the means to kill any part of it.

    Attributes:
        address: Of the API.
        database_url: Of the database, for its owner.
    """

    def __init__(self, folder: Path, *, processes: int = 2) -> None:
        self.folder, self._processes = folder, processes
        self.data_dir = folder / "data"
        self.database_url = EmbeddedPostgres(self.data_dir).url
        self._port = _free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._serve: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start all of it, wait until it is ready, and stop it when the block ends."""
        try:
            self.start_api()
            self.wait_until_ready()
            self.start_worker()
            yield
        finally:
            for process in (self._worker, self._serve):
                if process is not None:
                    process.terminate()
                    process.wait(patience_seconds)

    def start_api(self) -> None:
        """Start `regulars serve`, as an init system would."""
        self._serve = self._start("serve", "--port", str(self._port), "--workers", str(self._processes))

    def start_worker(self) -> None:
        """Start `regulars worker`, as an init system would."""
        self._worker = self._start("worker")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `regulars` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "regulars", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def is_ready(self) -> bool:
        """Whether every part runs and `/readyz` says yes."""
        return self.says_ready() and len(self.api_processes()) == self._processes

    def says_ready(self) -> bool:
        """Whether `/readyz` says yes."""
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            CannotRunError: it does not get ready within a minute.
        """
        wait_for(self.is_ready, "the API is ready")

    def api_processes(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        return [child for child in _children(self._serve) if "spawn_main" in " ".join(_command_line(child))]

    def postmaster(self) -> psutil.Process:
        """The first process of PostgreSQL.

        Raises:
            CannotRunError: it does not run.
        """
        try:
            return psutil.Process(int((self.data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
        except (FileNotFoundError, psutil.NoSuchProcess) as error:
            raise CannotRunError("PostgreSQL does not run") from error

    def kill(self, victim: str, draw: random.Random) -> None:
        """SIGKILL a part: `api`, `worker`, `serve` (with its processes), `backend`, `postmaster` or `postgres`.

        What only an init system can start again, `serve` and `worker`, is started again here.
        """
        if victim == "api":
            draw.choice(self.api_processes()).kill()
        elif victim == "worker":
            _kill_all([psutil.Process(_running(self._worker).pid)])
            self.start_worker()
        elif victim == "serve":
            _kill_all([psutil.Process(_running(self._serve).pid), *_children(self._serve)])
            self.start_api()
        elif victim == "backend":
            backends = self.postmaster().children()
            (draw.choice([b for b in backends if "[local]" in " ".join(_command_line(b))] or backends)).kill()
        elif victim == "postmaster":
            self.postmaster().kill()
        else:
            _kill_all([self.postmaster(), *self.postmaster().children()])

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log(arguments[0]) as log:
            return subprocess.Popen(
                [sys.executable, "-m", "regulars", *arguments], env=self._environment(), stdout=log, stderr=log
            )

    def _log(self, name: str) -> IO[bytes]:
        return (self.folder / f"{name}.log").open("ab")

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGULARS_")}
        return {**inherited, "REGULARS_DATA_DIR": str(self.data_dir), **unhindered}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        CannotRunError: it does not within a minute; says what did not happen.
    """
    give_up_at = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise CannotRunError(f"waited {patience_seconds} s in vain: {what}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _running(process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
    if process is None:
        raise CannotRunError("it was never started")
    return process


def _children(process: subprocess.Popen[bytes] | None) -> list[psutil.Process]:
    try:
        return psutil.Process(_running(process).pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended since
        return []


def _kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)
