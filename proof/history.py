"""What clients meant to do and what they were told: intent before each operation, acknowledgement after it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Operation:
    """One thing that a client wants done once.

    Attributes:
        number: Its place in the history.
        name: What it is, for its reader.
        body: What is sent.
        sends: How often it was sent.
        status: Of the answer that settled it; 0 while there is none.
        answer: The JSON of that answer.
    """

    number: int
    name: str
    path: str
    body: dict[str, Any]
    sends: int = 0
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether the client was told that it is done."""
        return self.status in {200, 201}

    @property
    def is_refused(self) -> bool:
        """Whether the client was told that it will not be done."""
        return self.status >= 400


class History:
    """Operations in the order in which they were begun, also in a file that a reader can follow."""

    def __init__(self, file: Path) -> None:
        self.operations: list[Operation] = []
        self._file = file

    def intend(self, name: str, path: str, body: dict[str, Any]) -> Operation:
        """Write down what is about to be sent for the first time."""
        operation = Operation(len(self.operations), name, path, body)
        self.operations.append(operation)
        self._write("intent", operation)
        return operation

    def acknowledge(self, operation: Operation, status: int, answer: dict[str, Any]) -> None:
        """Write down the answer that settles an operation."""
        operation.status, operation.answer = status, answer
        self._write("acknowledgement", operation)

    def tail(self, count: int = 40) -> list[str]:
        """The last operations, as lines."""
        return [json.dumps(asdict(operation)) for operation in self.operations[-count:]]

    def _write(self, event: str, operation: Operation) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps({"event": event, **asdict(operation)}) + "\n")
