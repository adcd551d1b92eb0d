"""The models behind the methods `model` and `blend`: when they can be fitted, what they forecast, how they are kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from regulars.formulas import buytilldie, gammagamma
from regulars.formulas.buytilldie import Fitted
from regulars.formulas.gammagamma import FittedValues
from regulars.formulas.spending import spending_range

Numbers: TypeAlias = npt.NDArray[np.float64]

least_customers = 500
least_days = 180
least_orders = 3
longest_wait_days = 36_500
most_value = 1e24
"""Values from here on cannot be stored."""

blend_share = 0.5
"""The model's part of a `blend`; the rest is what the last period brought."""


class ModelRefusal(StrEnum):
    """Why the data cannot carry a model, so that values are made by the formula."""

    FEW_CUSTOMERS = "few_customers"
    SHORT_HISTORY = "short_history"
    NO_THIRD_ORDER = "no_third_order"
    NOT_CONVERGED = "not_converged"
    AT_BOUND = "at_bound"
    OUT_OF_RANGE = "out_of_range"

    @property
    def sentence(self) -> str:
        """What an operator reads."""
        return _sentences[self]


_sentences = {
    ModelRefusal.FEW_CUSTOMERS: f"fewer than {least_customers} customers have ordered",
    ModelRefusal.SHORT_HISTORY: f"the orders go back less than {least_days} days",
    ModelRefusal.NO_THIRD_ORDER: f"nobody has ordered on {least_orders} days",
    ModelRefusal.NOT_CONVERGED: "no parameters explain the orders best",
    ModelRefusal.AT_BOUND: "the search for parameters ended at its bound",
    ModelRefusal.OUT_OF_RANGE: "the values it would give are too large to be true",
}


@dataclass(frozen=True)
class NoModel:
    """Why there is no model.

    Attributes:
        refusal: The reason.
        bounds: Where a search ended at its bound, the parameters that stand there.
    """

    refusal: ModelRefusal
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What an operator reads."""
        bounds = ", ".join(f"{name} at {value:.4g}" for name, value in self.bounds.items())
        return f"{self.refusal.sentence} ({bounds})" if bounds else self.refusal.sentence


@dataclass(frozen=True)
class Histories:
    """Kinds of customers with orders, by what the models know of them.

    Attributes:
        x: Days with a repeat purchase.
        t_x: Days from the first purchase to the last.
        T: Days from the first purchase to the day of the run.
        customers: How many are of this kind.
    """

    x: npt.NDArray[np.int32]
    t_x: npt.NDArray[np.int32]
    T: npt.NDArray[np.int32]
    customers: npt.NDArray[np.int32]


@dataclass(frozen=True)
class OrderValues:
    """Customers who brought money, by number of purchase days and mean of a day; the means within a percent are one.

    Attributes:
        days: Purchase days.
        log_mean: Logarithm of what each brought, averaged over the customers.
        customers: How many they are.
    """

    days: npt.NDArray[np.int32]
    log_mean: Numbers
    customers: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Terms:
    """What a value shall be.

    Attributes:
        window_days: How far to look ahead.
        margin: The part of the money that is kept.
        discount: What money is worth less for a year of waiting.
        share: The model's part; the rest is what the last `window_days` brought.
    """

    window_days: int
    margin: float = 1.0
    discount: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class Forecasts:
    """By kind of customer: the chance to buy in the window, expected orders, waits, and factors of money.

    The factors are to be multiplied by `gamma` plus what the customer has brought.

    Attributes:
        median_wait_days: If still active; not a number beyond a hundred years.
        next_order_days: After which an order is more likely to have come than not; -1 if that is not to be expected.
    """

    p_buy: Numbers
    expected_orders: Numbers
    median_wait_days: Numbers
    next_order_days: npt.NDArray[np.int32]
    value_factor: Numbers
    low_factor: Numbers
    high_factor: Numbers

    def stay_below(self, most: float, money: float) -> bool:
        """Whether every number is one, and no value of a customer who has brought so much reaches a bound.

        Args:
            most: The bound of values.
            money: `gamma` plus what the customer who has brought most has brought.
        """
        factors = (self.value_factor, self.low_factor, self.high_factor)
        whole = (self.p_buy, self.expected_orders, *factors)
        if not all(np.isfinite(numbers).all() for numbers in whole):
            return False
        return all(numbers.max(initial=0.0) * money < most for numbers in factors)


@dataclass(frozen=True)
class ValueModel:
    """Fitted models and the terms on which they value customers."""

    purchases: Fitted
    values: FittedValues
    terms: Terms

    def forecast(self, histories: Histories) -> Forecasts:
        """What is expected of these customers."""
        known, window = (histories.x, histories.t_x, histories.T), float(self.terms.window_days)
        orders = buytilldie.expected_purchases(self.purchases, *known, window)
        discounted = buytilldie.discounted_purchases(self.purchases, *known, window, self.terms.discount)
        worth = self.terms.margin * np.divide(discounted, orders, out=np.ones_like(orders), where=orders > 0)
        low, high = spending_range(self.purchases, self.values, *known, window)
        wait = np.ceil(buytilldie.wait_for_purchase(self.purchases, *known))
        median = buytilldie.median_wait(self.purchases, *known)
        return Forecasts(
            p_buy=buytilldie.probability_of_purchase(self.purchases, *known, window),
            expected_orders=orders,
            median_wait_days=np.where(median <= longest_wait_days, median, np.nan),
            next_order_days=np.where(wait <= longest_wait_days, wait, -1).astype(np.int32),
            value_factor=orders * worth * self.mean_factor(histories.x),
            low_factor=low * worth,
            high_factor=high * worth,
        )

    def mean_factor(self, x: npt.ArrayLike) -> Numbers:
        """What an order is expected to bring, for each unit of `gamma` plus what the customer has brought."""
        p, q = self.values.p, self.values.q
        return np.asarray(p / (p * (np.asarray(x, dtype=np.float64) + 1.0) + (q - 1.0)))

    @property
    def bounds_reached(self) -> dict[str, float]:
        """The parameters at a bound of their search, where they are no findings. Fits of old versions may have some."""
        return self.purchases.bounds_reached | self.values.bounds_reached

    @property
    def parameters(self) -> dict[str, float]:
        """The seven parameters by their names."""
        bought, values = self.purchases, self.values
        fitted = {"r": bought.r, "alpha": bought.alpha, "a": bought.a, "b": bought.b}
        return {**fitted, "p": values.p, "q": values.q, "gamma": values.gamma}

    def as_json(self) -> dict[str, Any]:
        """Plain values for a jsonb column."""
        return {"purchases": asdict(self.purchases), "values": asdict(self.values), "terms": asdict(self.terms)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The model that `as_json()` wrote."""
        return cls(Fitted(**stored["purchases"]), FittedValues(**stored["values"]), Terms(**stored["terms"]))


