"""The back-test: what every method would have said on a day in the past, against what has come since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from regulars.analytics.errors import InsufficientData
from regulars.analytics.models import Period
from regulars.analytics.repository_backtest import BacktestRepository, Outcomes
from regulars.analytics.repository_forecasts import ForecastRepository
from regulars.analytics.repository_stage import ScoringStageRepository
from regulars.analytics.run_parameters import clv_rules, fixed_edges
from regulars.analytics.runs import least_ranked
from regulars.analytics.value_models import ModelRefusal, Numbers, Terms, ValueModel, blend_share, fit_model, measured
from regulars.customers.repository_scores import CustomerScoresRepository
from regulars.formulas.backtesting import (
    Accuracy,
    Calibration,
    Decile,
    accuracy,
    calibration,
    deciles,
    fitting_lifespan,
)
from regulars.formulas.clv import CLVRules, window_share
from regulars.formulas.rfm import RFMSegment
from regulars.kit.database import Connection
from regulars.kit.settings import Settings

methods = ("model", "blend", "seed", "last", "mean")
"""Those of lifetime value, and two that know little: each spends as in the last period, or all as all did together."""

least_of_segment = 30
"""Below so many customers a segment says nothing about its multiplier."""

_multiplier_bounds = (0.05, 10.0)


@dataclass(frozen=True)
class Multiplier:
    """What a segment's customers did, and the multiplier that would have foretold it.

    Attributes:
        current: By which the formula went.
        expected: What the formula said they would spend together.
        spent: What they spent.
        proposed: None where too few customers are in the segment.
    """

    segment: RFMSegment
    customers: int
    current: float
    expected: float
    spent: float
    proposed: float | None


@dataclass(frozen=True)
class Backtest:
    """The findings.

    Attributes:
        calibrated_until: The day of the predictions.
        window_days: How far they reach.
        customers: With an order by that day.
        model: As it was fitted to the orders until then.
        accuracy: By method.
        deciles: By method, the best tenth of its ranking first.
        calibration: Of the chance to buy.
        multipliers: By segment, those that have customers.
    """

    calibrated_until: date
    window_days: int
    customers: int
    model: ValueModel
    accuracy: Mapping[str, Accuracy]
    deciles: Mapping[str, Sequence[Decile]]
    calibration: Sequence[Calibration]
    multipliers: Sequence[Multiplier]


class BacktestService:
    """Looks back on connections of others; writes nothing that outlives the transaction."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._settings = settings
        self._stage = ScoringStageRepository(connection)
        self._scores = CustomerScoresRepository(connection)
        self._forecasts = ForecastRepository(connection)
        self._outcomes = BacktestRepository(connection)

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
        predictions = _predictions(found, model, rules)
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

    async def _predicted(self, calibrated_until: date, window_days: int, rules: CLVRules) -> ValueModel:
        """Stage facts, scores and forecasts as a run on that day would have made them."""
        await self._stage.stage_facts(Period(calibrated_until, last_days=window_days), only_chosen=False)
        population = await self._stage.count_population()
        histories = await self._forecasts.get_histories()
        model = fit_model(histories, await self._forecasts.get_order_values(), Terms(window_days))
        if isinstance(model, ModelRefusal):
            await self._stage.drop()
            needed, have = measured(model, histories)
            raise InsufficientData(model.sentence, reason=model.value, needed=needed, have=have)
        use_fixed = self._settings.rfm_edges == "fixed" or population.ranked < least_ranked
        edges = fixed_edges(self._settings) if use_fixed else await self._stage.get_quintile_edges()
        await self._scores.stage_scored_customers()
        await self._stage.fill_scores(edges, rules)
        await self._forecasts.stage_forecasts(histories, model.forecast(histories))
        return model


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
