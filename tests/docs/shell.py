"""Pages as a reader follows them: their blocks, a shell that runs the commands, and a comparison with what is printed.

How a page prints commands:

- a block marked `console`; a command begins with `$ `, goes on after a backslash and inside quotes, and what it prints
  stands under it, standard output and standard error together;
- `...` stands for anything, also for nothing and for many lines;
- a block that prints nothing under any of its commands does not say what they print; they must succeed all the same.

What differs from run to run is compared by kind (`masks`), blanks at the ends of lines not at all.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import IO, Self

root = Path(__file__).parents[2]
printed_address = "127.0.0.1:8000"
longest_seconds = 120

masks = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "<instant>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<day>"),
    (re.compile(r"CUST-\d{8}-(\d{4})"), r"CUST-<day>-\1"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b([0-9a-f]{32}|[0-9a-f]{64})\b"), "<hash>"),
    (re.compile(r"\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r"[\d,]+ rows/s"), "<speed>"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, where it begins, and its text."""

    language: str
    line: int
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a page, and what the page says it prints; None where the page does not say."""

    text: str
    line: int
    printed: str | None


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = re.finditer(r"^```(\S*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(match[1], page.count("\n", 0, match.start()) + 2, match[2]) for match in found]


def commands_of(page: str) -> list[Command]:
    """The commands of the console blocks of a page, in order."""
    return [command for block in blocks_of(page) if block.language == "console" for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    found: list[tuple[int, str, str]] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if found and is_open(found[-1][1]):
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}", "")
        elif line.startswith("$ "):
            found.append((number, line.removeprefix("$ "), ""))
        else:
            found[-1] = (*found[-1][:2], f"{found[-1][2]}{line}\n")
    tells = any(printed for _, _, printed in found)
    return (Command(text, line, printed if tells else None) for line, text, printed in found)


def is_open(command: str) -> bool:
    """Whether a shell would wait for another line: after a backslash, or inside quotes."""
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def masked(text: str) -> str:
    """The text with what differs from run to run replaced by its kind."""
    for pattern, kind in masks:
        text = pattern.sub(kind, text)
    return text.strip("\n")


def is_as_printed(printed: str, came: str) -> bool:
    """Whether what came is what the page prints."""
    parts = [re.escape(part) for part in re.split(r"\n?\.\.\.(?=\n|$)|\.\.\.", masked(printed))]
    return re.fullmatch(".*?".join(parts), masked(came), re.DOTALL) is not None


class ReaderShell:
    """A shell in a folder that looks like a clone of the repository in which `make install` was run.

    `regulars serve` and `regulars worker` run beside it until the page ends, the server on a free port instead of 8000.
    """

    _end = "--- the command has ended ---"

    def __init__(self, home: Path) -> None:
        self._clone = home / "regulars"
        binaries = self._clone / ".venv" / "bin"
        shutil.rmtree(self._clone, ignore_errors=True)
        binaries.mkdir(parents=True)
        for name, starts in (("regulars", f"{sys.executable} -m regulars"), ("python3", sys.executable)):
            (binaries / name).write_text(f'#!/bin/sh\nexec {starts} "$@"\n')
            (binaries / name).chmod(0o755)
        (self._clone / "docs").symlink_to(root / "docs")
        environment = environment_of(home)
        self._environment = {**environment, "PATH": f"{binaries}:{environment['PATH']}"}
        self._services: list[subprocess.Popen[str]] = []
        self._address = printed_address
        self._shell = self._start("bash", "--norc", stdin=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = [service.args for service in self._services if service.poll() is not None]
        for service in self._services:
            service.terminate()
        self._shell.kill()
        for process in (self._shell, *self._services):
            process.communicate(timeout=60)
        assert error is not None or not ended, f"ended by themselves: {ended}"

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; its exit status and what it printed."""
        if service := re.fullmatch(r"(?:\.venv/bin/)?regulars (serve|worker)( .*)?", command):
            return 0, self._serve(shlex.split(service[2] or "")) if service[1] == "serve" else self._work()
        assert self._shell.stdin
        assert self._shell.stdout
        command = command.replace(printed_address, self._address)
        self._shell.stdin.write(f"{{\n{command}\n}} </dev/null\nprintf '\\n{self._end} %d\\n' $?\n")
        self._shell.stdin.flush()
        came = ""
        with self._patience():
            for line in self._shell.stdout:
                if line.startswith(self._end):
                    return int(line.rsplit(" ", 1)[1]), came.replace(self._address, printed_address)
                came += line
        raise AssertionError(f"{command!r} ended the shell, or took {longest_seconds} seconds: {came}")

    @contextmanager
    def _patience(self) -> Iterator[None]:
        timer = Timer(longest_seconds, self._shell.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _serve(self, options: list[str]) -> str:
        server = self._serve_beside("serve", *options, "--port", "0")
        assert server.stdout
        came = server.stdout.readline()
        found = re.search(r"http://(\S+)", came)
        assert found, (self._clone / "serve.log").read_text()
        self._address = found[1]
        return came.replace(self._address, printed_address)

    def _work(self) -> str:
        self._serve_beside("worker")
        return ""

    def _serve_beside(self, name: str, *options: str) -> subprocess.Popen[str]:
        program = str(self._clone / ".venv" / "bin" / "regulars")
        with (self._clone / f"{name}.log").open("w") as log:
            service = self._start(program, name, *options, stdin=subprocess.DEVNULL, stderr=log)
        self._services.append(service)
        return service

    def _start(self, *arguments: str, stdin: int, stderr: IO[str] | int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            arguments,
            cwd=self._clone,
            env=self._environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def environment_of(home: Path) -> dict[str, str]:
    """Nothing of the installation that runs the tests, but a home of its own and the package that is tested."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
