"""The value of one customer by a model, as SQL makes it for all, with what explains it."""

from dataclasses import dataclass
from decimal import Decimal
from math import isclose

import numpy as np

from regulars.analytics.models import PurchaseFacts, stored_digits
from regulars.analytics.value_models import Histories, ValueModel
from regulars.formulas.buytilldie import discounted_purchases, probability_alive
from regulars.formulas.gammagamma import expected_mean


@dataclass(frozen=True)
class ModelledValue:
    """What a model makes of a customer.

    Attributes:
        model: The model.
        value: Money to expect in the window, by the terms of the model.
        repeat_days: x.
        days_to_last: t_x.
        days_known: T.
        probability_active: That the customer has not stopped.
        expected_orders: In the window.
        discounted_orders: The same, later ones counted for less by the terms of the model.
        expected_order_value: Of a purchase day, before any margin; None where nothing was brought.
        last_net: What the last days brought, as many as the window has.
    """

    model: ValueModel
    value: Decimal
    repeat_days: int
    days_to_last: int
    days_known: int
    probability_active: float
    expected_orders: float
    discounted_orders: float
    expected_order_value: Decimal | None
    last_net: Decimal

    def is_about(self, stored: Decimal) -> bool:
        """Whether this is a stored value, but for the last digits of floating-point numbers."""
        return isclose(self.value, stored, rel_tol=1e-9, abs_tol=2 * float(stored_digits))


def modelled_value(model: ValueModel, facts: PurchaseFacts) -> ModelledValue | None:
    """The value of a customer with these purchases; None without any."""
    if facts.age_days is None or facts.recency_days is None or facts.purchase_days is None:
        return None
    x, t_x, age = facts.purchase_days - 1, facts.age_days - facts.recency_days, facts.age_days
    one = Histories(*(np.array([number], dtype=np.int32) for number in (x, t_x, age, 1)))
    forecast, terms, last_net = model.forecast(one), model.terms, facts.last_net or Decimal(0)
    value, order_value = 0.0, None
    if facts.net > 0:
        ahead = (model.values.gamma + float(facts.net)) * float(forecast.value_factor[0])
        value = terms.share * ahead + (1 - terms.share) * terms.margin * float(max(last_net, Decimal(0)))
        order_value = _money(float(expected_mean(model.values, x + 1, float(facts.net) / (x + 1))))
    return ModelledValue(
        model=model,
        value=_money(value),
        repeat_days=x,
        days_to_last=t_x,
        days_known=age,
        probability_active=float(probability_alive(model.purchases, x, t_x, age)),
        expected_orders=float(forecast.expected_orders[0]),
        discounted_orders=float(
            discounted_purchases(model.purchases, x, t_x, age, float(terms.window_days), terms.discount)
        ),
        expected_order_value=order_value,
        last_net=last_net,
    )


def _money(amount: float) -> Decimal:
    return Decimal(amount).quantize(stored_digits)
