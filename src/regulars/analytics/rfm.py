"""RFM: scores and segments, calculated, counted and explained."""

from decimal import Decimal
from uuid import UUID

from regulars.analytics.models import PurchaseFacts, ScoringRequest, ScoringRun, StoredEdges
from regulars.analytics.repository import AnalyticsRepository
from regulars.analytics.runs import ScoringService, name_of
from regulars.analytics.schemas import (
    RFMAnalysisRequest,
    RFMAnalysisResponse,
    RFMEdgesResponse,
    RFMScoresResponse,
    RFMSegmentDistribution,
    run_members,
)
from regulars.analytics.scores import ScoreReader
from regulars.customers.repository_scores import SegmentSummary
from regulars.formulas.rfm import RFMEdges, RFMScores, RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.money import format_money
from regulars.kit.security import Principal
from regulars.kit.settings import Settings


class RFMService(ScoringService):
    """Recency, frequency, monetary."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(connection, settings, clock)
        self._reader = ScoreReader(connection)
        self._analytics = AnalyticsRepository(connection)

    async def calculate_rfm_scores(self, request: RFMAnalysisRequest, by: Principal) -> RFMAnalysisResponse:
        """Score customers as of the store's today.

        Raises:
            NotFound: the run whose edges were asked for does not exist.
        """
        run = await self.score_customers(
            ScoringRequest(
                kind="rfm",
                as_of=self._clock.today(),
                started_by=name_of(by),
                recalculate=request.recalculate,
                customer_ids=request.customer_ids,
                history_days=request.history_days,
                edges_run_id=request.edges_run_id,
            )
        )
        return self._analysis(run, await self.get_rfm_segment_distribution())

    async def get_rfm_segment_distribution(self) -> list[RFMSegmentDistribution]:
        """All twelve segments, best first, with customers and money; those without customers too."""
        found = {RFMSegment(row.segment): row for row in await self._scores.get_rfm_segment_distribution()}
        customers = sum(row.customers for row in found.values())
        net_spent = sum((row.net_spent for row in found.values()), Decimal(0))
        return [
            self._segment_row(found.get(segment) or _nobody(segment), customers, net_spent) for segment in RFMSegment
        ]

    async def get_customer_rfm(self, customer_id: UUID, by: Principal) -> RFMScoresResponse:
        """The scores of a customer with the facts, edges and run that explain them.

        Raises:
            NotFound: there is no such customer, or none that the caller may know of.
            CustomerErased: the person was erased, and the caller may know it.
        """
        stored = await self._reader.visible_score(customer_id, by)
        origin = await self._reader.rfm_origin(stored, self._clock.today())
        facts = await self._analytics.get_rfm_inputs(customer_id, origin.period) or no_purchases(customer_id)
        edges = origin.run.stored_edges if origin.run else None
        scores, segment = stored.scores, RFMSegment(stored.segment) if stored.segment else None
        return RFMScoresResponse(
            customer_id=customer_id,
            segment=segment,
            segment_label=segment.label if segment else None,
            recency_score=scores.recency if scores else None,
            frequency_score=scores.frequency if scores else None,
            monetary_score=scores.monetary if scores else None,
            recency_days=facts.recency_days,
            frequency=facts.recent_orders,
            monetary=self._money(facts.recent_net),
            as_of=origin.period.as_of,
            history_days=origin.period.history_days,
            run_id=origin.run.id if origin.run else None,
            coverage=origin.run.coverage if origin.run else None,
            calculated_at=origin.calculated_at,
            edges=RFMEdgesResponse.of(edges, self._settings.currency) if edges else None,
            is_stale=segment is not None and not self._confirms(edges, facts, scores, segment),
        )

    def _confirms(
        self, edges: StoredEdges | None, facts: PurchaseFacts, scores: RFMScores | None, segment: RFMSegment
    ) -> bool:
        """Whether the purchases known by now give these scores and this segment."""
        if edges is None:
            return False
        found = self._get_quintile_score(facts, edges.edges)
        return (found, self._determine_rfm_segment(found)) == (scores, segment)

    @staticmethod
    def _get_quintile_score(facts: PurchaseFacts, edges: RFMEdges) -> RFMScores | None:
        """The three scores of these purchases; None without a valid order."""
        if facts.recency_days is None:
            return None
        return edges.score(facts.recency_days, facts.recent_orders, facts.recent_net)

    @staticmethod
    def _determine_rfm_segment(scores: RFMScores | None) -> RFMSegment:
        """The segment of these scores; without any, a prospect."""
        return scores.segment if scores else RFMSegment.PROSPECT

    def _analysis(self, run: ScoringRun, distribution: list[RFMSegmentDistribution]) -> RFMAnalysisResponse:
        edges = run.stored_edges
        assert edges is not None, "every finished run has edges"  # noqa: S101
        members = run_members(run) | {
            "ranked": run.counts["ranked"],
            "moved": run.counts["moved"],
            "history_days": run.history_days,
            "edges": RFMEdgesResponse.of(edges, self._settings.currency),
            "edges_run_id": run.edges_run_id,
            "distribution": distribution,
        }
        return RFMAnalysisResponse.model_validate(members)

    def _segment_row(self, row: SegmentSummary, customers: int, net_spent: Decimal) -> RFMSegmentDistribution:
        segment = RFMSegment(row.segment)
        each = max(row.customers, 1)
        return RFMSegmentDistribution(
            segment=segment,
            label=segment.label,
            customers=row.customers,
            share=row.customers / customers if customers else 0.0,
            net_spent=self._money(row.net_spent),
            revenue_share=float(row.net_spent / net_spent) if net_spent > 0 else 0.0,
            average_net_spent=self._money(row.net_spent / each),
            average_orders=row.orders / each,
            average_clv=self._money(row.clv / each),
        )

    def _money(self, amount: Decimal) -> str:
        return format_money(amount, self._settings.currency)


def no_purchases(customer_id: UUID) -> PurchaseFacts:
    """The facts of a customer whose orders are not looked at any more: one that was deleted."""
    return PurchaseFacts(customer_id, 0, Decimal(0), None, None, 0, Decimal(0))


def _nobody(segment: RFMSegment) -> SegmentSummary:
    return SegmentSummary(segment.value, 0, 0, Decimal(0), Decimal(0))
