"""One scoring run, from the orders to the written scores: facts, edges, scores, rows that changed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any
from uuid import UUID

from regulars.analytics.models import Coverage, RunKind, ScoringRequest, ScoringRun, StoredEdges
from regulars.analytics.repository_runs import ScoringRunRepository
from regulars.analytics.repository_stage import Population, ScoringStageRepository
from regulars.customers.repository_scores import CustomerScoresRepository, Freshness, ScoringStamp, WrittenScores
from regulars.formulas.clv import CLVRules, default_multipliers
from regulars.formulas.rfm import RFMEdges, RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound, OperatorError
from regulars.kit.security import Principal
from regulars.kit.settings import Settings

least_ranked = 5
"""Below so many customers with orders, fifths mean nothing and the fixed thresholds are used."""


@dataclass(frozen=True)
class RunPlan:
    """What a request comes to, given the runs before it.

    Attributes:
        request: The request with everything settled.
        coverage: Whom the run writes.
        edges: Edges of an earlier run; None to find new ones.
        chosen: The customers to write; None for everyone.
    """

    request: ScoringRequest
    coverage: Coverage
    edges: StoredEdges | None
    chosen: Sequence[UUID] | None


class Stopwatch:
    """Seconds by stage: each `lap()` ends one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """The stage that has just ended."""
        now = perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now
        self.seconds["total"] = round(now - self._began, 3)


