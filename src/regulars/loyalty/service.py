"""What can be done with a customer's points."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from regulars.formulas.earning import OrderAmounts
from regulars.kit.bounds import most_points_of_order
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation
from regulars.loyalty.access import read_account, require_reach
from regulars.loyalty.balance import balance_of
from regulars.loyalty.errors import AccountUnderReview, AlreadyCredited, LimitExceeded, NotRestorable, SelfAdjustment
from regulars.loyalty.ledger import Entry, PointsLedger
from regulars.loyalty.limits import ClientLimits
from regulars.loyalty.models import (
    Deadline,
    ExpiryDays,
    LoyaltyAccount,
    LoyaltyBalance,
    LoyaltyTransaction,
    LoyaltyTransactionCreate,
    LoyaltyTransactionType,
)
from regulars.loyalty.plans import award, gain, give_back, require_points
from regulars.loyalty.repository_bonuses import WelcomeBonusRepository
from regulars.loyalty.schemas import (
    AdjustmentType,
    LoyaltyPointsAdjust,
    LoyaltyPointsEarn,
    LoyaltyPointsRedeem,
    LoyaltyRedemptionRestore,
    expiry_days_of,
)
from regulars.loyalty.schemas_lists import LoyaltyTransactionQuery


class LoyaltyService:
    """Earn, redeem, adjust, restore and read points, one customer at a time.

    Every method works inside the transaction of its connection; what it locks stays locked until that ends.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._ledger = PointsLedger(connection, clock)
        self._limits = ClientLimits(connection, clock)
        self._welcomed = WelcomeBonusRepository(connection)

    async def earn_loyalty_points(self, award: LoyaltyPointsEarn, *, by: Principal) -> LoyaltyTransaction:
        """Award points. An order earns once, by this way or by its purchase.

        Raises:
            NotFound: there is no such customer, or the order is another's.
            LimitExceeded: more points than the API client may move.
            CustomerInactive: the customer is deactivated.
            AlreadyCredited: the order has earned; says with which transaction.
        """
        await self._limits.take(award.points, by=by)
        return await self._award(
            award.customer_id,
            award.points,
            rule="purchase" if award.order_id else "award",
            order_id=award.order_id,
            expiry_days=expiry_days_of(award),
            description=award.description,
            metadata=award.metadata,
            by=by,
        )

    async def award_order(
        self,
        customer_id: UUID,
        order_id: UUID,
        amounts: OrderAmounts,
        *,
        by: Principal,
    ) -> LoyaltyTransaction | None:
        """Award what the programme gives for an order; None when that is nothing.

        Args:
            customer_id: Who bought.
            order_id: What was bought.
            amounts: What it came to.
            by: Who asks.

        Raises:
            NotFound: there is no such customer, or the order earned for another.
            CustomerInactive: the customer is deactivated.
            AlreadyCredited: the order has earned; says with which transaction.
            Validation: it would earn more points than one order can.
        """
        points = await self.points_of(amounts)
        if points == 0:
            return None
        if points > most_points_of_order:
            raise Validation.at("/total", "range", f"an order earns at most {most_points_of_order} points")
        return await self._award(customer_id, points, rule="purchase", order_id=order_id, by=by)

    async def points_of(self, amounts: OrderAmounts) -> int:
        """What the programme gives for an order."""
        return (await self._ledger.programmes.current()).points_for_order(amounts)

    async def give_welcome_bonus(
        self, customer_id: UUID, *, contacts: Sequence[bytes] = (), by: Principal
    ) -> LoyaltyTransaction | None:
        """Give the programme's welcome bonus, once per customer and contact; None when there is none to give.

        Args:
            customer_id: Who is welcome.
            contacts: Keyed hashes of their e-mail address and phone number.
            by: Who asks.

        Raises:
            NotFound: there is no such customer.
            CustomerInactive: the customer is deactivated.
        """
        await self._ledger.lock(customer_id, by=by)
        points = (await self._ledger.programmes.current()).welcome_bonus_points
        if points == 0 or await self._ledger.transactions.has_welcome_bonus(customer_id):
            return None
        if not await self._welcomed.take(contacts, customer_id, now=self._clock.now()):
            return None
        return await self._award(customer_id, points, rule="welcome", by=by)

    async def redeem_loyalty_points(self, redemption: LoyaltyPointsRedeem, *, by: Principal) -> LoyaltyTransaction:
        """Spend points: those that expire soonest first. What has expired by now is written off before.

        Raises:
            NotFound: there is no such customer, or the order is another's.
            LimitExceeded: more points than the API client may move.
            CustomerInactive: the customer is deactivated.
            AccountUnderReview: the last audit found that the customer's points do not add up.
            InsufficientPoints: says how many can be spent and how many are owed.
        """
        require_reach(redemption.customer_id, by, "loyalty:redeem")
        if redemption.order_id is not None:
            await self._require_own_order(redemption.customer_id, redemption.order_id)
        await self._limits.take(redemption.points, by=by)
        account = await self._ledger.lock(redemption.customer_id, by=by)
        if account.is_under_review:
            raise AccountUnderReview
        create = LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=LoyaltyTransactionType.REDEEMED,
            points=-redemption.points,
            order_id=redemption.order_id,
            created_by=by.id,
            created_at=self._clock.now(),
        )
        return await self._spend(account, create, redemption.description, redemption.metadata, by=by)

    async def adjust_loyalty_points(self, adjustment: LoyaltyPointsAdjust, *, by: Principal) -> LoyaltyTransaction:
        """Add or subtract points by hand. Adjustments do not count for the tier.

        Raises:
            SelfAdjustment: the account is the caller's own.
            LimitExceeded: more points than staff may move at once.
            NotFound: there is no such customer.
            CustomerInactive: the customer is deactivated.
            InsufficientPoints: fewer points can be spent than are to be subtracted.
        """
        await self._require_may_adjust(adjustment, by)
        account = await self._ledger.lock(adjustment.customer_id, by=by)
        is_gain = adjustment.adjustment_type is AdjustmentType.ADJUSTED_ADD
        create = LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=LoyaltyTransactionType(adjustment.adjustment_type),
            points=adjustment.points if is_gain else -adjustment.points,
            reason_code=adjustment.reason,
            created_by=by.id,
            created_at=self._clock.now(),
        )
        if not is_gain:
            return await self._spend(account, create, adjustment.description, adjustment.metadata, by=by)
        programme = await self._ledger.programmes.current()
        planned = gain(account, create, expires_at=self._ledger.expiry(expiry_days_of(adjustment), programme))
        return await self._ledger.write(Entry(account, planned, None, adjustment.description, adjustment.metadata))

    async def restore_redemption(
        self, transaction_id: UUID, restore: LoyaltyRedemptionRestore, *, by: Principal
    ) -> LoyaltyTransaction:
        """Give points of a redemption back to their lots, with the expiry they had.

        Points whose expiry has passed come back in a lot of their own, with the programme's days of grace. Points
        owed are settled first.

        Raises:
            NotFound: there is no such transaction.
            NotRestorable: it is no redemption, or less is left of it than asked for; says how many.
            LimitExceeded: more points than the API client may move.
        """
        redemption = await self._ledger.transactions.get_transaction(transaction_id)
        wanted = max(-redemption.points, 0) if restore.points is None else restore.points
        await self._limits.take(wanted, by=by)  # before the account: see ClientLimits
        account = await self._ledger.lock(redemption.customer_id, by=by, active=False)
        if redemption.transaction_type is not LoyaltyTransactionType.REDEEMED:
            raise NotRestorable(restorable=0)
        already = await self._ledger.transactions.get_restored_points(redemption)
        left = -redemption.points - already
        points = left if restore.points is None else restore.points
        if not 0 < points <= left:
            raise NotRestorable(restorable=left)
        await self._limits.give_back(wanted - points, by=by)
        programme = await self._ledger.programmes.current()
        create = LoyaltyTransactionCreate(
            customer_id=account.customer_id,
            transaction_type=LoyaltyTransactionType.REDEEM_RESTORED,
            points=points,
            reason_code=restore.reason,
            order_id=redemption.order_id,
            reverses_transaction_id=redemption.id,
            created_by=by.id,
            created_at=self._clock.now(),
        )
        uses = await self._ledger.transactions.get_lot_uses(redemption)
        grace_ends_at = self._ledger.expiry(programme.restore_grace_days, programme)
        planned = give_back(account, create, uses, already=already, grace_ends_at=grace_ends_at)
        return await self._ledger.write(Entry(account, planned, None, restore.description, restore.metadata))

    async def get_loyalty_balance(self, customer_id: UUID, *, by: Principal) -> LoyaltyBalance:
        """What a customer has by the clock, and what expires when.

        Raises:
            NotFound: there is no such customer.
        """
        account, deadlines = await self._read(customer_id, by)
        thresholds = (await self._ledger.programmes.current()).thresholds
        return balance_of(account, deadlines, thresholds=thresholds, clock=self._clock)

    async def get_points_expiring_soon(self, customer_id: UUID, *, days: int, by: Principal) -> list[Deadline]:
        """Points whose last usable store day is today or one of the `days` that follow, earliest first.

        Raises:
            NotFound: there is no such customer.
        """
        await self._read(customer_id, by)
        until = self._clock.end_of(self._clock.today() + timedelta(days=days))
        return await self._ledger.transactions.get_points_expiring_soon(customer_id, now=self._clock.now(), until=until)

    async def get_loyalty_transactions(
        self,
        customer_id: UUID,
        *,
        by: Principal,
        transaction_type: LoyaltyTransactionType | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before_seq: int | None = None,
        limit: int = 50,
    ) -> list[LoyaltyTransaction]:
        """A customer's ledger, newest first; `since` <= created_at < `until`; `before_seq` continues a page.

        Raises:
            NotFound: there is no such customer.
        """
        await self._read(customer_id, by)
        return await self._ledger.transactions.get_customer_transactions(
            customer_id,
            transaction_type=transaction_type,
            since=since,
            until=until,
            before_seq=before_seq,
            limit=limit,
        )

    async def list_loyalty_transactions(
        self, customer_id: UUID, query: LoyaltyTransactionQuery, *, before_seq: int | None, by: Principal
    ) -> list[LoyaltyTransaction]:
        """The part of a customer's ledger that a query asks for, and one more row if there are more.

        Raises:
            NotFound: there is no such customer.
        """
        return await self.get_loyalty_transactions(
            customer_id,
            by=by,
            transaction_type=query.transaction_type,
            since=self._clock.start_of(query.from_) if query.from_ else None,
            until=self._clock.end_of(query.to) if query.to else None,
            before_seq=before_seq,
            limit=query.limit + 1,
        )

    async def _award(
        self,
        customer_id: UUID,
        points: int,
        *,
        rule: str,
        by: Principal,
        order_id: UUID | None = None,
        expiry_days: ExpiryDays = "programme",
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> LoyaltyTransaction:
        account, programme = await self._ledger.lock_for_award(customer_id, by=by)
        if order_id is not None:
            await self._require_uncredited(customer_id, order_id, rule)
        planned = award(
            account,
            points,
            programme=programme,
            rule=rule,
            order_id=order_id,
            expires_at=self._ledger.expiry(expiry_days, programme),
            by=by,
            at=self._clock.now(),
        )
        return await self._ledger.write(Entry(account, planned, programme, description, metadata))

    async def _require_own_order(self, customer_id: UUID, order_id: UUID) -> None:
        """Refuse an order that another customer made or was credited for; one that nobody knows is kept as given."""
        for owner, _ in await self._ledger.transactions.find_claims(order_id, "purchase"):
            if owner != customer_id:
                raise NotFound

    async def _require_uncredited(self, customer_id: UUID, order_id: UUID, rule: str) -> None:
        for owner, transaction_id in await self._ledger.transactions.find_claims(order_id, rule):
            if owner != customer_id:
                raise NotFound
            if transaction_id is not None:
                raise AlreadyCredited(transaction_id=transaction_id)

    async def _spend(
        self,
        account: LoyaltyAccount,
        create: LoyaltyTransactionCreate,
        description: str | None,
        metadata: Mapping[str, object] | None,
        *,
        by: Principal,
    ) -> LoyaltyTransaction:
        now = create.created_at
        expired = await self._ledger.transactions.get_expired_points([account.customer_id], now=now)
        due = expired.get(account.customer_id, [])
        require_points(account, due, -create.points)
        await self._ledger.write_off_due(account, due, now=now, by=by)
        planned = replace(create, spends=True)
        return await self._ledger.write(Entry(account, planned, None, description, metadata))

    async def _read(self, customer_id: UUID, by: Principal) -> tuple[LoyaltyAccount, list[Deadline]]:
        return await read_account(self._ledger.accounts, customer_id, by)

    async def _require_may_adjust(self, adjustment: LoyaltyPointsAdjust, by: Principal) -> None:
        is_own = by.customer_id == adjustment.customer_id
        if is_own or await self._ledger.accounts.belongs_to(adjustment.customer_id, by.id):
            raise SelfAdjustment
        limit = self._settings.adjust_limit_staff
        if by.role == "staff" and adjustment.points > limit:
            raise LimitExceeded(limit=limit, period="transaction")
