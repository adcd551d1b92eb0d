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
            fact(name, model.parameters[name], f"{name} = {model.parameters[name]:.4g}: {meaning}.")
            for name, meaning in _parameters.items()
        ),
    ]


def fact(name: str, value: float | str | None, sentence: str) -> ExplainedFact:
    """A row of an explanation."""
    return ExplainedFact(name=name, value=value, sentence=sentence)


def percent(share: float) -> str:
    """`12.8 %`."""
    return f"{100 * share:.1f} %"


def _known(told: CLVResponse, model: CLVModelInputs) -> list[ExplainedFact]:
    again, last, first = (counted(days, "day") for days in (model.repeat_days, model.days_to_last, model.days_known))
    return [
        fact("repeat_days", model.repeat_days, f"Ordered again on {again} after the day of the first order."),
        fact("days_to_last", model.days_to_last, f"The last order was {last} after the first."),
        fact("days_known", model.days_known, f"The first order was {first} before {told.as_of}."),
    ]


def _forecast(told: CLVResponse, model: CLVModelInputs) -> list[ExplainedFact]:
    window = f"in the next {counted(told.window_days or 0, 'day')}"
    active, orders = percent(model.probability_active), f"{model.expected_orders:.2f}"
    facts = [
        fact("probability_active", model.probability_active, f"Has not stopped buying, with a chance of {active}."),
        fact("expected_orders", model.expected_orders, f"{orders} days with orders are to be expected {window}."),
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
        fact("p_buy", told.p_buy, f"Will order {window} with a chance of {chance}."),
        fact("median_wait_days", wait, f"{half} {sooner}."),
        fact("next_order_on", str(told.next_order_on), never if told.next_order_on == "not_expected" else by_when),
    ]


def _worth(told: CLVResponse, model: CLVModelInputs, currency: str) -> list[ExplainedFact]:
    net = Decimal(told.inputs.net)
    mean = expected_order_value(model, net) if net > 0 else None
    brings = "Nothing is left of what was paid, from which the worth of an order could be told."
    if mean is not None:
        brings = f"A day with orders is expected to bring {format_money(Decimal(mean), currency)} {currency}."
    discounted, off = "Later orders count as much as earlier ones.", "Nothing is taken off for waiting"
    if model.discount:
        off = f"Money is worth {percent(model.discount)} less for each year of waiting"
        discounted = f"{off}: the expected days with orders count as {model.discounted_orders:.2f}."
    facts = [
        fact("expected_order_value", mean, brings),
        fact("discounted_orders", model.discounted_orders, discounted),
        fact("discount", model.discount, f"{off}."),
        fact("margin", model.margin, f"{percent(model.margin)} of the money is kept."),
    ]
    if model.share == 1:
        return facts
    window, share = counted(told.window_days or 0, "day"), percent(model.share)
    return [
        *facts,
        fact("last_period", model.last_period, f"The last {window} brought {model.last_period} {currency}."),
        fact("share", model.share, f"The forecast makes {share} of the value, the last period the rest."),
    ]


def _range(told: CLVResponse, currency: str) -> list[ExplainedFact]:
    """The ends of the range in which four of five cases lie."""
    if told.clv_low is None or told.clv_high is None:
        return []
    least = f"In 9 of 10 cases the customer brings {told.clv_low} {currency} or more in that time."
    most = f"In 9 of 10 cases it is {told.clv_high} {currency} or less."
    return [fact("clv_low", told.clv_low, least), fact("clv_high", told.clv_high, most)]
