"""The embedded PostgreSQL, with real servers in folders of their own."""

import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from regulars.kit.errors import OperatorError
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.postgres_settings import megabyte, server_settings

# Uses the server until its input ends, then leaves.
user_program = """
import sys
from pathlib import Path
from regulars.kit.postgres import EmbeddedPostgres

with EmbeddedPostgres(Path(sys.argv[1]), durable=False):
    print("in use", flush=True)
    sys.stdin.read()
"""
# Gives up being root first, with everything imported that it needs.
unprivileged_program = """
import os, pwd, sys
from pathlib import Path
import psycopg
from regulars.kit.errors import OperatorError
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.postgres_account import Account, Programs

nobody = pwd.getpwnam("nobody")
Programs(Account("nobody", nobody.pw_uid, nobody.pw_gid))  # opens the way to the programs
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
try:
    with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as url, psycopg.connect(url) as connection:
        print("postgres runs as", (Path(sys.argv[1]) / "postgres" / "PG_VERSION").stat().st_uid)
except OperatorError as error:
    print("refused:", error)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, so that the socket fits; the folder's server is stopped when the test ends, whatever happened."""
    base = Path(tempfile.mkdtemp(prefix="regulars-"))
    yield base / "data"
    for cluster in base.rglob("PG_VERSION"):
        if cluster.parent.name == "postgres" and (left_over := postmaster(cluster.parent.parent)):
            left_over.send_signal(signal.SIGQUIT)
            left_over.wait(10)
    shutil.rmtree(base)


def postmaster(folder: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def soon(condition: Callable[[], object], what: str) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited 20 s in vain: {what}")


def another_user(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", user_program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in use\n"
    return process


def remember(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE remembered AS SELECT 42 AS number")


def remembered(url: str) -> int | None:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT number FROM remembered").fetchone()
    return row[0] if row else None


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def test_data_outlives_a_stop_and_a_start(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as url:
        remember(url)
    assert postmaster(folder) is None
    with EmbeddedPostgres(folder, durable=False) as url:
        assert remembered(url) == 42
        assert psycopg.conninfo.conninfo_to_dict(url)["dbname"] == "regulars"


def test_the_server_is_closed_to_the_network_and_to_other_users_and_keeps_statements_out_of_its_log(
    folder: Path,
) -> None:
    with EmbeddedPostgres(folder) as url:
        remember(url)
        with psycopg.connect(url, autocommit=True) as connection, pytest.raises(psycopg.Error):
            connection.execute("CREATE UNIQUE INDEX ON remembered (number); INSERT INTO remembered VALUES (42)")
        assert setting(url, "listen_addresses") == ""
        assert setting(url, "server_encoding") == "UTF8"
        assert setting(url, "data_checksums") == "on"
        assert setting(url, "fsync") == setting(url, "full_page_writes") == setting(url, "synchronous_commit") == "on"
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT datlocprovider, datlocale, datcollate, datctype FROM pg_database WHERE datname = 'regulars'"
            ).fetchone()
        assert row == ("b", "C.UTF-8", "C", "C.UTF-8")
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "postgres").stat().st_mode) == 0o700
    said = (folder / "postgres.log").read_text()
    assert "duplicate key" in said
    assert "INSERT" not in said
    assert "(42)" not in said


def test_a_system_without_utf8_among_its_locales_gets_a_cluster_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regulars.kit.postgres_cluster.utf8_locale", "xx_YY.UTF-8")
    with EmbeddedPostgres(folder, durable=False) as url, psycopg.connect(url) as connection:
        row = connection.execute("SELECT datlocale, datctype FROM pg_database WHERE datname = 'regulars'").fetchone()
    assert row == ("C.UTF-8", "C")


def test_two_processes_share_a_server_and_the_last_one_stops_it(folder: Path) -> None:
    other = another_user(folder)
    shared = postmaster(folder)
    with EmbeddedPostgres(folder, durable=False):
        other.communicate()
        assert other.returncode == 0
        assert postmaster(folder) == shared
    assert postmaster(folder) is None


def test_one_process_can_use_a_server_twice(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        with EmbeddedPostgres(folder, durable=False) as url:
            remember(url)
        assert remembered(url) == 42
    assert postmaster(folder) is None


def test_a_server_whose_user_was_killed_is_taken_over_and_stopped_by_the_next(folder: Path) -> None:
    killed = another_user(folder)
    survivor = postmaster(folder)
    killed.kill()
    killed.communicate()
    assert survivor is not None
    assert postmaster(folder) == survivor
    with EmbeddedPostgres(folder, durable=False):
        assert postmaster(folder) == survivor
    assert postmaster(folder) is None


def test_a_killed_server_comes_back_with_what_was_committed_even_while_a_backend_hangs_on(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = server.start()
    remember(url)
    first = postmaster(folder)
    assert first is not None
    # A backend that computes does not look whether its server is still there.
    busy = psycopg.connect(url, autocommit=True)
    busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b")
    backend = psutil.Process(busy.info.backend_pid)
    first.kill()
    soon(lambda: postmaster(folder) is None, "the killed postmaster is gone")
    assert backend.is_running()
    server.ensure_running()
    assert remembered(url) == 42
    assert postmaster(folder) not in {None, first}
    soon(lambda: not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE, "the backend was ended")
    busy.close()
    server.stop()
    server.ensure_running()
    assert postmaster(folder) is None


def test_a_number_that_a_stranger_has_got_since_is_not_taken_for_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        lock_text = (folder / "postgres" / "postmaster.pid").read_text()
        owner = (folder / "postgres").stat()
    stranger = subprocess.Popen(["sleep", "60"], user=owner.st_uid if os.geteuid() == 0 else None)
    for name in ("postgres/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
        (folder / name).write_text(str(stranger.pid) + "\n" + lock_text.split("\n", 1)[1])
        os.chown(folder / name, owner.st_uid, owner.st_gid)
    try:
        with EmbeddedPostgres(folder, durable=False) as url, psycopg.connect(url):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_database_is_made_again_when_it_was_dropped(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as url:
        with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE regulars")
        with EmbeddedPostgres(folder, durable=False), psycopg.connect(url) as connection:
            assert connection.info.dbname == "regulars"


@pytest.mark.parametrize("name", ["with spaces, 'quotes'", '"more" \\n $HOME', "/".join(["a" * 60, "b" * 60])])
def test_any_path_will_do(folder: Path, name: str) -> None:
    data = folder / name
    with EmbeddedPostgres(data, durable=False) as url, psycopg.connect(url) as connection:
        sockets = Path(connection.info.host)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    if sockets.parent != data:
        assert not sockets.exists()


def test_a_socket_folder_that_somebody_else_prepared_is_refused(folder: Path) -> None:
    data = folder / ("a" * 60) / ("b" * 60)
    server = EmbeddedPostgres(data, durable=False)
    trap = Path(str(psycopg.conninfo.conninfo_to_dict(server.url)["host"]))
    trap.symlink_to(folder.parent)
    try:
        with pytest.raises(OperatorError, match="is not a folder of user"):
            server.start()
    finally:
        trap.unlink()


def test_a_folder_of_another_major_version_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(OperatorError, match=r"belongs to PostgreSQL 15, this regulars brings PostgreSQL 18"):
        EmbeddedPostgres(folder).start()
    assert [path.name for path in (folder / "postgres").iterdir()] == ["PG_VERSION"]


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    with pytest.raises(OperatorError, match="is not a PostgreSQL data folder"):
        EmbeddedPostgres(folder).start()


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    folder.write_text("mine")
    for path in (folder, folder / "below"):
        with pytest.raises(OperatorError, match="a file is in its place"):
            EmbeddedPostgres(path).start()
    assert folder.read_text() == "mine"


def test_a_server_that_cannot_start_says_why_at_once(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        pass
    with (folder / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'plenty'\n")
    with pytest.raises(OperatorError, match=r"did not start \(.*FATAL:.*configuration file"):
        EmbeddedPostgres(folder).start()


def test_a_cluster_that_was_left_half_made_is_made_anew(folder: Path) -> None:
    half = folder / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder, durable=False) as url, psycopg.connect(url):
        assert not half.exists()


@pytest.mark.parametrize(("memory", "expected"), [(512, "128MB"), (8192, "1024MB"), (65536, "2048MB")])
def test_the_buffers_fit_the_machine(memory: int, expected: str) -> None:
    text = server_settings(Path("/s"), cluster_name="c", port=5432, durable=True, memory_bytes=memory * megabyte)
    assert f"shared_buffers = {expected}\n" in text
    assert "fsync" not in text


if os.geteuid() == 0:

    def test_root_runs_the_server_as_the_system_account_and_opens_no_more_than_the_way(
        folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING), EmbeddedPostgres(folder, durable=False):
            server = postmaster(folder)
            assert server is not None
            assert server.username() == "regulars"
            assert server.uids().real == server.uids().effective != 0
            # psutil names no supplementary groups: one of root's would do as well as root itself.
            groups = Path(f"/proc/{server.pid}/status").read_text().partition("Groups:")[2].splitlines()[0].split()
            assert groups == []
            assert not any(name.startswith("REGULARS") for name in server.environ())
        assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o701
        assert str(folder.parent) in caplog.text

    def test_an_ordinary_user_runs_the_server_and_is_told_what_it_cannot_write(folder: Path) -> None:
        def as_nobody(data: Path) -> str:
            return subprocess.run(
                [sys.executable, "-c", unprivileged_program, str(data)], capture_output=True, text=True, check=True
            ).stdout

        assert "cannot be used (Permission denied)" in as_nobody(folder)
        folder.parent.chmod(0o777)
        assert as_nobody(folder) == f"postgres runs as {folder.stat().st_uid}\n"
        assert folder.stat().st_uid != 0
        folder.chmod(0o500)
        shutil.rmtree(folder / "socket")
        assert "cannot be used (Permission denied)" in as_nobody(folder)

else:

    def test_a_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
        folder.mkdir(mode=0o500)
        with pytest.raises(OperatorError, match=r"cannot be used \(Permission denied\)"):
            EmbeddedPostgres(folder).start()
