"""Awards as requests bring them: alone, or together when many come at once (docs/adr/0043)."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Response

from regulars.api.deps import part
from regulars.api.idempotency import Answer, Once, kept_form_of, keys_of
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions, refusal_for
from regulars.kit.gathering import Gathering
from regulars.kit.idempotency import IdempotencyInProgress, KeyedRequest
from regulars.kit.logs import current_trace_id
from regulars.kit.measures import Figure
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.loyalty.bulk import AwardLine, BulkAwardService
from regulars.loyalty.models import LoyaltyTransaction
from regulars.loyalty.schemas import LoyaltyPointsEarn, LoyaltyTransactionResponse, expiry_days_of
from regulars.loyalty.service import LoyaltyService


def booked(row: LoyaltyTransaction, caller: Principal) -> Answer:
    """The answer to a request that moved points."""
    return Answer(LoyaltyTransactionResponse.of(row, caller), concerns=row.customer_id)


@dataclass(frozen=True, eq=False)
class _Asked:
    """An award that waits for others."""

    line: AwardLine
    by: Principal
    request: KeyedRequest


class Awards:
    """Books awards for requests, each answered after its commit."""

    def __init__(self, database: Transactions, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._gathering: Gathering[_Asked, Response] = Gathering(self._book_together, apart=_what_is_once)

    async def book(self, award: LoyaltyPointsEarn, *, by: Principal, request: KeyedRequest | None) -> Response:
        """The answer to a request for an award.

        Only requests with a key are gathered: whatever becomes of a common transaction, to do one of them again by
        itself is safe. Those whose caller has caps are not, because the caller's count of the day is locked.

        Raises:
            Refusal: as `LoyaltyService.earn_loyalty_points` and `Once.run` raise it.
        """
        alone = partial(self._book, award, by, request)
        if request is None or by.has_caps:
            return await alone()
        line = AwardLine(
            award.customer_id,
            award.points,
            order_id=award.order_id,
            expiry_days=expiry_days_of(award),
            description=award.description,
            metadata=award.metadata,
            trace_id=current_trace_id.get(),
        )
        return await self._gathering.do(_Asked(line, by, request), alone=alone)

    def figures(self) -> list[Figure]:
        """How awards were booked."""
        return self._gathering.figures(
            "awards_total", "Awards under a key: alone, together with others, or left by those and done alone."
        )

    async def _book(self, award: LoyaltyPointsEarn, by: Principal, request: KeyedRequest | None) -> Response:
        async with self._database.transaction() as connection:
            loyalty = LoyaltyService(connection, self._settings, self._clock)

            async def work() -> Answer:
                return booked(await loyalty.earn_loyalty_points(award, by=by), by)

            once = Once(keys_of(connection, self._settings), self._clock, request)
            return await once.run(work, concerns=award.customer_id)

    async def _book_together(self, asked: Sequence[_Asked], settle: Callable[[], None]) -> Sequence[Response | None]:
        try:
            async with self._database.transaction() as connection:
                answers = await self._answers(connection, asked)
                settle()
        except IdempotencyInProgress:
            return [None] * len(asked)
        except Exception as error:
            if refusal_for(error) is None:
                raise
            return [None] * len(asked)  # a lock or the time of a statement: each by itself fares better
        return answers

    async def _answers(self, connection: Connection, asked: Sequence[_Asked]) -> list[Response | None]:
        keys, now = keys_of(connection, self._settings), self._clock.now()
        are_ours = await keys.claim_free([award.request for award in asked], now=now)
        ours = [award for award, is_ours in zip(asked, are_ours, strict=True) if is_ours]
        bulk = BulkAwardService(connection, self._clock)
        rows = await bulk.earn_free([(award.line, award.by) for award in ours]) if ours else []
        answers = {
            award: booked(row, award.by).response() for award, row in zip(ours, rows, strict=True) if row is not None
        }
        if answers:
            kept = [
                (award.request, kept_form_of(response), award.line.customer_id) for award, response in answers.items()
            ]
            await keys.keep_all(kept, now=now)
        return [answers.get(award) for award in asked]


def _what_is_once(asked: _Asked) -> Iterable[Hashable]:
    """One transaction moves an account once, credits an order once, and answers a key once."""
    yield asked.line.customer_id
    yield asked.request.principal_id, asked.request.key
    if asked.line.order_id is not None:
        yield "order", asked.line.order_id


AwardsDep = Annotated[Awards, part("awards")]
