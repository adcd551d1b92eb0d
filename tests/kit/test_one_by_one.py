"""One that meets a fault holds up no other, however often it is met."""

from collections.abc import Sequence

import pytest

from regulars.kit.database import DatabaseUnavailable
from regulars.kit.errors import NotFound
from regulars.kit.one_by_one import one_by_one


class Work:
    """Numbers to be done, of which some cannot."""

    def __init__(self, count: int, faults: dict[int, Exception]) -> None:
        self.open, self.faults = list(range(count)), faults
        self.tried: list[int] = []

    async def find(self, left: Sequence[int]) -> Sequence[int]:
        return [number for number in self.open if number not in left][:2]

    async def do(self, number: int) -> None:
        self.tried.append(number)
        if number in self.faults:
            raise self.faults[number]
        self.open.remove(number)


async def test_all_are_done_page_by_page() -> None:
    work = Work(5, {})
    assert await one_by_one(work.find, work.do, at_once=2) == 5
    assert (work.open, work.tried) == ([], [0, 1, 2, 3, 4])


async def test_those_that_meet_a_fault_are_tried_once_and_told(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(7, {0: ZeroDivisionError("a"), 1: NotFound(), 4: ZeroDivisionError("b")})
    assert await one_by_one(work.find, work.do, at_once=2) == 4
    assert (work.open, work.tried) == ([0, 1, 4], [0, 1, 2, 3, 4, 5, 6])
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]


async def test_without_a_database_nobody_else_is_tried() -> None:
    work = Work(3, {1: DatabaseUnavailable(retry_after=1)})
    with pytest.raises(DatabaseUnavailable):
        await one_by_one(work.find, work.do, at_once=2)
    assert work.tried == [0, 1]
