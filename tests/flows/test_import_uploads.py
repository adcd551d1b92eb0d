"""How far an import is."""

import pytest

from regulars.flows.import_uploads import per_cent
from regulars.flows.importing.result import Progress


@pytest.mark.parametrize(
    ("progress", "lines", "expected"),
    [
        (Progress("reading", 0), 0, 0),
        (Progress("reading", 500), 1_000, 15),
        (Progress("reading", 1_000), 999, 30),
        (Progress("checking", 0, 1_000), 1_000, 30),
        (Progress("waiting", 0, 1_000), 1_000, 30),
        (Progress("writing", 500, 1_000), 1_000, 65),
        (Progress("writing", 1_000, 1_000), 1_000, 100),
        (Progress("writing", 0, 0), 0, 30),
    ],
)
def test_reading_takes_a_third_and_writing_the_rest(progress: Progress, lines: int, expected: int) -> None:
    assert per_cent(progress, lines) == expected
