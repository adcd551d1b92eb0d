"""A shop in a test: its services, and a clock that it can move."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from regulars.accounts.roles import scopes_of
from regulars.formulas.earning import OrderAmounts, Returned
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal, operator
from regulars.kit.settings import Settings
from regulars.loyalty.expiry import Expired, ExpiryService
from regulars.loyalty.models import Deadline, LoyaltyBalance, LoyaltyTransaction
from regulars.loyalty.models_refunds import AwardedOrder, ClawBack
from regulars.loyalty.programme import ProgrammeService
from regulars.loyalty.refunds import ClawBackService
from regulars.loyalty.repository import LoyaltyTransactionRepository
from regulars.loyalty.repository_accounts import LoyaltyAccountRepository
from regulars.loyalty.schemas import (
    LoyaltyPointsAdjust,
    LoyaltyPointsEarn,
    LoyaltyPointsRedeem,
    LoyaltyRedemptionRestore,
)
from regulars.loyalty.schemas_programme import LoyaltyProgrammeUpdate
from regulars.loyalty.service import LoyaltyService
from regulars.loyalty.tiers import LoyaltyTierService
from tests.factories.loyalty import make_member

till = Principal(id=uuid4(), kind="client", role="service", scopes=scopes_of("service"))


@dataclass(frozen=True)
class PassingClock(Clock):
    """A second passes between two looks at it."""

    looks: Iterator[int] = field(default_factory=count)

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=next(self.looks))


async def check_guards(connection: Connection) -> None:
    """Let the guards look now, as they do at commit."""
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await connection.execute("SET CONSTRAINTS ALL DEFERRED")


class Shop:
    """Says in one short line what a test does with points."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self.connection, self.settings, self.clock = connection, settings, clock

    @property
    def loyalty(self) -> LoyaltyService:
        return LoyaltyService(self.connection, self.settings, self.clock)

    @property
    def tiers(self) -> LoyaltyTierService:
        return LoyaltyTierService(self.connection, self.clock)

    @property
    def ledger(self) -> LoyaltyTransactionRepository:
        return LoyaltyTransactionRepository(self.connection)

    @property
    def accounts(self) -> LoyaltyAccountRepository:
        return LoyaltyAccountRepository(self.connection)

    async def member(self, points: int = 0, **state: bool) -> UUID:
        customer_id = await make_member(self.connection, self.clock, **state)
        if points:
            await self.earn(customer_id, points)
        return customer_id

    async def earn(self, customer_id: UUID, points: int, **more: Any) -> LoyaltyTransaction:
        return await self.loyalty.earn_loyalty_points(
            LoyaltyPointsEarn(customer_id=customer_id, points=points, **more), by=till
        )

    async def redeem(self, customer_id: UUID, points: int, **more: Any) -> LoyaltyTransaction:
        return await self.loyalty.redeem_loyalty_points(
            LoyaltyPointsRedeem(customer_id=customer_id, points=points, **more), by=till
        )

    async def adjust(self, customer_id: UUID, points: int, by: Principal = operator, **more: Any) -> LoyaltyTransaction:
        """Signed points."""
        kind = "ADJUSTED_ADD" if points > 0 else "ADJUSTED_SUB"
        return await self.loyalty.adjust_loyalty_points(
            LoyaltyPointsAdjust(
                customer_id=customer_id, points=abs(points), adjustment_type=kind, reason="goodwill", **more
            ),
            by=by,
        )

    async def restore(self, redemption_id: UUID, points: int | None = None) -> LoyaltyTransaction:
        return await self.loyalty.restore_redemption(redemption_id, LoyaltyRedemptionRestore(points=points), by=till)

    async def refund(
        self, customer_id: UUID, order_id: UUID, so_far: str, of: str = "100", refund_id: UUID | None = None
    ) -> list[ClawBack]:
        return await ClawBackService(self.connection, self.clock).claw_back_points(
            AwardedOrder(
                customer_id, order_id, refund_id or uuid4(), OrderAmounts(Decimal(of)), Returned(other=Decimal(so_far))
            ),
            by=till,
        )

    async def expire(self) -> Expired:
        service = ExpiryService(self.connection, self.clock)
        due = await service.find_due(as_of=self.clock.now())
        return await service.expire_loyalty_points(due, as_of=self.clock.now(), wait=True, by=operator)

    async def change_programme(self, **changes: Any) -> None:
        programmes = ProgrammeService(self.connection, self.clock)
        current = await programmes.get_programme()
        await programmes.change_programme(LoyaltyProgrammeUpdate(based_on=current.version, **changes), by=operator)

    async def balance(self, customer_id: UUID, by: Principal = till) -> LoyaltyBalance:
        return await self.loyalty.get_loyalty_balance(customer_id, by=by)

    async def spendable(self, customer_id: UUID) -> int:
        return (await self.balance(customer_id)).spendable

    async def rows(self, customer_id: UUID, **filters: Any) -> list[LoyaltyTransaction]:
        return await self.loyalty.get_loyalty_transactions(customer_id, by=till, **filters)

    async def expiring(self, customer_id: UUID, *, days: int) -> list[Deadline]:
        return await self.loyalty.get_points_expiring_soon(customer_id, days=days, by=till)

    async def tier_changes(self, customer_id: UUID) -> list[tuple[str, str, bool, str | None]]:
        """Tier before and after, whether by hand, and why; oldest first."""
        cursor = await self.connection.execute(
            "SELECT tier_before, tier, is_manual, reason FROM loyalty_tier_changes WHERE customer_id = %s ORDER BY id",
            [customer_id],
        )
        return await cursor.fetchall()

    def pass_midnight(self) -> None:
        """Half a second to the end of the store's day; it is over at the second look at the clock."""
        ends_at = self.clock.end_of(self.clock.today())
        self.clock = PassingClock(self.clock.store_timezone, stopped_at=ends_at - timedelta(seconds=0.5))

    def wait(self, *, days: int = 0, to: datetime | None = None) -> None:
        self.clock = replace(self.clock, stopped_at=to or self.clock.now() + timedelta(days=days))
