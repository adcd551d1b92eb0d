"""The lifetime value of a customer told to the shop's staff: every factor, the formula with the numbers, its result."""

from decimal import Decimal

from regulars.analytics.explained_models import expected_order_value, fact, model_facts, percent
from regulars.analytics.explained_segments import counted
from regulars.analytics.schemas import CLVModelInputs, CLVResponse
from regulars.analytics.schemas_explanation import ExplainedFact, ValueExplanation
from regulars.formulas.clv import window_share
from regulars.kit.money import format_money


def explained_value(told: CLVResponse, currency: str) -> ValueExplanation:
    """Why the customer has this value, from nothing but what `CLVResponse` shows."""
    teller = _Teller(told, currency)
    factors = model_facts(told, told.model, currency) if told.model else teller.by_formula()
    formula, amount = teller.formula()
    result = None if amount is None else format_money(amount, currency)
    return ValueExplanation(
        value=told,
        facts=[*teller.purchases(), *factors],
        formula=f"{formula} = {result} {currency}" if formula else None,
        result=result,
        summary=teller.summary(result),
    )


class _Teller:
    """Puts a value into numbers and sentences."""

    def __init__(self, told: CLVResponse, currency: str) -> None:
        self._told = told
        self._inputs = told.inputs
        self._net = Decimal(told.inputs.net)
        self._currency = currency

    def formula(self) -> tuple[str | None, Decimal | None]:
        """The formula with the numbers that are known by now, and what it gives; neither before a first run."""
        told, inputs = self._told, self._inputs
        if told.clv is None:
            return None, None
        if self._net <= 0:
            return None, Decimal(0)
        if told.model:
            return self._formula_of(told.model)
        if inputs.lifespan_days is None or inputs.age_days is None:
            return None, None
        lifespan = f"{inputs.lifespan_days:g}"
        text = f"{inputs.net} / {inputs.orders} x {inputs.orders} / {inputs.age_days} x {lifespan}"
        return text, self._net * Decimal(str(inputs.lifespan_days)) / inputs.age_days

    def _formula_of(self, model: CLVModelInputs) -> tuple[str, Decimal]:
        worth, last = expected_order_value(model, self._net), max(float(model.last_period), 0.0)
        ahead = model.margin * model.discounted_orders * worth
        text = f"{model.margin:g} x {model.discounted_orders:.6g} x {worth:.6g}"
        if model.share < 1:
            text = f"{model.share:g} x {text} + {1 - model.share:g} x {model.margin:g} x {last:g}"
        return text, Decimal(model.share * ahead + (1 - model.share) * model.margin * last)

    def summary(self, result: str | None) -> list[str]:
        """What it is, where it comes from, and whether it still holds."""
        told = self._told
        if told.clv is None:
            return ["No run has valued this customer yet."]
        lines = [self._headline(told.clv)]
        if told.fallback_sentence:
            lines += [f"A model was asked for, but {told.fallback_sentence}: the formula took its place."]
        if told.coverage == "live":
            lines += [f"Valued on {told.as_of}, as a purchase changed, by the rules of the last run over everyone."]
        else:
            lines += [f"Valued as of {told.as_of}."]
        if told.is_stale:
            by_now = f"what is known by now gives {result} {self._currency}" if result else "the segment is older"
            lines += [f"This is out of date: {by_now}. The next run values the customer anew."]
        return lines

    def _headline(self, value: str) -> str:
        amount = f"{value} {self._currency}"
        if self._told.reason == "no_orders":
            return f"{amount}, since there was no valid order."
        if self._told.reason == "non_positive_net":
            return f"{amount}, since nothing is left of what was paid."
        if self._told.method == "seed":
            return f"{amount} over the whole time that the customer is expected to stay."
        return f"{amount} in the next {counted(self._told.window_days or 0, 'day')}."

    def _money(self, amount: Decimal) -> str:
        return f"{format_money(amount, self._currency)} {self._currency}"

    def purchases(self) -> list[ExplainedFact]:
        """What was bought until the day of the run."""
        told, inputs = self._told, self._inputs
        orders = f"{counted(inputs.orders, 'valid order')} until {told.as_of}"
        facts = [
            fact("orders", inputs.orders, f"{orders}."),
            fact("net", inputs.net, f"They brought {self._money(self._net)}, refunds off."),
        ]
        return facts if inputs.orders else facts[:1]

    def by_formula(self) -> list[ExplainedFact]:
        """The factors of average order value x purchase frequency x lifespan; none where they are not used."""
        told, inputs = self._told, self._inputs
        if not (inputs.segment and inputs.age_days and inputs.lifespan_days and inputs.orders_per_day):
            return []
        since, label = inputs.days_since_first_order or 0, inputs.segment.label
        floor = "" if since == inputs.age_days else f"; {inputs.age_days} are counted at the least"
        known, rate = counted(inputs.age_days, "day"), f"{inputs.orders_per_day:.4g}"
        mean, lifespan = self._net / inputs.orders, f"{inputs.lifespan_days:g} days"
        return [
            fact("average_order_value", float(mean), f"That is {self._money(mean)} an order."),
            fact(
                "age_days",
                inputs.age_days,
                f"The first order was {counted(since, 'day')} before {told.as_of}{floor}.",
            ),
            fact("orders_per_day", inputs.orders_per_day, f"{inputs.orders} in {known} are {rate} a day."),
            fact(
                "multiplier",
                inputs.multiplier,
                f"The lifespan of the segment {label} is multiplied by {inputs.multiplier:g}.",
            ),
            fact("lifespan_days", inputs.lifespan_days, f"A customer of this segment is expected to stay {lifespan}."),
            *self._in_window(inputs.lifespan_days),
        ]

    def _in_window(self, lifespan_days: float) -> list[ExplainedFact]:
        window, value = self._told.window_days, self._told.clv_in_window
        if window is None or value is None:
            return []
        share = percent(float(window_share(window, Decimal(str(lifespan_days)))))
        falls = f"1 - exp(-{window} / {lifespan_days:g}) = {share} falls into the next {counted(window, 'day')}"
        return [fact("clv_in_window", value, f"Of all that, {falls}: {value} {self._currency}.")]
