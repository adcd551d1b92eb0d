"""The statements of a request, as the server saw them, made into a script that pgbench can repeat.

The server is asked to log every statement with its parameters while the request runs. Values stay parameters of
prepared statements; those that must differ from run to run (ids) are made in the statement from random numbers.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

_entry = re.compile(r"\S+ \S+ \S+ \[(?P<pid>\d+)\] (?P<level>[A-Z]+):  (?P<text>.*)", re.DOTALL)
_said = re.compile(r"(?:statement|execute [^:]+): (?P<sql>.*)", re.DOTALL)
_parameter = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')", re.DOTALL)
_placeholder = re.compile(r"\$(\d+)")
_logging = {"log_statement": "'all'", "log_error_verbosity": "'default'", "log_parameter_max_length": "-1"}


@dataclass(frozen=True)
class Statement:
    """A statement and its parameters as text, None for NULL."""

    sql: str
    parameters: Sequence[str | None] = ()


@dataclass(frozen=True)
class Script:
    """What pgbench runs: its text, and the values of the variables that never change."""

    text: str
    variables: Mapping[str, str]

    def arguments(self) -> list[str]:
        """The variables as arguments of pgbench."""
        return [argument for name, value in self.variables.items() for argument in ("-D", f"{name}={value}")]


def log_of(url: str) -> Path:
    """The log of an embedded server."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    return Path(row[0] if row else "").parent / "postgres.log"


def record(url: str, log_file: Path, request: Callable[[], object]) -> list[Statement]:
    """The statements that a server of our own runs while a request is answered; nothing else may use it."""
    with psycopg.connect(url, autocommit=True) as connection:
        own = connection.info.backend_pid
        for name, value in _logging.items():
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        _reload(connection)
        start = log_file.stat().st_size
        request()
        for name in _logging:
            connection.execute(f"ALTER SYSTEM RESET {name}")
        _reload(connection)
    with log_file.open("rb") as log:
        log.seek(start)
        return list(statements_of(log.read().decode(), ignore=own))


def _reload(connection: psycopg.Connection) -> None:
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(1)  # every process of the server takes new settings when it gets to it


def statements_of(log: str, *, ignore: int) -> Iterator[Statement]:
    """The statements in a server's log, without those of one process."""
    found: Statement | None = None
    for part in re.split(r"\n(?!\t)", log):
        entry = _entry.match(part.replace("\n\t", "\n"))
        if entry is None or int(entry["pid"]) == ignore:
            continue
        if entry["level"] == "DETAIL" and found is not None:
            values = (value for _, value in _parameter.findall(entry["text"]))
            found = Statement(found.sql, [_unquoted(value) for value in values])
        elif said := _said.match(entry["text"]):
            if found is not None:
                yield found
            found = Statement(said["sql"].strip())
    if found is not None:
        yield found


def _unquoted(value: str) -> str | None:
    return None if value == "NULL" else value[1:-1].replace("''", "'")


def script_of(statements: Sequence[Statement], made: Mapping[str, str], head: str) -> Script:
    """The statements as a script for `pgbench -M prepared`.

    Args:
        statements: As recorded.
        made: Values that differ from run to run, and the SQL that makes them anew.
        head: What draws the random numbers for that SQL.
    """
    variables: dict[str, str] = {}
    lines = [head]
    for number, statement in enumerate(statements):

        def value_of(place: re.Match[str], number: int = number, statement: Statement = statement) -> str:
            value = statement.parameters[int(place[1]) - 1]
            if value is None:
                return "NULL"
            if value in made:
                return made[value]
            name = f"p{number}_{place[1]}"
            variables[name] = value
            return f":{name}"

        lines.append(_placeholder.sub(value_of, statement.sql) + ";")
    return Script("\n".join(lines) + "\n", variables)
