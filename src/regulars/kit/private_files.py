"""Files that hold what only their owner may read: secrets, and what is known of people."""

import os
import stat
from pathlib import Path
from typing import IO, Final

_owner_only: Final = 0o600


def create_private(path: Path) -> IO[bytes]:
    """A new file to write, for its owner alone whatever the umask is.

    Raises:
        OSError: it exists, or cannot be made.
    """
    return _open(path, os.O_EXCL)


def replace_private(path: Path) -> IO[bytes]:
    """A file to write from its beginning, for its owner alone, also where it was there before.

    Raises:
        OSError: it cannot be written.
    """
    file = _open(path, os.O_TRUNC)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # the modes of /dev/null and /dev/stdout are not ours to change
        os.fchmod(file.fileno(), _owner_only)
    return file


def make_private(path: Path) -> bool:
    """Take a file from everybody else; whether others could read or write it until now.

    Raises:
        OSError: its mode cannot be seen or changed.
    """
    if not stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return False
    path.chmod(_owner_only)
    return True


def _open(path: Path, how: int) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, _owner_only), "wb")
