"""The program as the operator runs it: within the test, or as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
from click.testing import Result
from typer.testing import CliRunner

from regulars.cli.main import app
from regulars.kit.errors import OperatorError


def regulars(url: str, *arguments: object, typed: str = "") -> Result:
    """A command within the test; what is typed is its standard input."""
    environment = {"REGULARS_DATABASE_URL": url, "REGULARS_JWT_SECRET": "f3c1a0d2b4e6978812345678901234567890abcd"}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed, env=environment)


def complaint(done: Result) -> str:
    """What the operator reads before exit code 2."""
    assert isinstance(done.exception, OperatorError)
    return str(done.exception)


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "regulars", *arguments],
        env={"REGULARS_DATABASE_URL": url, "COLUMNS": "120", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def query(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a statement, committed."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []
