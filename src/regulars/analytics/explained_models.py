"""What a model knows of a customer and makes of that, fact by fact, told to the shop's staff."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from regulars.analytics.explained_segments import counted
from regulars.analytics.schemas import CLVModelInputs, CLVResponse
from regulars.analytics.schemas_explanation import ExplainedFact
from regulars.kit.money import format_money

_parameters: Final[Mapping[str, str]] = {
    "r": "shape of the rates at which the shop's customers order",
    "alpha": "rate parameter of these rates, in weeks",
    "a": "first parameter of the chances to stop after an order",
    "b": "second parameter of these chances",
    "p": "shape of what the orders of one customer bring",
    "q": "shape of what the orders of different customers bring on average",
    "gamma": "scale of what orders bring",
}


def expected_order_value(model: CLVModelInputs, net: Decimal) -> float:
    """What a day with orders is expected to bring: `expected_mean()` of the gamma-gamma model, from what is shown."""
    p, q, gamma = (model.parameters[name] for name in ("p", "q", "gamma"))
    return p * (gamma + float(net)) / (p * (model.repeat_days + 1) + q - 1)


def model_facts(told: CLVResponse, model: CLVModelInputs, currency: str) -> list[ExplainedFact]:
    """Everything that a value by `model` or `blend` is made of, and what else the model says."""
    return [
        *_known(told, model),
        *_forecast(told, model),
        *_worth(told, model, currency),
        *_range(told, currency),
        *(
            ExplainedFact(name=name, value=model.parameters[name], sentence=f"{name} = {number:.4g}: {meaning}.")
            for name, meaning in _parameters.items()
            for number in [model.parameters[name]]
        ),
    ]


def percent(share: float) -> str:
    """`12.8 %`."""
    return f"{100 * share:.1f} %"


def _known(told: CLVResponse, model: CLVModelInputs) -> list[ExplainedFact]:
    return [
        ExplainedFact(
            name="repeat_days",
            value=model.repeat_days,
            sentence=f"Ordered again on {counted(model.repeat_days, 'day')} after the day of the first order.",
        ),
        ExplainedFact(
            name="days_to_last",
            value=model.days_to_last,
            sentence=f"The last order was {counted(model.days_to_last, 'day')} after the first.",
        ),
        ExplainedFact(
            name="days_known",
            value=model.days_known,
            sentence=f"The first order was {counted(model.days_known, 'day')} before {told.as_of}.",
        ),
    ]


def _forecast(told: CLVResponse, model: CLVModelInputs) -> list[ExplainedFact]:
    window = f"in the next {counted(told.window_days or 0, 'day')}"
    facts = [
        ExplainedFact(
            name="probability_active",
            value=model.probability_active,
            sentence=f"Has not stopped buying, with a chance of {percent(model.probability_active)}.",
        ),
        ExplainedFact(
            name="expected_orders",
            value=model.expected_orders,
            sentence=f"{model.expected_orders:.2f} days with orders are to be expected {window}.",
        ),
    ]
    if told.p_buy is None:
        return facts
    wait, chance = told.median_wait_days, percent(told.p_buy)
    half = "Of such customers who are still active, half order again"
    sooner = "only after more than a hundred years" if wait is None else f"within {counted(round(wait), 'day')}"
    by_when = f"By {told.next_order_on} an order is more likely to have come than not."
    never = "An order is on no day more likely to have come than not."
    return [
        *facts,
        ExplainedFact(name="p_buy", value=told.p_buy, sentence=f"Will order {window} with a chance of {chance}."),
        ExplainedFact(name="median_wait_days", value=wait, sentence=f"{half} {sooner}."),
        ExplainedFact(
            name="next_order_on",
            value=str(told.next_order_on),
            sentence=never if told.next_order_on == "not_expected" else by_when,
        ),
    ]


def _worth(told: CLVResponse, model: CLVModelInputs, currency: str) -> list[ExplainedFact]:
    net = Decimal(told.inputs.net)
    mean = expected_order_value(model, net) if net > 0 else None
    amount = "" if mean is None else format_money(Decimal(mean), currency)
    off = f"Money is worth {percent(model.discount)} less for each year of waiting" if model.discount else ""
    facts = [
        ExplainedFact(
            name="expected_order_value",
            value=mean,
            sentence=f"A day with orders is expected to bring {amount} {currency}."
            if amount
            else "Nothing is left of what was paid, from which the worth of an order could be told.",
        ),
        ExplainedFact(
            name="discounted_orders",
            value=model.discounted_orders,
            sentence=f"{off}: the expected days with orders count as {model.discounted_orders:.2f}."
            if off
            else "Later orders count as much as earlier ones.",
        ),
        ExplainedFact(name="discount", value=model.discount, sentence=f"{off or 'Nothing is taken off for waiting'}."),
        ExplainedFact(name="margin", value=model.margin, sentence=f"{percent(model.margin)} of the money is kept."),
    ]
    if model.share == 1:
        return facts
    window = counted(told.window_days or 0, "day")
    return [
        *facts,
        ExplainedFact(
            name="last_period",
            value=model.last_period,
            sentence=f"The last {window} brought {model.last_period} {currency}.",
        ),
        ExplainedFact(
            name="share",
            value=model.share,
            sentence=f"The forecast makes {percent(model.share)} of the value, the last period the rest.",
        ),
    ]


def _range(told: CLVResponse, currency: str) -> list[ExplainedFact]:
    """The ends of the range in which four of five cases lie."""
    if told.clv_low is None or told.clv_high is None:
        return []
    least = f"In 9 of 10 cases the customer brings {told.clv_low} {currency} or more in that time."
    most = f"In 9 of 10 cases it is {told.clv_high} {currency} or less."
    return [
        ExplainedFact(name="clv_low", value=told.clv_low, sentence=least),
        ExplainedFact(name="clv_high", value=told.clv_high, sentence=most),
    ]
