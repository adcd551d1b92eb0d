"""Balances that customers bring from an older system, taken in as adjustments with a reason and an expiry."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from regulars.formulas.points import settle_debt
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import LoyaltyAccount, LoyaltyTransactionCreate, LoyaltyTransactionType, NewLot
from regulars.loyalty.repository_opening import OpeningRepository

reason_code = "opening_balance"
batch_customers = 500


@dataclass(frozen=True)
class OpeningLine:
    """Points of one customer that expire together; `expires_on` is their last usable store day, None is never."""

    customer_number: str
    points: int
    expires_on: date | None


@dataclass(frozen=True)
class OpeningOutcome:
    """What became of a customer of the file."""

    customer_number: str
    status: Literal["imported", "unchanged", "not_found", "expired"]
    points: int = 0


class OpeningService:
    """Takes in the opening balances of at most 500 customers in one transaction."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)
        self._opening = OpeningRepository(connection)

    async def import_balances(
        self, lines: Mapping[str, Sequence[OpeningLine]], *, by: Principal
    ) -> list[OpeningOutcome]:
        """Take in the lines of some customers, by their numbers. A customer has one opening balance for good."""
        ids = await self._opening.find_customers(list(lines))
        accounts = {account.customer_id: account for account in await self._ledger.lock_many(list(ids.values()))}
        done = await self._opening.find_opened(list(ids.values()))
        programme = await self._ledger.programmes.current()
        outcomes: list[OpeningOutcome] = []
        entries: list[Entry] = []
        for number, parts in lines.items():
            account = accounts.get(ids[number]) if number in ids else None
            if account is None or account.is_gone:
                outcomes.append(OpeningOutcome(number, "not_found"))
            elif account.customer_id in done:
                outcomes.append(OpeningOutcome(number, "unchanged"))
            elif create := self._create(account, parts, programme.version, by):
                entries.append(Entry(account, create))
                outcomes.append(OpeningOutcome(number, "imported", create.points))
            else:
                outcomes.append(OpeningOutcome(number, "expired"))
        if entries:
            await self._ledger.write_all(entries)
        return outcomes

    def _create(
        self, account: LoyaltyAccount, parts: Sequence[OpeningLine], version: int, by: Principal
    ) -> LoyaltyTransactionCreate | None:
        """One adjustment with a lot for each deadline; None when every point has expired."""
        now = self._clock.now()
        by_deadline: dict[datetime | None, int] = defaultdict(int)
        for part in parts:
            ends_at = self._clock.end_of(part.expires_on) if part.expires_on else None
            if ends_at is None or ends_at > now:
                by_deadline[ends_at] += part.points
        if not by_deadline:
            return None
        lots = [
            NewLot(points, ends_at)
            for ends_at, points in sorted(by_deadline.items(), key=lambda item: (item[0] is None, item[0] or now))
        ]
        total = sum(lot.points for lot in lots)
        settled, _ = settle_debt(account.balance, total)
        return LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=LoyaltyTransactionType.ADJUSTED_ADD,
            points=total,
            programme_version=version,
            reason_code=reason_code,
            expires_at=lots[0].expires_at,
            created_by=by.id,
            created_at=now,
            new_lots=tuple(_without(lots, settled)),
            debt_change=settled,
        )


def _without(lots: Iterable[NewLot], settled: int) -> Iterable[NewLot]:
    """The lots that are left when their soonest points have settled debt."""
    for lot in lots:
        part = min(lot.points, settled)
        settled -= part
        if part < lot.points:
            yield replace(lot, points=lot.points - part)
