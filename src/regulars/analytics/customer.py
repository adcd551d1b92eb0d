"""One customer: what was bought, and everything that is known."""

from decimal import Decimal
from uuid import UUID

from regulars.analytics.clv import CLVService
from regulars.analytics.explained_segments import explained_segment
from regulars.analytics.explained_values import explained_value
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.rfm import RFMService
from regulars.analytics.schemas_customer import (
    CategoryPurchases,
    CustomerAnalytics,
    MonthlyPurchases,
    PurchaseHistoryQuery,
    PurchaseHistorySummary,
    SegmentStep,
)
from regulars.analytics.schemas_explanation import CustomerAnalyticsExplanation
from regulars.customers.access import require_visible
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.repository_purchases import CategoryOfPurchases, PurchaseHistory
from regulars.customers.service import RetailCustomerService
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.money import format_money
from regulars.kit.months import name_of_month
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.loyalty.schemas import LoyaltyBalanceResponse
from regulars.loyalty.service import LoyaltyService

categories_shown = 20
segment_steps_shown = 20


class AnalyticsService:
    """What is known of one customer, in a number of statements that does not depend on how much that is."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._customers = RetailCustomerRepository(connection)
        self._analytics = AnalyticsRepository(connection)

    async def get_purchase_history(
        self, customer_id: UUID, period: PurchaseHistoryQuery, *, by: Principal
    ) -> PurchaseHistorySummary:
        """What a customer bought in a period.

        Raises:
            NotFound: there is no such customer, or none that the caller may know of.
            CustomerErased: the person was erased, and the caller may know it.
        """
        require_visible(await self._customers.get(customer_id), by, "analytics:read")
        return await self._purchases(customer_id, period)

    async def get_customer_analytics(self, customer_id: UUID, *, by: Principal) -> CustomerAnalytics:
        """Profile, purchases, points, scores, value and segments; refuses as `get_purchase_history()` does."""
        customers = RetailCustomerService(self._connection, self._settings, self._clock)
        loyalty = LoyaltyService(self._connection, self._settings, self._clock)
        return CustomerAnalytics(
            customer=await customers.get_customer(customer_id, by),
            purchases=await self._purchases(customer_id, PurchaseHistoryQuery()),
            loyalty=LoyaltyBalanceResponse.model_validate(await loyalty.get_loyalty_balance(customer_id, by=by)),
            rfm=await RFMService(self._connection, self._settings, self._clock).get_customer_rfm(customer_id, by),
            clv=await CLVService(self._connection, self._settings, self._clock).get_customer_clv(customer_id, by),
            segment_history=[
                SegmentStep.model_validate(step)
                for step in await self._analytics.get_segment_steps(customer_id, limit=segment_steps_shown)
            ],
        )

    async def explain_customer_analytics(self, customer_id: UUID, *, by: Principal) -> CustomerAnalyticsExplanation:
        """Why this segment and why this value, fact by fact; refuses as `get_purchase_history()` does."""
        rfm = RFMService(self._connection, self._settings, self._clock)
        clv = CLVService(self._connection, self._settings, self._clock)
        return CustomerAnalyticsExplanation(
            customer_id=customer_id,
            segment=explained_segment(await rfm.get_customer_rfm(customer_id, by), self._settings.currency),
            value=explained_value(await clv.get_customer_clv(customer_id, by), self._settings.currency),
        )

    async def _purchases(self, customer_id: UUID, period: PurchaseHistoryQuery) -> PurchaseHistorySummary:
        history = await self._customers.get_purchase_history(
            customer_id, since=period.from_, until=period.to, categories=categories_shown
        )
        orders = sum(month.orders for month in history.months)
        total = sum((month.total for month in history.months), Decimal(0))
        refunded = sum((month.refunded for month in history.months), Decimal(0))
        return PurchaseHistorySummary.model_validate(
            _days(history)
            | {
                "customer_id": customer_id,
                "from_": period.from_,
                "to": period.to,
                "orders": orders,
                "cancelled_orders": sum(month.cancelled for month in history.months),
                "returned_orders": sum(month.returned for month in history.months),
                "total": self._money(total),
                "refunded": self._money(refunded),
                "net": self._money(total - refunded),
                "average_order_value": self._money((total - refunded) / orders) if orders else None,
                "months": [
                    MonthlyPurchases(
                        month=name_of_month(month.month),
                        orders=month.orders,
                        net=self._money(month.total - month.refunded),
                    )
                    for month in history.months
                ],
                "categories": self._categories(history.categories),
            }
        )

    def _categories(self, categories: list[CategoryOfPurchases]) -> list[CategoryPurchases]:
        total = sum((category.total for category in categories), Decimal(0))
        return [
            CategoryPurchases(
                category=category.category,
                orders=category.orders,
                quantity=f"{category.quantity.normalize():f}",
                total=self._money(category.total),
                share=float(category.total / total) if total > 0 else 0.0,
            )
            for category in categories
        ]

    def _money(self, amount: Decimal) -> str:
        return format_money(amount, self._settings.currency)


def _days(history: PurchaseHistory) -> dict[str, object]:
    first = min((month.first_on for month in history.months if month.first_on), default=None)
    last = max((month.last_on for month in history.months if month.last_on), default=None)
    days = sum(month.purchase_days for month in history.months)
    between = (last - first).days / (days - 1) if first and last and days > 1 else None
    return {
        "first_order_date": first,
        "last_order_date": last,
        "purchase_days": days,
        "average_days_between": between,
    }
