"""Work is done alone while there is room, together when it had to wait, and never lost between the two."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from regulars.kit import gathering as module
from regulars.kit.deadline import Timeout, deadline
from regulars.kit.errors import Unavailable
from regulars.kit.gathering import Gathering


class Desk:
    """Work that takes as long as the test wants, and a list of what was done with whom."""

    def __init__(self, *, at_once: int = 1, at_most: int = 32) -> None:
        self.gathering: Gathering[str, str] = Gathering(
            self.together, apart=lambda item: item[0], at_once=at_once, at_most=at_most
        )
        self.done: list[list[str]] = []
        self.may_go_on = asyncio.Event()
        self.left: set[str] = set()
        self.fault: Exception | None = None

    async def together(self, items: Sequence[str], settle: Callable[[], None]) -> Sequence[str | None]:
        self.done.append(list(items))
        await self.may_go_on.wait()
        if self.fault is not None:
            raise self.fault
        settle()
        return [None if item in self.left else f"{item} together" for item in items]

    def ask(self, item: str) -> asyncio.Task[str]:
        async def alone() -> str:
            self.done.append([item])
            await self.may_go_on.wait()
            return f"{item} alone"

        return asyncio.create_task(self.gathering.do(item, alone=alone))

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """All that is asked inside waits for a piece of work that ends with the block."""
        ends = asyncio.Event()

        async def alone() -> str:
            await ends.wait()
            return ""

        holding = asyncio.create_task(self.gathering.do("hold", alone=alone))
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)  # what was asked has come to its place in the queue
        ends.set()
        await holding

    def counts(self) -> list[float]:
        [figure] = self.gathering.figures("done_total", "What was done.")
        return [count for _, _, count in figure.values]


@pytest.fixture(autouse=True)
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long others wait is for the tests that are about it."""
    monkeypatch.setattr(module, "patience_seconds", 3600)


async def test_while_there_is_room_everything_is_done_alone() -> None:
    desk = Desk(at_once=2)
    tasks = [desk.ask("a"), desk.ask("b")]
    desk.may_go_on.set()
    assert await asyncio.gather(*tasks) == ["a alone", "b alone"]
    assert desk.counts() == [2, 0, 0]


async def test_what_had_to_wait_is_done_together() -> None:
    desk = Desk()
    desk.may_go_on.set()
    async with desk.busy():
        tasks = [desk.ask(item) for item in "abc"]
    assert await asyncio.gather(*tasks) == ["a together", "b together", "c together"]
    assert desk.done == [["a", "b", "c"]]
    assert desk.counts() == [1, 3, 0]


async def test_one_that_waited_without_company_is_done_alone_and_takes_the_room() -> None:
    desk = Desk()
    async with desk.busy():
        first = desk.ask("a")
    await asyncio.sleep(0)
    second = desk.ask("b")
    await asyncio.sleep(0)
    assert desk.done == [["a"]]
    desk.may_go_on.set()
    assert await asyncio.gather(first, second) == ["a alone", "b alone"]


async def test_what_must_be_apart_goes_one_after_the_other_in_order() -> None:
    desk = Desk()
    desk.may_go_on.set()
    async with desk.busy():
        tasks = [desk.ask(item) for item in ("a1", "a2", "b1", "a3", "b2")]
    await asyncio.gather(*tasks)
    assert desk.done == [["a1", "b1"], ["a2", "b2"], ["a3"]]


async def test_no_more_than_a_bound_are_done_together() -> None:
    desk = Desk(at_most=2)
    desk.may_go_on.set()
    async with desk.busy():
        tasks = [desk.ask(item) for item in "abcde"]
    await asyncio.gather(*tasks)
    assert desk.done == [["a", "b"], ["c", "d"], ["e"]]


async def test_what_is_left_is_done_alone_without_another_wait() -> None:
    desk = Desk()
    desk.may_go_on.set()
    desk.left = {"b"}
    async with desk.busy():
        tasks = [desk.ask(item) for item in "abc"]
    assert await asyncio.gather(*tasks) == ["a together", "b alone", "c together"]
    assert desk.counts() == [1, 2, 1]


