"""What `regulars import` shows while it runs, and the file of the lines that it could not take."""

import csv
import sys
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as ProgressDisplay
from rich.text import Text

from regulars.flows.importing.problems import sentences
from regulars.flows.importing.result import Progress, Reject
from regulars.kit.errors import OperatorError
from regulars.kit.private_files import replace_private

_stages = {
    "reading": "Reading",
    "checking": "Checking",
    "waiting": "Waiting for another import",
    "writing": "Writing",
    "awarding": "Awarding",
}


class RejectsFile:
    """A CSV of the lines that were not imported; it comes into being with the first of them."""

    def __init__(self, path: Path, currency: str) -> None:
        self.path = path
        self._sentences = sentences(currency)
        self._file: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    @property
    def is_written(self) -> bool:
        """Whether any line went into it."""
        return self._file is not None

    def write(self, reject: Reject) -> None:
        """Append a line: where it stands, why it was rejected, what was read of it."""
        if self._file is None:
            self._file = self._open()
            self._writer = csv.writer(self._file)
            self._writer.writerow(["line", "code", "message", *reject.values, "raw"])
        self._writer.writerow(
            [
                reject.line,
                reject.code,
                "; ".join(self._sentences[code] for code in reject.codes),
                *reject.values.values(),
                reject.raw.rstrip("\r\n"),
            ]
        )

    def _open(self) -> IO[str]:
        try:
            return TextIOWrapper(replace_private(self.path), encoding="utf-8", newline="")
        except OSError as error:
            raise OperatorError(
                f"The rejected lines cannot be written to {self.path} ({error.strerror}); the good ones are imported.",
                "Run the import again with --rejects PATH to see them.",
            ) from error


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


class Display:
    """A bar on the terminal's stderr; silent elsewhere."""

    def __init__(self) -> None:
        self._display = ProgressDisplay(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._display.add_task("Reading", total=None)
        self._stage = "reading"

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._display.reset(self._task, description=_stages[progress.stage])
        self._display.update(self._task, completed=progress.done, total=progress.total)
