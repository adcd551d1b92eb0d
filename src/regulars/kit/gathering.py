"""Work of one kind that comes in while other such work is being done waits a moment, and is then done together.

Under little load everything is done by itself, at once. Under much, all who waited share what a transaction costs
whomever it is for: its round trips and its commit.

    gathering = Gathering(book_together, apart=lambda award: [award.customer_id], at_once=2, at_most=32)
    answer = await gathering.do(award, alone=partial(book, award))

Doing together is only ever a short cut. It takes what it can do without waiting for anybody, and whatever it leaves is
done by itself, as if it had never been gathered.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

from regulars.kit.deadline import begin_to_commit
from regulars.kit.errors import Unavailable
from regulars.kit.logs import log_fault
from regulars.kit.measures import Figure

Item = TypeVar("Item")
Done = TypeVar("Done")

patience_seconds = 0.05
"""So long others wait for a piece of work. One that hangs on a lock or a slow disk holds up nobody for longer."""


class SomebodyLeft(Exception):  # noqa: N818 - takes work back, nobody is told
    """Of those whose work was about to be committed, one waits no longer: what is done for all must be rolled back."""


@dataclass(eq=False)
class _Waiting(Generic[Item, Done]):
    """An item in the queue, with all that belongs to whoever waits for it."""

    item: Item
    turn: "asyncio.Future[_Turn[Done]]"
    context: Context

    def answer(self, turn: "_Turn[Done]") -> None:
        """Wake the one who waits."""
        if not self.turn.done():
            self.turn.set_result(turn)


class _Place:
    """Room for one piece of work. It is left once: when the work is done, or has taken longer than others wait."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave
        self._timer = asyncio.get_running_loop().call_later(patience_seconds, self.leave)

    def leave(self) -> None:
        """Make room; a second time does nothing."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            self._timer.cancel()
            leave()


@dataclass(frozen=True)
class _Turn(Generic[Done]):
    """What one who waited is told: the result, or to do the work alone, in this place if it was not tried before."""

    done: Done | None = None
    place: _Place | None = None


class Gathering(Generic[Item, Done]):
    """Does items alone while there is room, and together those that had to wait for it.

    Args:
        together: Does several items in one transaction: what can be done at once. Its result is one for each item, None
            for what it leaves. The last thing before its commit is to call its second argument, which raises when
            somebody waits no longer. When it raises `Unavailable`, all who wait are told; after any other exception
            each item is done by itself. That must be safe even if nobody knows whether something was committed.
        apart: What two items must not share to be done together.
        at_once: How many pieces of work there is room for.
        at_most: How many items are done together.
    """

    def __init__(
        self,
        together: Callable[[Sequence[Item], Callable[[], None]], Awaitable[Sequence[Done | None]]],
        *,
        apart: Callable[[Item], Iterable[Hashable]],
        at_once: int = 2,
        at_most: int = 32,
    ) -> None:
        self._together = together
        self._apart = apart
        self._at_once, self._at_most = at_once, at_most
        self._waiting: deque[_Waiting[Item, Done]] = deque()
        self._taken = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself does not keep them alive
        self._alone = self._gathered = self._left = 0

    async def do(self, item: Item, *, alone: Callable[[], Awaitable[Done]]) -> Done:
        """Do an item, alone or with others.

        Args:
            item: What is to be done.
            alone: Does it by itself.

        Raises:
            Unavailable: what was done for several could not be done or committed.
            Exception: whatever doing it alone raises.
        """
        if self._taken < self._at_once:
            return await self._do_alone(self._take_place(), alone)
        waiting = _Waiting[Item, Done](item, asyncio.get_running_loop().create_future(), copy_context())
        self._waiting.append(waiting)
        turn = await waiting.turn
        if turn.done is not None:
            return turn.done
        return await self._do_alone(turn.place, alone)

    def figures(self, name: str, help_: str) -> list[Figure]:
        """How many items were done alone, together, and alone after all, since the process began."""
        ways = {"alone": self._alone, "together": self._gathered, "left": self._left}
        return [Figure(name, "counter", help_, [("", {"way": way}, count) for way, count in ways.items()])]

    async def _do_alone(self, place: _Place | None, alone: Callable[[], Awaitable[Done]]) -> Done:
        self._alone += place is not None
        try:
            return await alone()
        finally:
            if place is not None:
                place.leave()

    def _take_place(self) -> _Place:
        self._taken += 1
        return _Place(self._leave_place)

    def _leave_place(self) -> None:
        self._taken -= 1
        while self._taken < self._at_once and (batch := self._next()):
            place = self._take_place()
            if len(batch) == 1:
                batch[0].answer(_Turn(place=place))
                continue
            # In a context of its own: that of whoever left the place has a deadline and a trace of its own.
            task = asyncio.get_running_loop().create_task(self._run(batch, place), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> list[_Waiting[Item, Done]]:
        """The longest waiting items that can be done together; others stay where they are in the queue."""
        batch: list[_Waiting[Item, Done]] = []
        later: deque[_Waiting[Item, Done]] = deque()
        used: set[Hashable] = set()
        while self._waiting and len(batch) < self._at_most:
            waiting = self._waiting.popleft()
            if waiting.turn.done():  # it was cancelled
                continue
            own = set(self._apart(waiting.item))
            if used.isdisjoint(own):
                batch.append(waiting)
                used |= own
            else:
                later.append(waiting)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _run(self, batch: Sequence[_Waiting[Item, Done]], place: _Place) -> None:
        def settle() -> None:
            if any(waiting.turn.done() for waiting in batch):  # cancelled, by its deadline or otherwise
                raise SomebodyLeft
            for waiting in batch:
                waiting.context.run(begin_to_commit)  # takes the deadline away from each, all or none

        turns = [_Turn[Done]() for _ in batch]
        try:
            results = await self._together([waiting.item for waiting in batch], settle)
            turns = [_Turn(done) for _, done in zip(batch, results, strict=True)]
        except Unavailable as refusal:
            for waiting in batch:
                if not waiting.turn.done():
                    waiting.turn.set_exception(refusal)
        except SomebodyLeft:
            pass
        except Exception as error:  # noqa: BLE001 - each does its own work then, and meets its own fault
            log_fault(error, trace_id="", expected=False)
        finally:
            place.leave()
            for waiting, turn in zip(batch, turns, strict=True):
                waiting.answer(turn)
                self._gathered += turn.done is not None
                self._left += turn.done is None