async def test_after_a_fault_each_is_done_alone_and_the_fault_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.may_go_on.set()
    desk.fault = ZeroDivisionError("a mistake of ours")
    async with desk.busy():
        tasks = [desk.ask(item) for item in "ab"]
    assert await asyncio.gather(*tasks) == ["a alone", "b alone"]
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


async def test_results_that_do_not_fit_the_items_leave_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.may_go_on.set()

    async def too_few(items: Sequence[str], settle: Callable[[], None]) -> Sequence[str | None]:
        return ["one"]

    desk.gathering._together = too_few  # a mistake that types do not catch
    async with desk.busy():
        tasks = [desk.ask(item) for item in "ab"]
    assert await asyncio.gather(*tasks) == ["a alone", "b alone"]


async def test_a_service_that_is_away_is_away_for_all_who_wait() -> None:
    desk = Desk()
    desk.may_go_on.set()
    desk.fault = Unavailable(retry_after=1)
    async with desk.busy():
        tasks = [desk.ask(item) for item in "ab"]
    assert await asyncio.gather(*tasks, return_exceptions=True) == [desk.fault, desk.fault]
    assert desk.done == [["a", "b"]]


async def test_who_leaves_the_queue_is_not_done() -> None:
    desk = Desk()
    desk.may_go_on.set()
    async with desk.busy():
        tasks = [desk.ask(item) for item in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["a together", "c together"]
    assert desk.done == [["a", "c"]]


async def test_who_leaves_before_the_commit_takes_the_common_work_back() -> None:
    desk = Desk()
    async with desk.busy():
        tasks = [desk.ask(item) for item in "abc"]
    await asyncio.sleep(0)
    assert desk.done == [["a", "b", "c"]]
    tasks[1].cancel()
    desk.may_go_on.set()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["a alone", "c alone"]
    assert tasks[1].cancelled()


async def test_after_that_the_others_have_their_deadlines_still() -> None:
    desk = Desk()

    async def hurried() -> str:
        async with deadline(0.1):
            return await desk.gathering.do("a", alone=asyncio.Event().wait)  # type: ignore[arg-type]

    async with desk.busy():
        task, leaver = asyncio.create_task(hurried()), desk.ask("b")
    await asyncio.sleep(0)
    leaver.cancel()
    desk.may_go_on.set()
    with pytest.raises(Timeout):
        await asyncio.wait_for(task, timeout=5)


async def test_a_deadline_ends_the_wait_until_the_commit_and_not_after_it() -> None:
    async def hurried(desk: Desk, item: str) -> str:
        async with deadline(0.05):
            return await desk.gathering.do(item, alone=never)

    async def never() -> str:
        raise AssertionError("it had company")

    class SlowToCommit(Desk):
        async def together(self, items: Sequence[str], settle: Callable[[], None]) -> Sequence[str | None]:
            await self.may_go_on.wait()
            settle()
            await asyncio.sleep(0.2)
            return [f"{item} together" for item in items]

    for goes_on, told in ((True, ["a together", "b together"]), (False, [Timeout, Timeout])):
        desk = SlowToCommit()
        async with desk.busy():
            tasks = [asyncio.create_task(hurried(desk, item)) for item in "ab"]
        if goes_on:
            desk.may_go_on.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == told


async def test_work_that_hangs_makes_others_wait_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "patience_seconds", 0.02)
    desk = Desk()
    hanging = desk.ask("a")
    await asyncio.sleep(0)
    tasks = [desk.ask(item) for item in "bc"]
    async with asyncio.timeout(5):
        while len(desk.done) < 2:  # noqa: ASYNC110 - nothing tells when the patience ends
            await asyncio.sleep(0.005)
    assert desk.done == [["a"], ["b", "c"]]
    desk.may_go_on.set()
    assert await asyncio.gather(hanging, *tasks) == ["a alone", "b together", "c together"]
    later = desk.ask("d")  # rooms that were left early are not left again: there is still one, and only one
    await asyncio.sleep(0)
    assert await later == "d alone"
    assert desk.gathering._taken == 0


async def test_room_given_to_one_who_left_comes_back() -> None:
    desk = Desk()
    desk.may_go_on.set()
    async with desk.busy():
        task = desk.ask("a")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert desk.gathering._taken == 0
    assert await desk.ask("b") == "b alone"
