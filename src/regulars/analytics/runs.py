"""One scoring run, from the orders to the written scores: facts, edges, scores, rows that changed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import perf_counter
from uuid import UUID

from regulars.analytics.models import Coverage, RunKind, ScoringRequest, ScoringRun, StoredEdges
from regulars.analytics.repository_forecasts import ForecastRepository
from regulars.analytics.repository_runs import ScoringRunRepository
from regulars.analytics.repository_stage import Population, ScoringStageRepository
from regulars.analytics.run_parameters import (
    clv_rules,
    fixed_edges,
    forecasts_of,
    model_of,
    model_parameters,
    parameters_of,
    terms_of,
    uses_fixed_edges,
)
from regulars.analytics.value_models import Histories, ModelRefusal, NoModel, ValueModel, fit_model, most_value
from regulars.customers.repository_scores import CustomerScoresRepository, Freshness, ScoringStamp, WrittenScores
from regulars.formulas.clv import CLVRules
from regulars.formulas.rfm import RFMEdges
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import Principal
from regulars.kit.settings import Settings


@dataclass(frozen=True)
class RunPlan:
    """What a request comes to, given the runs before it.

    Attributes:
        request: The request with everything settled.
        coverage: Whom the run writes.
        edges: Edges of an earlier run; None to find new ones.
        chosen: The customers to write; None for everyone.
        model: Of an earlier run on the same terms; None to fit one, if the request asks for one at all.
    """

    request: ScoringRequest
    coverage: Coverage
    edges: StoredEdges | None
    chosen: Sequence[UUID] | None
    model: ValueModel | None = None

    @property
    def looks_at_chosen_only(self) -> bool:
        """Whether nothing has to be learned from everyone."""
        return self.chosen is not None and self.edges is not None and bool(self.model or not self.request.uses_model)


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
        self._forecasts = ForecastRepository(connection)

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
        started_at = self._clock.now()  # before purchases can change without waiting for this run
        await self._runs.wait_for_turn()
        await self._stage.prepare()
        watch = Stopwatch()
        plan = await self._planned(self._settled(request))
        run_id = await self._runs.start(plan.request, plan.coverage, started_at)
        population = await self._collected(plan)
        watch.lap("facts")
        edges = plan.edges or await self._calculate_quintiles(population)
        watch.lap("edges")
        model = await self._forecast(plan) if plan.request.uses_model else None
        if model is not None:
            watch.lap("model")
        scored = await self._scored(plan, edges.edges, rules, model)
        watch.lap("scores")
        method = plan.request.method if isinstance(model, ValueModel) else "seed"
        stamp = ScoringStamp(
            run_id,
            started_at,
            confirm=plan.coverage != "full",
            method=method,
            window_days=plan.request.window_days,
        )
        written = await self._written(plan.request.kind, stamp)
        await self._stage.drop()
        watch.lap("write")
        await self._runs.finish(
            run_id,
            method=None if plan.request.kind == "rfm" else method,
            edges=edges,
            parameters={**parameters_of(rules), **model_parameters(model)},
            counts={**vars(population), "scored": scored, **vars(written)},
            seconds=watch.seconds,
            finished_at=self._clock.now(),
        )
        return await self._finished(run_id)

    def _settled(self, request: ScoringRequest) -> ScoringRequest:
        """The request with the terms of the settings where it names none."""
        if not request.uses_model:
            return request
        return replace(
            request,
            window_days=request.window_days or self._settings.clv_window_days,
            margin=self._settings.clv_margin if request.margin is None else request.margin,
            discount=self._settings.clv_discount if request.discount is None else request.discount,
        )

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
        model = None if chosen is None else await self._earlier_model(settled)
        return RunPlan(settled, _coverage(request, chosen), earlier.stored_edges, chosen, model)

    async def _earlier_model(self, request: ScoringRequest) -> ValueModel | None:
        """The model of the latest run over everyone, if it is the one that is asked for."""
        latest = await self._runs.get_latest("clv") if request.uses_model else None
        model = model_of(latest) if latest else None
        return model if _is_on_terms(model, request) else None

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
                or (kind == "clv" and not _has_terms(covering, request))
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
        await self._stage.stage_facts(plan.request.period, only_chosen=plan.looks_at_chosen_only)
        return await self._stage.count_population()

    async def _calculate_quintiles(self, population: Population) -> StoredEdges:
        """New edges: quintiles of the population, or the fixed ones where it is too small or the shop wants them."""
        if uses_fixed_edges(self._settings, population.ranked):
            return StoredEdges("fixed", fixed_edges(self._settings))
        return StoredEdges("quintiles", await self._stage.get_quintile_edges())

    async def _forecast(self, plan: RunPlan) -> ValueModel | NoModel:
        """Fit the model unless the plan brings one, and stage its forecasts; or say why there is none."""
        histories = await self._forecasts.get_histories()
        model = plan.model or await self._fitted(plan, histories)
        if isinstance(model, ValueModel):
            forecasts = await asyncio.to_thread(model.forecast, histories)
            if not forecasts.stay_below(most_value, model.values.gamma + await self._forecasts.get_most_net()):
                return NoModel(ModelRefusal.OUT_OF_RANGE)
            await self._forecasts.stage_forecasts(histories, forecasts)
        return model

    async def _fitted(self, plan: RunPlan, histories: Histories) -> ValueModel | NoModel:
        order_values = await self._forecasts.get_order_values()
        return await asyncio.to_thread(fit_model, histories, order_values, terms_of(plan.request))

    async def _scored(self, plan: RunPlan, edges: RFMEdges, rules: CLVRules, model: ValueModel | NoModel | None) -> int:
        await self._scores.stage_scored_customers()
        return await self._stage.fill_scores(
            edges,
            rules,
            only_chosen=plan.chosen is not None,
            keep_segments=plan.request.kind == "clv",
            forecasts=forecasts_of(model, plan.request.as_of) if isinstance(model, ValueModel) else None,
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


def _has_terms(covering: ScoringRun, request: ScoringRequest) -> bool:
    """Whether a run made values as they are asked for now; one that had to do without its model did not."""
    if not request.uses_model:
        return (covering.method, covering.window_days) == (request.method, request.window_days)
    return _is_on_terms(model_of(covering), request)


def _is_on_terms(model: ValueModel | None, request: ScoringRequest) -> bool:
    """Whether an earlier model values customers as it is asked for now; one that ended at a bound values nobody."""
    return model is not None and model.terms == terms_of(request) and not model.bounds_reached


def name_of(caller: Principal) -> str:
    """A caller as the record of runs names it."""
    return f"{caller.kind}:{caller.id}" if caller.id else caller.kind
