"""Proving that stored scores are what the orders say, and scoring anew those that are not."""

from collections.abc import Sequence
from uuid import UUID

from regulars.analytics.models import Period, ScoringRequest, ScoringRun
from regulars.analytics.repository_rebuild import Covering, ScoreCheckRepository, ScoreDifference, ScoreKind
from regulars.analytics.repository_runs import ScoringRunRepository
from regulars.analytics.repository_stage import ScoringStageRepository
from regulars.analytics.run_parameters import rules_of
from regulars.analytics.runs import ScoringService
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings


class ScoreRebuild:
    """Scores held against their orders, in the caller's transaction."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._runs = ScoringRunRepository(connection)
        self._stage = ScoringStageRepository(connection)
        self._scores = CustomerScoresRepository(connection)
        self._checks = ScoreCheckRepository(connection)

    async def find_differences(self) -> list[ScoreDifference]:
        """Compute every stored score and seed value again, each by the edges, rules and day of its run, and compare.

        Values by a model are not looked at, nor those that are older than their segment, which are stale by rule.
        """
        await self._stage.prepare()
        rfm, clv = _covering(await self._runs.get_latest("rfm")), _covering(await self._runs.get_latest("clv"))
        kinds: tuple[ScoreKind, ...] = ("rfm", "clv")
        return [
            difference
            for kind in kinds
            for run_id in await self._checks.find_runs(kind, rfm, clv)
            for difference in await self._differences_of(kind, run_id, rfm, clv)
        ]

    async def score_anew(self, customer_ids: Sequence[UUID]) -> None:
        """Score customers as of today by the edges of the latest full run."""
        latest, valued = await self._runs.get_latest("rfm"), await self._runs.get_latest("clv")
        if latest is None:
            return
        await ScoringService(self._connection, self._settings, self._clock).score_customers(
            ScoringRequest(
                kind="all" if valued is not None and valued.method == "seed" else "rfm",
                as_of=self._clock.today(),
                started_by="rebuild",
                customer_ids=customer_ids,
                window_days=valued.window_days if valued else None,
                edges_run_id=latest.id,
            )
        )

    async def _differences_of(
        self, kind: ScoreKind, run_id: UUID, rfm: Covering, clv: Covering
    ) -> Sequence[ScoreDifference]:
        run = await self._runs.get(run_id)
        if run is None or run.stored_edges is None:
            return []
        await self._checks.choose(kind, run_id, rfm, clv)
        # Values look at all orders, whatever the history that RFM looks at.
        await self._stage.stage_facts(run.period if kind == "rfm" else Period(run.as_of), only_chosen=True)
        await self._scores.stage_scored_customers()
        await self._stage.fill_scores(
            run.stored_edges.edges, rules_of(run), only_chosen=True, keep_segments=kind == "clv"
        )
        found = await self._checks.compare(kind, run_id)
        await self._stage.drop()
        return found


def _covering(run: ScoringRun | None) -> Covering:
    return Covering(run.id, run.started_at) if run else Covering(None, None)
