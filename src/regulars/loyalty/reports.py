"""The programme in figures, and one customer's points in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from regulars.formulas.tiers import LoyaltyTier
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal
from regulars.loyalty.access import read_account
from regulars.loyalty.balance import balance_of
from regulars.loyalty.models import LoyaltyBalance, LoyaltyTransaction, LoyaltyTransactionType
from regulars.loyalty.repository import LoyaltyTransactionRepository
from regulars.loyalty.repository_accounts import LoyaltyAccountRepository
from regulars.loyalty.repository_programmes import ProgrammeRepository
from regulars.loyalty.repository_reports import (
    AllocationRecord,
    LotRecord,
    LoyaltyReportRepository,
    PointTotals,
)


@dataclass(frozen=True)
class LoyaltyMetrics:
    """The programme in figures.

    `opening` + what came in - what went out = `closing`, and outstanding - owed = the sum of the ledger, to the point.

    Attributes:
        totals: Points, of one moment.
        moved: Signed points by kind of transaction in the period; every kind is there.
        point_value: What a point is worth.
        liability: What all outstanding points are worth.
        liability_by_tier: The same by tier.
        liability_by_month: The same by month of expiry; `never` for points that do not expire.
    """

    totals: PointTotals
    moved: dict[str, int]
    point_value: Decimal
    liability: Decimal
    liability_by_tier: dict[LoyaltyTier, Decimal]
    liability_by_month: dict[str, Decimal]


@dataclass(frozen=True)
class ExplainedTransaction:
    """A transaction and what it did to each lot, with a sentence for the counter."""

    transaction: LoyaltyTransaction
    parts: list[AllocationRecord]
    sentence: str


@dataclass(frozen=True)
class LedgerExplanation:
    """How a balance came to be: what was earned and used, which lots remain, what expires when."""

    balance: LoyaltyBalance
    summary: list[str]
    lots: list[LotRecord]
    transactions: list[ExplainedTransaction] = field(default_factory=list)


class LoyaltyReportService:
    """Reads the ledger as a whole or in full; changes nothing."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._reports = LoyaltyReportRepository(connection)
        self._transactions = LoyaltyTransactionRepository(connection)
        self._accounts = LoyaltyAccountRepository(connection)
        self._programmes = ProgrammeRepository(connection)

    async def get_loyalty_metrics(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> LoyaltyMetrics:
        """Points issued, redeemed, expired and outstanding, and what they are worth.

        The period is `since` <= created_at < `until`; what is outstanding is so now.
        """
        totals = await self._reports.get_totals(
            since=since, until=until, now=self._clock.now(), timezone=self._clock.store_timezone.key
        )
        value = (await self._programmes.current()).point_value
        return LoyaltyMetrics(
            totals=totals,
            moved={kind.value: 0 for kind in LoyaltyTransactionType} | totals.moved,
            point_value=value,
            liability=totals.outstanding * value,
            liability_by_tier={
                tier: totals.by_tier.get(tier.value, {}).get("points", 0) * value for tier in LoyaltyTier
            },
            liability_by_month={month: points * value for month, points in sorted(totals.by_month.items())},
        )

    async def get_customers_with_points_expiring(
        self, *, days: int, after_customer: UUID | None = None, limit: int = 500
    ) -> Sequence[tuple[UUID, datetime, int]]:
        """For campaigns: (customer, first deadline, points) of those with points that expire within days.

        Pages go by customer id; `after_customer` continues one.
        """
        until = self._clock.end_of(self._clock.today() + timedelta(days=days))
        return await self._reports.get_customers_with_points_expiring(
            after=self._clock.now(), until=until, after_customer=after_customer, limit=limit
        )

    async def explain(self, customer_id: UUID, *, limit: int | None = None, by: Principal) -> LedgerExplanation:
        """Tell how a customer's balance came to be, oldest transaction first.

        Args:
            customer_id: Whose balance.
            limit: Tell the newest transactions only; None tells all.
            by: Who asks.

        Raises:
            NotFound: there is no such customer.
        """
        account, deadlines = await read_account(self._accounts, customer_id, by)
        thresholds = (await self._programmes.current()).thresholds
        balance = balance_of(account, deadlines, thresholds=thresholds, clock=self._clock)
        # In this order, as tills go on meanwhile: what a transaction points to is there before it.
        history = await self._transactions.get_customer_transactions(customer_id, limit=limit)
        parts = await self._parts_of(history)
        lots = await self._reports.get_lots(customer_id)
        teller = _Teller(self._clock, lots)
        return LedgerExplanation(
            balance=balance,
            summary=teller.summary(balance),
            lots=lots,
            transactions=[
                ExplainedTransaction(row, parts[row.seq], teller.sentence(row, parts[row.seq])) for row in history[::-1]
            ],
        )

    async def _parts_of(self, history: Sequence[LoyaltyTransaction]) -> Mapping[int, list[AllocationRecord]]:
        """What each of these transactions of a customer, newest first, did to lots; by its number."""
        parts: dict[int, list[AllocationRecord]] = defaultdict(list)
        if history:
            newest, oldest = history[0], history[-1]
            for part in await self._reports.get_allocations(newest.customer_id, oldest.seq, newest.seq):
                parts[part.seq].append(part)
        return parts


_verbs = {
    LoyaltyTransactionType.EARNED: "earned",
    LoyaltyTransactionType.REDEEMED: "redeemed",
    LoyaltyTransactionType.EXPIRED: "expired",
    LoyaltyTransactionType.ADJUSTED_ADD: "added by hand",
    LoyaltyTransactionType.ADJUSTED_SUB: "subtracted by hand",
    LoyaltyTransactionType.REFUND_CLAWBACK: "taken back for a refund",
    LoyaltyTransactionType.REDEEM_RESTORED: "given back from a redemption",
}


class _Teller:
    """Puts the ledger into words; lots are called by their number, the oldest is lot 1."""

    def __init__(self, clock: Clock, lots: Sequence[LotRecord]) -> None:
        self._clock = clock
        self._lots = {lot.id: (number, lot) for number, lot in enumerate(lots, start=1)}

    def summary(self, balance: LoyaltyBalance) -> list[str]:
        lines = [f"{balance.spendable:,} points can be spent."]
        if balance.points_owed:
            lines = [f"{balance.points_owed:,} points are owed; the next points settle them first."]
        lines += [
            f"Lot {number}: {lot.remaining:,} of {lot.earned:,} points left, {self._until(lot.expires_at)}."
            for number, lot in self._lots.values()
            if lot.remaining and (lot.expires_at is None or lot.expires_at > self._clock.now())
        ]
        return lines

    def sentence(self, row: LoyaltyTransaction, parts: Sequence[AllocationRecord]) -> str:
        what = f"{abs(row.points):,} points {_verbs[row.transaction_type]}"
        because = f" ({row.reason_code})" if row.reason_code else ""
        told = ", ".join(self._part(row, part) for part in parts)
        return f"{self._clock.day_of(row.created_at)}: {what}{because}: {told}. Balance {row.balance_after:,}."

    def _part(self, row: LoyaltyTransaction, part: AllocationRecord) -> str:
        points = f"{abs(part.points):,}"
        if part.lot_id is None:
            return f"{points} settled points owed" if part.points > 0 else f"{points} are owed"
        number, lot = self._lots[part.lot_id]
        if part.points < 0:
            return f"{points} from lot {number}"
        if lot.seq < row.seq:
            return f"{points} back into lot {number}"
        return f"{points} into lot {number}, {self._until(lot.expires_at)}"

    def _until(self, expires_at: datetime | None) -> str:
        if expires_at is None:
            return "without expiry"
        return f"good until the end of {self._clock.day_of(expires_at - timedelta(microseconds=1))}"
