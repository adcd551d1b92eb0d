"""Balances that customers bring from an older system, taken in as adjustments with a reason and an expiry."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from regulars.formulas.points import settle_debt
from regulars.kit.clock import Clock
from regulars.kit.database import Connection, Transactions
from regulars.kit.errors import OperatorError
from regulars.kit.security import Principal
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.models import LoyaltyAccount, LoyaltyTransactionCreate, LoyaltyTransactionType, NewLot
from regulars.loyalty.repository_opening import OpeningRepository
from regulars.loyalty.retries import with_retries

reason_code = "opening_balance"
batch_customers = 500
columns = ("customer_number", "points", "expires_on")
most_points = 10_000_000


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


def read_opening_lines(path: Path) -> list[OpeningLine]:
    """Read a CSV file with the columns customer_number, points and expires_on (YYYY-MM-DD, or empty for never).

    Raises:
        OperatorError: the file cannot be read, or a line is not as it should be; says which.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if set(reader.fieldnames or ()) != set(columns):
                raise OperatorError(
                    f"{path.name} does not have the columns {', '.join(columns)}.", "Give it exactly these."
                )
            return [_line(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{path} cannot be read.", "Give a CSV file in UTF-8.") from error


def _line(path: Path, number: int, row: Mapping[str, str]) -> OpeningLine:
    try:
        points, day = int(row["points"]), row["expires_on"]
        line = OpeningLine(row["customer_number"], points, date.fromisoformat(day) if day else None)
    except (TypeError, ValueError) as error:
        raise OperatorError(f"{path.name}, line {number}: not a number or not a date.", "Correct the line.") from error
    if not 1 <= points <= most_points:
        raise OperatorError(f"{path.name}, line {number}: points are not 1 to {most_points:,}.", "Correct the line.")
    return line


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


async def import_opening_balances(
    database: Transactions, clock: Clock, lines: Iterable[OpeningLine], *, by: Principal
) -> list[OpeningOutcome]:
    """Take in opening balances, 500 customers in a transaction; one outcome for each customer, by number.

    To import the same file again changes nothing: each customer has one opening balance.
    """
    by_customer: dict[str, list[OpeningLine]] = defaultdict(list)
    for line in lines:
        by_customer[line.customer_number].append(line)
    numbers = sorted(by_customer)
    outcomes: list[OpeningOutcome] = []
    for start in range(0, len(numbers), batch_customers):
        batch = {number: by_customer[number] for number in numbers[start : start + batch_customers]}

        async def take_in(batch: Mapping[str, Sequence[OpeningLine]] = batch) -> list[OpeningOutcome]:
            async with database.transaction() as connection:
                return await OpeningService(connection, clock).import_balances(batch, by=by)

        outcomes += await with_retries(take_in)
    return outcomes
