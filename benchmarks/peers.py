"""The packages that we measure ourselves against, at pinned versions in an environment of their own."""

import fcntl
import subprocess
import sys
import tempfile
import venv
from argparse import ArgumentParser
from pathlib import Path

peers = {
    "lifetimes": "0.11.3",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "pandas": "3.1.1",
    "pyarrow": "26.0.1",
    "sqlalchemy": "2.1.9",
}
_drivers = {"psycopg[binary]": "3.3.9"}


def add_scratch_option(parser: ArgumentParser) -> None:
    """Let the folder of the environment be named; it is kept for the next run."""
    default = Path(tempfile.gettempdir()) / "regulars-benchmarks"
    parser.add_argument("--scratch", type=Path, default=default, help="folder of the environment of the peers")


def python_of_peers(scratch: Path) -> Path:
    """The Python of the environment, made on first use; two programs that need it at once make it once."""
    folder = scratch / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    python, installed = folder / "bin" / "python", folder / "installed"
    pinned = [f"{name}=={version}" for name, version in (peers | _drivers).items()]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text().split() != pinned:
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned], check=True, stdout=sys.stderr)
            installed.write_text("\n".join(pinned))
    return python
