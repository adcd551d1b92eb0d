"""The packages that we measure ourselves against, at pinned versions in an environment of their own."""

import subprocess
import sys
import tempfile
import venv
from argparse import ArgumentParser
from pathlib import Path

peers = {"lifetimes": "0.11.3", "numpy": "2.4.6", "scipy": "1.17.1", "pandas": "3.1.1"}


def add_scratch_option(parser: ArgumentParser) -> None:
    """Let the folder of the environment be named; it is kept for the next run."""
    default = Path(tempfile.gettempdir()) / "regulars-benchmarks"
    parser.add_argument("--scratch", type=Path, default=default, help="folder of the environment of the peers")


def python_of_peers(scratch: Path) -> Path:
    """The Python of the environment, made on first use."""
    python = scratch / "peers" / "bin" / "python"
    if not python.exists():
        venv.create(scratch / "peers", with_pip=True)
        pinned = [f"{name}=={version}" for name, version in peers.items()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned], check=True, stdout=sys.stderr)
    return python
