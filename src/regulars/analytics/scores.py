"""The stored scores of one customer, as a caller may see them, and the run that answers for them."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from regulars.analytics.models import CustomerScore, Period, RunKind, ScoringRun
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.repository_runs import ScoringRunRepository
from regulars.customers.access import require_visible
from regulars.customers.repository import RetailCustomerRepository
from regulars.kit.database import Connection
from regulars.kit.security import Principal


@dataclass(frozen=True)
class ScoreOrigin:
    """Where a score comes from.

    Attributes:
        run: The latest run that found the score, or covered the customer and left it as it was; None before the first.
        calculated_at: When the score was last known to hold.
        period: The orders behind it; before the first run, all orders until today.
    """

    run: ScoringRun | None
    calculated_at: datetime | None
    period: Period


class ScoreReader:
    """Reads scores with what explains them."""

    def __init__(self, connection: Connection) -> None:
        self._customers = RetailCustomerRepository(connection)
        self._analytics = AnalyticsRepository(connection)
        self._runs = ScoringRunRepository(connection)

    async def visible_score(self, customer_id: UUID, by: Principal) -> CustomerScore:
        """The scores of a customer that this caller may know of.

        Raises:
            NotFound: there is no such customer, or none that the caller may know of.
            CustomerErased: the person was erased, and the caller may know it.
        """
        require_visible(await self._customers.get(customer_id), by, "analytics:read")
        return await self._analytics.get_customer_score(customer_id)

    async def rfm_origin(self, score: CustomerScore, today: date) -> ScoreOrigin:
        """Where the RFM scores come from."""
        return await self._origin("rfm", score.rfm_run_id, score.rfm_scored_at, today)

    async def clv_origin(self, score: CustomerScore, today: date) -> ScoreOrigin:
        """Where the lifetime value comes from."""
        return await self._origin("clv", score.clv_run_id, score.clv_scored_at, today)

    async def _origin(self, kind: RunKind, run_id: UUID | None, scored_at: datetime | None, today: date) -> ScoreOrigin:
        if run_id is None or scored_at is None:
            return ScoreOrigin(None, None, Period(today))
        latest = await self._runs.get_latest(kind)
        run = latest if latest is not None and latest.started_at >= scored_at else await self._runs.get(run_id)
        if run is None:
            return ScoreOrigin(None, scored_at, Period(today))
        return ScoreOrigin(run, run.finished_at or scored_at, run.period)
