"""What a back-test finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from regulars.analytics.value_models import ValueModel
from regulars.formulas.backtesting import Accuracy, Calibration, Decile
from regulars.formulas.rfm import RFMSegment

methods = ("model", "blend", "seed", "last", "mean")
"""Those of lifetime value, and two that know little: each spends as in the last period, or all as all did together."""


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