def refusal_of(histories: Histories) -> ModelRefusal | None:
    """Why a model cannot be fitted to these customers; None if it may be tried."""
    if histories.customers.sum() < least_customers:
        return ModelRefusal.FEW_CUSTOMERS
    if histories.T.max() < least_days:
        return ModelRefusal.SHORT_HISTORY
    if histories.x.max() < least_orders - 1:
        return ModelRefusal.NO_THIRD_ORDER
    return None


def measured(refusal: ModelRefusal, histories: Histories) -> tuple[int, int]:
    """What is needed and what there is: customers, days, or orders; of a search, one that finds parameters."""
    if refusal is ModelRefusal.FEW_CUSTOMERS:
        return least_customers, int(histories.customers.sum())
    if refusal is ModelRefusal.SHORT_HISTORY:
        return least_days, int(histories.T.max())
    if refusal is ModelRefusal.NO_THIRD_ORDER:
        return least_orders, int(histories.x.max()) + 1
    return 1, 0


def fit_model(histories: Histories, order_values: OrderValues, terms: Terms) -> ValueModel | NoModel:
    """The model of a shop, or why there is none.

    Order values are learned from everyone who brought money, not only from those who came again: what one order was
    worth says something about the next.
    """
    refusal = refusal_of(histories)
    if refusal is not None:
        return NoModel(refusal)
    if not len(order_values.days):
        return NoModel(ModelRefusal.NOT_CONVERGED)
    purchases = buytilldie.fit(histories.x, histories.t_x, histories.T, histories.customers)
    values = gammagamma.fit(order_values.days, np.exp(order_values.log_mean), order_values.customers)
    if not (purchases.converged and values.converged and values.p + values.q > 1):
        return NoModel(ModelRefusal.NOT_CONVERGED)
    model = ValueModel(purchases, values, terms)
    return NoModel(ModelRefusal.AT_BOUND, model.bounds_reached) if model.bounds_reached else model
