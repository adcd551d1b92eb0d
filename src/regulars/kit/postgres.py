"""The embedded PostgreSQL: a server of our own, with its data in a folder, shared by every process that uses it.

Each process holds a shared lock on `users.lock` while it uses the server, and whoever leaves last stops the server.
Locks vanish with a killed process, so that this count is always right. A server that outlived its users, because the
last of them was killed, is taken over by the next one.

In the data folder:

    postgres/        the cluster
    postgres.conf    our settings, written at each start
    postgres.log     what the server says
    socket/          where it listens; a folder under /tmp when this path is too long for a socket, or holds a comma
    users.lock       held, shared, by every user of the server
    start.lock       held by whoever starts or stops the server
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from regulars.kit.errors import OperatorError, free_space, out_of_space
from regulars.kit.postgres_cluster import Cluster, database_name


class EmbeddedPostgres:
    """A server in a folder, and our part in using it; as a context manager it gives the URL of the database.

    Args:
        data_dir: The folder; made when it is missing.
        durable: False gives up crash safety for speed, in tests.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data_dir = data_dir.resolve()
        self._cluster = Cluster(self._data_dir, durable=durable)
        self._use: IO[bytes] | None = None

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the database, for libpq."""
        return self._cluster.url

    def start(self) -> str:
        """Start the server, or join those who use it; returns the URL of its database, made when it is missing.

        Waits for crash recovery, two minutes at most.

        Raises:
            OperatorError: the folder cannot be used, or the server does not start.
        """
        if self._use is not None:
            return self.url
        with self._folder_problems():
            self._cluster.prepare_folders()
            starting = self._only_starter()
        with starting:
            with self._folder_problems():
                use = self._open_lock("users.lock")
            try:
                fcntl.flock(use, fcntl.LOCK_SH)
                with self._folder_problems():
                    self._bring_up()
            except BaseException:
                use.close()
                raise
            self._use = use
        return self.url

    def stop(self) -> None:
        """Leave the server; the last of its users stops it."""
        if self._use is None:
            return
        with self._only_starter(), self._use as use:
            self._use = None
            try:
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._cluster.stop()

    def ensure_running(self) -> None:
        """Start the server again if it died. Does nothing before `start` and after `stop`.

        Raises:
            OperatorError: the server does not start.
        """
        if self._use is None or self._cluster.is_listening():
            return
        with self._only_starter():
            if self._use is not None:
                self._bring_up()

    def is_running(self) -> bool:
        """Whether a server runs in the folder, used by us or by others."""
        return self._cluster.is_listening()

    def _bring_up(self) -> None:
        """Start the server if it does not run, and wait until the database takes connections."""
        self._cluster.ensure_created()
        reason = ""
        for _ in range(1200):
            if not self._cluster.is_listening():
                self._cluster.launch()
            try:
                psycopg.connect(self.url, connect_timeout=10).close()
            except psycopg.OperationalError as error:
                reason = str(error).strip().splitlines()[-1]
                if f'database "{database_name}" does not exist' in reason:
                    self._cluster.create_database()
                # Otherwise it is still recovering, or on its way down: started by a process that was killed since.
                time.sleep(0.1)
            else:
                return
        raise OperatorError(
            f"The embedded PostgreSQL runs and does not take connections ({reason}).",
            f"See {self._cluster.log_file}, then try again.",
        )

    def _only_starter(self) -> IO[bytes]:
        """Wait until nobody else starts or stops the server; ours until the answer is closed."""
        lock = self._open_lock("start.lock")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def _open_lock(self, name: str) -> IO[bytes]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.fdopen(os.open(self._data_dir / name, flags, 0o600), "rb+")

    @contextmanager
    def _folder_problems(self) -> Iterator[None]:
        try:
            yield
        except (FileExistsError, NotADirectoryError) as error:
            raise OperatorError(
                f"The data folder {self._data_dir} cannot be made: a file is in its place.",
                "Set REGULARS_DATA_DIR to a folder.",
            ) from error
        except OSError as error:
            raise OperatorError(
                f"The data folder {self._data_dir} cannot be used ({error.strerror}).",
                free_space
                if error.errno in out_of_space
                else "Let this user write there, or set REGULARS_DATA_DIR to another folder.",
            ) from error
