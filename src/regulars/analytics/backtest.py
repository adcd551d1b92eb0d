"""The back-test: what every method would have said on a day in the past, against what has come since."""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np

from regulars.analytics.errors import InsufficientData
from regulars.analytics.models import Period
from regulars.analytics.models_backtest import Backtest, Multiplier, methods
from regulars.analytics.repository_backtest import BacktestRepository, Outcomes
from regulars.analytics.repository_forecasts import ForecastRepository
from regulars.analytics.repository_stage import ScoringStageRepository
from regulars.analytics.run_parameters import clv_rules, fixed_edges, uses_fixed_edges
from regulars.analytics.schemas_backtest import CLVBacktestQuery, CLVBacktestResponse
from regulars.analytics.value_models import (
    Histories,
    ModelRefusal,
    NoModel,
    Numbers,
    Terms,
    ValueModel,
    blend_share,
    fit_model,
    measured,
    most_value,
    refusal_of,
)
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.formulas.backtesting import accuracy, calibration, deciles, fitting_lifespan
from regulars.formulas.clv import CLVRules, window_share
from regulars.formulas.rfm import RFMSegment
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.settings import Settings

least_of_segment = 30
"""Below so many customers a segment says nothing about its multiplier."""

_multiplier_bounds = (0.05, 10.0)


class BacktestService:
    """Looks back; writes nothing that outlives the transaction.

    Args:
        connection: In a transaction.
        settings: Rules of the formula, the shop's time zone and currency.
        clock: The shop's own, unless a test hands in another.
    """

    def __init__(self, connection: Connection, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or settings.clock
        self._stage = ScoringStageRepository(connection)
        self._scores = CustomerScoresRepository(connection)
        self._forecasts = ForecastRepository(connection)
        self._outcomes = BacktestRepository(connection)

    async def count_customers(self, at_most: int) -> int:
        """How many customers a back-test is about, counted up to a bound."""
        return await self._stage.count_customers(at_most)

    async def get_clv_backtest(self, query: CLVBacktestQuery) -> CLVBacktestResponse:
        """Predict the days up to the store's today from what was known before them.

        Raises:
            InsufficientData: the orders before them cannot carry a model.
        """
        calibrated_until = self._clock.today() - timedelta(days=query.holdout_days)
        return CLVBacktestResponse.of(
            await self.backtest(calibrated_until, query.holdout_days), self._settings.currency
        )

    async def backtest(self, calibrated_until: date, window_days: int) -> Backtest:
        """Calibrate until a day, predict the window after it, compare.

        Args:
            calibrated_until: The last day that the methods may know.
            window_days: How far to predict. The window must have passed.

        Raises:
            InsufficientData: the orders until the day cannot carry a model.
        """
        rules = clv_rules(self._settings)
        await self._stage.prepare()
        model = await self._predicted(calibrated_until, window_days, rules)
        await self._outcomes.stage_outcomes(calibrated_until + timedelta(days=window_days), window_days)
        found = await self._outcomes.get_outcomes(rules.floor_days)
        await self._stage.drop()
        await self._outcomes.drop()
        return await asyncio.to_thread(_compared, calibrated_until, found, model, rules)

    async def may_be_tested(self, calibrated_until: date) -> bool:
        """Whether there were enough orders on a day to fit a model; whether one is found, only the fit shows."""
        await self._stage.prepare()
        await self._stage.stage_facts(Period(calibrated_until, last_days=1), only_chosen=False)
        histories = await self._forecasts.get_histories()
        await self._stage.drop()
        return refusal_of(histories) is None

    async def _predicted(self, calibrated_until: date, window_days: int, rules: CLVRules) -> ValueModel:
        """Stage facts, scores and forecasts as a run on that day would have made them."""
        await self._stage.stage_facts(Period(calibrated_until, last_days=window_days), only_chosen=False)
        population = await self._stage.count_population()
        histories = await self._forecasts.get_histories()
        order_values = await self._forecasts.get_order_values()
        model = await asyncio.to_thread(fit_model, histories, order_values, Terms(window_days))
        if isinstance(model, NoModel):
            raise await self._refused(model, histories)
        forecasts = await asyncio.to_thread(model.forecast, histories)
        if not forecasts.stay_below(most_value, model.values.gamma + await self._forecasts.get_most_net()):
            raise await self._refused(NoModel(ModelRefusal.OUT_OF_RANGE), histories)
        is_fixed = uses_fixed_edges(self._settings, population.ranked)
        edges = fixed_edges(self._settings) if is_fixed else await self._stage.get_quintile_edges()
        await self._scores.stage_scored_customers()
        await self._stage.fill_scores(edges, rules)
        await self._forecasts.stage_forecasts(histories, forecasts)
        return model

    async def _refused(self, model: NoModel, histories: Histories) -> InsufficientData:
        await self._stage.drop()
        needed, have = measured(model.refusal, histories)
        return InsufficientData(model.sentence, reason=model.refusal.value, needed=needed, have=have)


def _compared(calibrated_until: date, found: Outcomes, model: ValueModel, rules: CLVRules) -> Backtest:
    predictions, window_days = _predictions(found, model, rules), model.terms.window_days
    return Backtest(
        calibrated_until=calibrated_until,
        window_days=window_days,
        customers=len(found.spent),
        model=model,
        accuracy={method: accuracy(predictions[method], found.spent) for method in methods},
        deciles={method: deciles(predictions[method], found.spent) for method in ("model", "blend", "seed")},
        calibration=calibration(found.p_buy, found.orders > 0),
        multipliers=_multipliers(found, predictions["seed"], rules, window_days),
    )


def _predictions(found: Outcomes, model: ValueModel, rules: CLVRules) -> Mapping[str, Numbers]:
    """What each method says that a customer will spend."""
    window_days = model.terms.window_days
    shares = [
        float(window_share(window_days, rules.lifespan_of(segment))) if segment in rules.multipliers else 0.0
        for segment in RFMSegment
    ]
    modelled = np.where(found.known > 0, (model.values.gamma + found.known) * found.value_factor, 0.0)
    return {
        "model": modelled,
        "blend": blend_share * modelled + (1 - blend_share) * found.last,
        "seed": found.seed * np.array(shares)[found.segment],
        "last": found.last,
        "mean": np.full_like(found.last, found.last.mean()),
    }


def _multipliers(found: Outcomes, seed: Numbers, rules: CLVRules, window_days: int) -> list[Multiplier]:
    rows = []
    for place, segment in enumerate(RFMSegment):
        here = found.segment == place
        if not here.any():
            continue
        spent, customers = float(found.spent[here].sum()), int(here.sum())
        lifespan = fitting_lifespan(window_days, spent, float(found.rate[here].sum()))
        low, high = _multiplier_bounds
        best = high if lifespan is None else min(max(lifespan / rules.lifespan_days, low), high)
        rows.append(
            Multiplier(
                segment=segment,
                customers=customers,
                current=float(rules.multipliers[segment]),
                expected=float(seed[here].sum()),
                spent=spent,
                proposed=round(best, 2) if customers >= least_of_segment else None,
            )
        )
    return rows
