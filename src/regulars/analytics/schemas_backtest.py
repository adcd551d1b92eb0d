"""What callers read of a back-test."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field

from regulars.analytics.models_backtest import Backtest
from regulars.formulas.rfm import RFMSegment
from regulars.kit.money import format_money
from regulars.kit.schemas import Day, MoneyText, QuerySchema, ResponseSchema


class CLVBacktestQuery(QuerySchema):
    """Which days are predicted."""

    holdout_days: int = Field(
        default=90, ge=1, le=3650, description="The last so many days, up to today; the methods know what was before."
    )


class CLVMethodAccuracy(ResponseSchema):
    """How good the predictions of one method were."""

    method: Literal["model", "blend", "seed", "last", "mean"] = Field(
        description="`last`: each spends as in the last period. `mean`: everyone spends what all did then on average."
    )
    bias: float | None = Field(description="Predictions of all less what all spent, over what all spent.")
    mae: MoneyText = Field(description="Mean absolute error of a customer.")
    rmse: MoneyText = Field(description="Root of the mean squared error of a customer.")
    spearman: float | None = Field(description="Correlation of the ranks.")
    gini: float | None = Field(description="How well the ranking concentrates spending; 1 is perfect, 0 is chance.")
    lift: float | None = Field(description="What the best tenth by prediction spent, over the average of all.")


class CLVBacktestDecile(ResponseSchema):
    """A tenth of the customers by the prediction of one method."""

    method: Literal["model", "blend", "seed"]
    decile: int = Field(description="1 is predicted to spend the most.")
    customers: int
    predicted: MoneyText = Field(description="On average.")
    actual: MoneyText = Field(description="On average.")


class CLVBacktestChance(ResponseSchema):
    """Customers with about the same chance to buy."""

    lower: float
    upper: float
    customers: int
    predicted: float = Field(description="Their mean chance.")
    observed: float = Field(description="The share of them who bought.")


class CLVBacktestMultiplier(ResponseSchema):
    """A segment's multiplier, and the one that would have foretold what its customers spent."""

    segment: RFMSegment
    customers: int
    current: float
    expected: MoneyText = Field(description="By the formula, of all together.")
    actual: MoneyText = Field(description="Of all together.")
    proposed: float | None = Field(description="Null where fewer than 30 customers are in the segment.")


class CLVBacktestResponse(ResponseSchema):
    """What each method would have said on a day in the past, against what has come since."""

    calibrated_until: Day = Field(description="The last day that the methods knew.")
    window_days: int = Field(description="How far they predicted.")
    customers: int = Field(description="With an order by that day.")
    parameters: dict[str, float] = Field(description="Of the model: r, alpha (in weeks), a, b; p, q, gamma.")
    methods: list[CLVMethodAccuracy]
    deciles: list[CLVBacktestDecile]
    calibration: list[CLVBacktestChance]
    multipliers: list[CLVBacktestMultiplier]

    @classmethod
    def of(cls, found: Backtest, currency: str) -> Self:
        """The findings, money rounded."""

        def money(amount: float) -> str:
            return format_money(Decimal(amount), currency)

        return cls.model_validate(
            {
                "calibrated_until": found.calibrated_until,
                "window_days": found.window_days,
                "customers": found.customers,
                "parameters": found.model.parameters,
                "methods": [
                    {**vars(row), "method": method, "mae": money(row.mae), "rmse": money(row.rmse)}
                    for method, row in found.accuracy.items()
                ],
                "deciles": [
                    {
                        "method": method,
                        "decile": number,
                        "customers": row.customers,
                        "predicted": money(row.predicted),
                        "actual": money(row.actual),
                    }
                    for method, rows in found.deciles.items()
                    for number, row in enumerate(rows, start=1)
                ],
                "calibration": [vars(row) for row in found.calibration],
                "multipliers": [
                    {**vars(row), "expected": money(row.expected), "actual": money(row.spent)}
                    for row in found.multipliers
                ],
            }
        )