class ScoringService:
    """Scores customers; `RFMService` and `CLVService` add what callers ask and read.

    Args:
        connection: In a transaction; nothing is committed here.
        settings: Thresholds, lifespans, the shop's time zone and currency.
        clock: The shop's own, unless a test hands in another.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or settings.clock
        self._runs = ScoringRunRepository(connection)
        self._stage = ScoringStageRepository(connection)
        self._scores = CustomerScoresRepository(connection)

    def rows_of(self, customer_ids: Sequence[UUID] | None) -> int | Callable[[int], Awaitable[int]]:
        """How many customers a run is about, or what counts all of them up to a bound."""
        return self._stage.count_customers if customer_ids is None else len(customer_ids)

    async def score_customers(self, request: ScoringRequest) -> ScoringRun:
        """Run from orders to scores: facts are computed once, only rows that changed are written.

        Runs wait for each other. Lifetime values need segments: a run of values scores customers who have none yet,
        and the first one of all makes scores too.

        Raises:
            NotFound: the run whose edges were asked for does not exist.
            OperatorError: a multiplier in the settings cannot be used.
        """
        rules = clv_rules(self._settings)
        await self._runs.wait_for_turn()
        await self._stage.prepare()
        started_at, watch = self._clock.now(), Stopwatch()
        plan = await self._planned(request)
        run_id = await self._runs.start(plan.request, plan.coverage, started_at)
        population = await self._collected(plan)
        watch.lap("facts")
        edges = plan.edges or await self._calculate_quintiles(population)
        watch.lap("edges")
        scored = await self._scored(plan, edges.edges, rules)
        watch.lap("scores")
        stamp = ScoringStamp(run_id, started_at, confirm=plan.coverage != "full", window_days=plan.request.window_days)
        written = await self._written(plan.request.kind, stamp)
        await self._stage.drop()
        watch.lap("write")
        await self._runs.finish(
            run_id,
            edges=edges,
            parameters=parameters_of(rules),
            counts={**vars(population), "scored": scored, **vars(written)},
            seconds=watch.seconds,
            finished_at=self._clock.now(),
        )
        return await self._finished(run_id)

    async def _planned(self, request: ScoringRequest) -> RunPlan:
        """Settle kind, edges and whom to write."""
        latest = await self._runs.get_latest("rfm")
        if request.kind == "clv" and latest is None:
            request = replace(request, kind="all")
        earlier = await self._run_with_edges(request, latest)
        if earlier is None:
            return RunPlan(replace(request, recalculate=True), _coverage(request, None), None, request.customer_ids)
        settled = replace(request, history_days=earlier.history_days, edges_run_id=earlier.edges_run_id or earlier.id)
        chosen = request.customer_ids if request.recalculate else await self._stale(settled)
        return RunPlan(settled, _coverage(request, chosen), earlier.stored_edges, chosen)

    async def _run_with_edges(self, request: ScoringRequest, latest: ScoringRun | None) -> ScoringRun | None:
        """The earlier run whose edges are used again; None if the run has to find its own."""
        if request.edges_run_id is not None:
            named = await self._runs.get(request.edges_run_id)
            if named is None or named.stored_edges is None:
                raise NotFound
            return named
        if request.kind == "clv":
            return latest
        if request.recalculate or latest is None:
            return None
        return latest if request.history_days in {None, latest.history_days} else None

    async def _stale(self, request: ScoringRequest) -> Sequence[UUID] | None:
        """Whose score or value is stale; None if that is everyone who was asked for."""
        stale: set[UUID] = set()
        now, days = self._clock.now(), self._settings.rfm_stale_days
        kinds: Sequence[RunKind] = ("rfm", "clv") if request.kind == "all" else (request.kind,)
        for kind in kinds:
            covering = await self._runs.get_latest(kind)
            if (
                covering is None
                or covering.is_older_than(days, request.as_of)
                or _other_window(kind, covering, request)
            ):
                return request.customer_ids
            freshness = Freshness(covering.started_at, now - timedelta(days=days), request.customer_ids)
            find = (
                self._scores.get_customers_needing_rfm_update
                if kind == "rfm"
                else self._scores.get_customers_needing_clv_update
            )
            stale.update(await find(freshness))
        return sorted(stale)

    async def _collected(self, plan: RunPlan) -> Population:
        """Stage the facts: of everyone if edges are to be found, else of those who are written."""
        if plan.chosen is not None:
            await self._stage.choose(plan.chosen)
        only_chosen = plan.chosen is not None and plan.edges is not None
        await self._stage.stage_facts(plan.request.period, only_chosen=only_chosen)
        return await self._stage.count_population()

    async def _calculate_quintiles(self, population: Population) -> StoredEdges:
        """New edges: quintiles of the population, or the fixed ones where it is too small or the shop wants them."""
        if self._settings.rfm_edges == "fixed" or population.ranked < least_ranked:
            return StoredEdges("fixed", fixed_edges(self._settings))
        return StoredEdges("quintiles", await self._stage.get_quintile_edges())

    async def _scored(self, plan: RunPlan, edges: RFMEdges, rules: CLVRules) -> int:
        await self._scores.stage_scored_customers()
        return await self._stage.fill_scores(
            edges, rules, only_chosen=plan.chosen is not None, keep_segments=plan.request.kind == "clv"
        )

    async def _written(self, kind: RunKind, stamp: ScoringStamp) -> WrittenScores:
        if kind == "rfm":
            return await self._scores.update_rfm_scores(stamp)
        if kind == "clv":
            first = await self._scores.update_rfm_scores(replace(stamp, confirm=False), only_missing=True)
            return replace(await self._scores.update_clv(stamp), moved=first.moved)
        return await self._scores.update_scores_and_clv(stamp)

    async def _finished(self, run_id: UUID) -> ScoringRun:
        run = await self._runs.get(run_id)
        assert run is not None, "the run was written in this transaction"  # noqa: S101
        return run


def _coverage(request: ScoringRequest, chosen: Sequence[UUID] | None) -> Coverage:
    if request.customer_ids is not None:
        return "selected"
    return "full" if chosen is None else "stale"


def _other_window(kind: RunKind, covering: ScoringRun, request: ScoringRequest) -> bool:
    return kind == "clv" and covering.window_days != request.window_days


def name_of(caller: Principal) -> str:
    """A caller as the record of runs names it."""
    return f"{caller.kind}:{caller.id}" if caller.id else caller.kind


def fixed_edges(settings: Settings) -> RFMEdges:
    """The thresholds of the settings, in the order in which edges are kept."""
    return RFMEdges(
        tuple(sorted(settings.rfm_fixed_recency_days, reverse=True)),
        tuple(sorted(settings.rfm_fixed_thresholds)),
        tuple(sorted(settings.rfm_fixed_monetary)),
    )


def clv_rules(settings: Settings) -> CLVRules:
    """The rules of lifetime values as the settings have them.

    Raises:
        OperatorError: a multiplier names no segment, or is not above 0.
    """
    multipliers = dict(default_multipliers)
    for name, multiplier in settings.clv_multipliers.items():
        if name not in list(multipliers) or multiplier <= 0:
            raise OperatorError(
                f"REGULARS_CLV_MULTIPLIERS cannot be used: {name}.",
                f"Give numbers above 0 to names among {', '.join(multipliers)}.",
            )
        multipliers[RFMSegment(name)] = Decimal(str(multiplier))
    return CLVRules(settings.clv_floor_days, settings.clv_lifespan_days, multipliers)


def rules_of(run: ScoringRun) -> CLVRules:
    """The rules that a run used, whatever the settings say now."""
    return rules_from(run.parameters)


def rules_from(parameters: Mapping[str, Any]) -> CLVRules:
    """The rules among the parameters that a run keeps."""
    multipliers = {RFMSegment(name): Decimal(text) for name, text in parameters["multipliers"].items()}
    return CLVRules(parameters["floor_days"], parameters["lifespan_days"], multipliers)


def parameters_of(rules: CLVRules) -> Mapping[str, object]:
    """The rules as a run keeps them."""
    return {
        "floor_days": rules.floor_days,
        "lifespan_days": rules.lifespan_days,
        "multipliers": {segment.value: str(multiplier) for segment, multiplier in rules.multipliers.items()},
    }
