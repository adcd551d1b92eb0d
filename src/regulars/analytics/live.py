"""Scores follow purchases at once, between the runs over all customers."""

from typing import Any
from uuid import UUID

from regulars.analytics.events import SegmentChanged
from regulars.analytics.models import Period, PurchaseFacts, StoredEdges, as_stored
from regulars.analytics.repository_live import LiveBasis, LiveScoreRepository
from regulars.analytics.rfm import no_purchases
from regulars.analytics.run_parameters import rules_from
from regulars.formulas.clv import customer_lifetime_value
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.events import record_events
from regulars.kit.settings import Settings


class LiveScoring:
    """Scores one customer in the transaction that changed the purchases.

    The edges are those of the latest full run, the day is today. All scores of a day stand under one run of their own,
    with coverage `live`, so that each can be explained as any other.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._live = LiveScoreRepository(connection)

    async def hold_off_runs(self) -> bool:
        """Let no run begin until this transaction ends; False if one is at work.

        To be asked before the instant is taken at which purchases count as changed. A run at work then began before
        that instant, so that the customer is stale after it; any other run will see the purchases.
        """
        return await self._live.is_free()

    async def rescore(self, customer_id: UUID) -> None:
        """Bring scores, segment and lifetime value of a customer up to the purchases known by now.

        Runs must be held off, or the sale would wait for them. Without live scoring, and before the first full run,
        nothing happens: the score is stale, as after a run that was at work.

        Lifetime values follow if the latest run of them was by the formula.
        """
        if not self._settings.live_scoring:
            return
        basis = await self._basis()
        if basis is None or basis.live_run_id is None:
            return
        today = self._clock.today()
        after = Period(today, basis.history_days).history_after
        facts = await self._live.get_facts(customer_id, basis, today=today, after=after)
        score = self._score(facts or no_purchases(customer_id), basis, basis.live_run_id)
        movement = await self._live.write_score(score, with_value=basis.clv_run_id is not None)
        if movement.segment_before in {None, movement.segment}:
            return
        moved = SegmentChanged(
            customer_id=customer_id,
            segment_before=RFMSegment(movement.segment_before),
            segment=RFMSegment(movement.segment),
            run_id=basis.live_run_id,
        )
        await record_events(self._connection, self._clock.now(), moved)

    async def _basis(self) -> LiveBasis | None:
        today = self._clock.today()
        basis = await self._live.get_basis(today)
        if basis is None or basis.live_run_id is not None:
            return basis
        await self._live.start_day(basis, today=today, now=self._clock.now())
        return await self._live.get_basis(today)

    def _score(self, facts: PurchaseFacts, basis: LiveBasis, run_id: UUID) -> dict[str, Any]:
        """What the formulas say, as it is stored."""
        scores = None
        if facts.recency_days is not None:
            edges = StoredEdges.from_json(basis.edges).edges
            scores = edges.score(facts.recency_days, facts.recent_orders, facts.recent_net)
        segment = scores.segment if scores else RFMSegment.PROSPECT
        score = {
            "customer_id": facts.customer_id,
            "recency_score": scores.recency if scores else None,
            "frequency_score": scores.frequency if scores else None,
            "monetary_score": scores.monetary if scores else None,
            "segment": segment,
            "rfm_run_id": run_id,
            "rfm_scored_at": self._clock.now(),
        }
        return score if basis.clv_run_id is None else score | self._value(facts, segment, basis, run_id)

    def _value(self, facts: PurchaseFacts, segment: RFMSegment, basis: LiveBasis, run_id: UUID) -> dict[str, Any]:
        """The value by the formula."""
        rules = rules_from(basis.parameters)
        value = customer_lifetime_value(facts.net, facts.orders, facts.age_days or 0, segment, rules)
        return {
            "clv": as_stored(value.value),
            "clv_reason": value.reason,
            "clv_method": "seed",
            "clv_run_id": run_id,
            "clv_scored_at": self._clock.now(),
            "clv_window_days": basis.window_days,
        }
