"""What an import did, and how it reports while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias


@dataclass(frozen=True)
class ImportResult:
    """The outcome of an import.

    Attributes:
        received: Lines that held something, the header not counted.
        created: Rows that are new: orders, customers, products, or portions of points.
        updated: Rows that were known and have other content now.
        unchanged: Rows that were known just so, and repeated lines with equal content.
        rejected: Lines that were not imported.
        customers_created: Customers nobody had seen before.
        seconds: Time it took, without waiting for another import.
        points: Points that were awarded or brought in.
        orders_awarded: Orders that earned them.
        is_written: Whether the good lines were imported; not so if all or nothing was asked for and a line was bad.
    """

    received: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    customers_created: int
    seconds: float
    is_written: bool = True
    points: int = 0
    orders_awarded: int = 0

    @property
    def rows_per_second(self) -> int:
        """Lines imported per second."""
        return round(self.received / self.seconds) if self.seconds else 0


@dataclass(frozen=True)
class Reject:
    """A line that was not imported.

    Attributes:
        line: Where it begins in the file.
        code: Why, as a code of `problems`, or several with blanks between them.
        values: What was read of it, by field; empty if nothing could be.
        raw: The text of a line that cannot be read.
    """

    line: int
    code: str
    values: dict[str, str]
    raw: str

    @property
    def codes(self) -> list[str]:
        """Everything that is wrong with it."""
        return self.code.split()


class Progress(NamedTuple):
    """How far an import is.

    Attributes:
        stage: What it does: read the file, wait for another import, check the rows, write them, or award points.
        done: Rows so far.
        total: Rows in all, once that is known.
    """

    stage: Literal["reading", "waiting", "checking", "writing", "awarding"]
    done: int
    total: int | None = None


OnProgress: TypeAlias = Callable[[Progress], None]
OnReject: TypeAlias = Callable[[Reject], None]


def be_silent(_: Progress) -> None:
    """Report to nobody."""
