"""One PostgreSQL cluster in a data folder: made, started and stopped. `postgres.py` decides who may do so, and when."""

import logging
import os
import shutil
import signal
import socket
import time
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

from regulars.kit.errors import OperatorError, free_space
from regulars.kit.postgres_account import Programs, server_account
from regulars.kit.postgres_settings import megabyte, memory_of_this_machine, server_settings
from regulars.kit.repository_search import utf8_locale

log = logging.getLogger(__name__)
database_name = "regulars"
superuser = "postgres"
port = 5432
socket_name = f".s.PGSQL.{port}"
longest_socket_path = 100
start_seconds = 120
stop_seconds = 60
# Not the folder of TMPDIR: every process has to find the same one.
short_folder = Path("/tmp")  # noqa: S108


class Cluster:
    """A cluster and its server.

    Attributes:
        url: Address of the database, for libpq.
        log_file: What the server says.
    """

    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self._data_dir = data_dir
        self._durable = durable
        self._folder = data_dir / "postgres"
        self._name = f"regulars-{sha256(os.fsencode(data_dir)).hexdigest()[:16]}"
        self._socket_folder = data_dir / "socket"
        # A comma would make two hosts of it for libpq.
        if len(os.fsencode(self._socket_folder / socket_name)) > longest_socket_path or "," in str(data_dir):
            self._socket_folder = short_folder / self._name
        host = quote(str(self._socket_folder), safe="")
        self.url = f"postgresql://{superuser}@/{database_name}?host={host}&port={port}"
        self.log_file = data_dir / "postgres.log"

    @cached_property
    def _programs(self) -> Programs:
        return Programs(server_account())

    def prepare_folders(self) -> None:
        """Make the data folder and the one of the socket.

        Raises:
            OSError: the data folder cannot be made or entered.
            OperatorError: a folder belongs to somebody else, or there is no PostgreSQL for this platform.
        """
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._programs.account.open_the_way(self._data_dir)
        self._programs.account.make_folder(self._socket_folder)

    def ensure_created(self) -> None:
        """Make the cluster, whole or not at all, unless it is there.

        Raises:
            OperatorError: what is there cannot be used, or the cluster cannot be made.
        """
        if not self._folder.exists():
            self._create()
        try:
            found = (self._folder / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise OperatorError(
                f"{self._folder} is not a PostgreSQL data folder of this user ({error.strerror}).",
                "Set REGULARS_DATA_DIR to another folder, or run regulars as the user who made this one.",
            ) from error
        ours = str(self._programs.version)
        if found != ours:
            raise OperatorError(
                f"{self._folder} belongs to PostgreSQL {found}, this regulars brings PostgreSQL {ours}.",
                "Set REGULARS_DATA_DIR to another folder, or install the regulars that made this one.",
            )

    def _create(self) -> None:
        fresh = self._folder.with_name("postgres.new")
        # What a letter is, trigrams learn from the system's locale alone; where there is no UTF-8 among those, it is C.
        answer = self._initdb(fresh, utf8_locale)
        if answer.returncode and "invalid locale name" in answer.stdout:
            answer = self._initdb(fresh, "C")
        if answer.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            full = "No space left on device" in answer.stdout
            raise OperatorError(
                f"The database in {self._data_dir} cannot be made ({_telling_lines(answer.stdout)[0]}).",
                free_space if full else "Mend that and try again; nothing was left behind.",
            )
        with (fresh / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude '../postgres.conf'\n")
        fresh.rename(self._folder)
        _flush_folder(self._data_dir)

    def _initdb(self, folder: Path, character_type: str) -> CompletedProcess[str]:
        shutil.rmtree(folder, ignore_errors=True)
        self._programs.account.make_folder(folder)
        # The system's locale is C, which every system has; that of the databases is PostgreSQL's own C.UTF-8.
        return self._programs.run(
            "initdb",
            f"--pgdata={folder}",
            f"--username={superuser}",
            "--encoding=UTF8",
            "--locale=C",
            f"--lc-ctype={character_type}",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=trust",  # whoever can enter the socket's folder is the server's own account, or root
            "--auth-host=reject",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        )

    def create_database(self) -> None:
        """Make the database in a running server."""
        self._programs.run(
            "createdb", f"--host={self._socket_folder}", f"--port={port}", f"--username={superuser}", database_name
        )

    def is_listening(self) -> bool:
        """Whether a server has its socket open, be it ready, recovering, stopping or halted."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self._socket_folder / socket_name))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:  # its queue is full
                return True
        return True

    def launch(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            OperatorError: it ends at once, says why; or recovery takes longer than two minutes.
        """
        self._end_orphans()
        self._forget_dead_server()
        self._write_settings()
        if self.log_file.exists() and self.log_file.stat().st_size > 10 * megabyte:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("a") as output:
            self.log_file.chmod(0o600)
            said_before = output.tell()
            answer = self._programs.run(
                "pg_ctl", "start", "--silent", f"--timeout={start_seconds}", output=output, PGDATA=str(self._folder)
            )
        if answer.returncode == 0:
            return
        if self.is_listening():
            raise OperatorError(f"PostgreSQL still recovers after {start_seconds} seconds.", "Wait, then try again.")
        with self.log_file.open("rb") as said:
            said.seek(said_before)
            reason = _telling_lines(said.read().decode(errors="replace"))[-1]
        is_full = "No space left on device" in reason or not shutil.disk_usage(self._data_dir).free
        raise OperatorError(
            f"The embedded PostgreSQL did not start ({reason}).", free_space if is_full else f"See {self.log_file}."
        )

    def stop(self) -> None:
        """Stop the server: running transactions are rolled back, everything committed is on disk."""
        if not self.is_listening():
            return
        answer = self._programs.run(
            "pg_ctl", "stop", "--silent", "--mode=fast", f"--timeout={stop_seconds}", PGDATA=str(self._folder)
        )
        if answer.returncode:
            log.warning("PostgreSQL in %s did not stop: %s", self._data_dir, answer.stdout.strip())
        elif self._socket_folder.parent != self._data_dir:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _write_settings(self) -> None:
        text = server_settings(
            self._socket_folder,
            cluster_name=self._name,
            port=port,
            durable=self._durable,
            memory_bytes=memory_of_this_machine(),
        )
        fresh = self._data_dir / "postgres.conf.new"
        fresh.unlink(missing_ok=True)
        with fresh.open("x") as file:
            file.write(text)
        fresh.chmod(0o644)
        fresh.replace(self._data_dir / "postgres.conf")

    def _end_orphans(self) -> None:
        """End the backends of a killed server: they keep its shared memory, until their statement is done.

        Linux alone shows the titles of processes as files; elsewhere they end by themselves.
        """
        title = os.fsencode(f"postgres: {self._name}: ")
        for _ in range(100):
            orphans = [process for process in Path("/proc").glob("[0-9]*") if _title(process).startswith(title)]
            if not orphans:
                return
            for process in orphans:
                os.kill(int(process.name), signal.SIGKILL)
            time.sleep(0.05)

    def _forget_dead_server(self) -> None:
        """Remove what a killed server left behind, where PostgreSQL itself would be misled.

        It takes its own zombie, or a stranger that has got the same number since, for a running server.
        """
        lock_file = self._folder / "postmaster.pid"
        try:
            pid = lock_file.read_text().split("\n", 1)[0]
        except FileNotFoundError:
            return
        if not _runs_postgres(pid):
            lock_file.unlink()
            (self._socket_folder / f"{socket_name}.lock").unlink(missing_ok=True)


def _title(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended since
        return b""


def _runs_postgres(pid: str) -> bool:
    # Where there is no /proc, the shared memory of a server that does run keeps a second one from starting.
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return "(postgres) " in status and "(postgres) Z" not in status


def _telling_lines(said: str) -> list[str]:
    """The lines that say why a program failed, if any do; otherwise all, of which the last says that it did."""
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip()] or ["no reason given"]
    return [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:"))] or lines[-1:]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
