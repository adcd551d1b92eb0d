"""What callers send and read about segments and lifetime values."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from regulars.analytics.models import Coverage, Method, ScoringRun, StoredEdges
from regulars.analytics.value_models import ModelRefusal
from regulars.formulas.clv import CLVReason
from regulars.formulas.rfm import RFMSegment
from regulars.kit.money import format_money
from regulars.kit.schemas import Day, Id, Instant, MoneyText, RequestSchema, ResponseSchema, broken_rule

CustomerIds: TypeAlias = Annotated[
    list[Id],
    Field(min_length=1, max_length=1000, description="Whom to write; null for everyone. Never changes the edges."),
]
Days: TypeAlias = Annotated[int, Field(ge=1, le=36_500)]
Score: TypeAlias = Annotated[int, Field(ge=1, le=5)]


class RFMAnalysisRequest(RequestSchema):
    """A calculation of RFM scores."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer_ids": None, "recalculate": False}]})

    customer_ids: CustomerIds | None = None
    recalculate: bool = Field(
        default=False,
        description="True: new edges for everyone asked for. False: only stale scores, with the latest edges.",
    )
    history_days: Days | None = Field(
        default=None, description="How far back orders count for frequency and monetary; null for all of them."
    )
    edges_run_id: Id | None = Field(
        default=None, description="An earlier run whose edges, and history, are used again."
    )

    @model_validator(mode="after")
    def _edges_bring_their_history(self) -> Self:
        if self.edges_run_id is not None and self.history_days is not None:
            raise broken_rule("range", "edges_run_id brings its own history_days", "history_days")
        return self


class CLVCalculationRequest(RequestSchema):
    """A calculation of lifetime values."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recalculate": False, "method": "seed"}]})

    customer_ids: CustomerIds | None = None
    recalculate: bool = Field(default=False, description="True: everyone asked for. False: only stale values.")
    method: Method = Field(
        default="seed",
        description="`seed`: average order value x purchase frequency x lifespan. `model`: orders and money to expect,"
        " by the MBG/NBD and gamma-gamma models fitted to the shop. `blend`: half `model`, half what the last period"
        " brought. Where the orders cannot carry a model, `seed` takes its place and `fallback` says why.",
    )
    window_days: Days | None = Field(
        default=None,
        description="Horizon of the values in the answer; null for the whole lifespan, which only `seed` knows: models"
        " then take the window of the settings.",
    )
    margin: float | None = Field(
        default=None, gt=0, le=1, description="The part of the money that is kept; null for the setting. Models only."
    )
    discount: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="What money is worth less for a year of waiting; null for the setting. Models only.",
    )

    @model_validator(mode="after")
    def _terms_are_for_models(self) -> Self:
        terms = [name for name in ("margin", "discount") if getattr(self, name) is not None]
        if self.method == "seed" and terms:
            raise broken_rule("range", "margin and discount need method model or blend", *terms)
        return self


class RFMEdgesResponse(ResponseSchema):
    """What scores are compared with: at most four edges for each measure."""

    basis: Literal["quintiles", "fixed"] = Field(description="`fixed` below five customers with orders, or by setting.")
    recency_days: list[int] = Field(
        description="Falling; a customer passes an edge with fewer days. The latest buyers, however many, pass all."
    )
    frequency: list[int] = Field(description="Rising; passed with more orders.")
    monetary: list[MoneyText] = Field(description="Rising; passed with more money.")

    @classmethod
    def of(cls, stored: StoredEdges, currency: str) -> Self:
        """The edges with their money rounded."""
        return cls(
            basis=stored.basis,
            recency_days=list(stored.edges.recency_days),
            frequency=list(stored.edges.frequency),
            monetary=[format_money(edge, currency) for edge in stored.edges.monetary],
        )


class RFMScoresResponse(ResponseSchema):
    """The scores of a customer and what they are made of."""

    customer_id: Id
    segment: RFMSegment | None = Field(description="`prospect` before the first valid order; null until scored.")
    segment_label: str | None
    recency_score: Score | None
    frequency_score: Score | None
    monetary_score: Score | None
    recency_days: int | None = Field(description="Days from the last valid order to `as_of`.")
    frequency: int = Field(description="Valid orders within the history.")
    monetary: MoneyText = Field(description="Their totals less refunds.")
    as_of: Day = Field(description="The store's day of the scores; today until scored.")
    history_days: int | None = Field(description="How far back orders count; null for all of them.")
    run_id: Id | None = Field(description="The run that found or confirmed the scores.")
    coverage: Coverage | None = Field(description="Whom that run wrote; `live`: one customer, as a purchase came.")
    calculated_at: Instant | None
    edges: RFMEdgesResponse | None
    is_stale: bool = Field(description="Whether what is known by now gives other scores.")


class RFMSegmentDistribution(ResponseSchema):
    """The customers of one segment."""

    segment: RFMSegment
    label: str
    customers: int
    share: float = Field(description="Of all scored customers and prospects, 0 to 1.")
    net_spent: MoneyText = Field(description="What they have spent, less refunds.")
    revenue_share: float = Field(description="Of what all have spent; 0 while nobody has.")
    average_net_spent: MoneyText
    average_orders: float
    average_clv: MoneyText


class RunResponse(ResponseSchema):
    """What every answer about a run tells."""

    run_id: Id
    as_of: Day
    coverage: Literal["full", "stale", "selected"] = Field(description="Whom the run wrote.")
    scored: int = Field(description="Customers that the run covered, prospects included.")
    changed: int = Field(description="Customers among them with other scores or values than before.")
    calculated_at: Instant | None
    seconds: dict[str, float] = Field(description="By stage, and `total`.")


class RFMAnalysisResponse(RunResponse):
    """The result of a calculation of RFM scores."""

    ranked: int = Field(description="Customers with a valid order, among those whose purchases were read.")
    moved: int = Field(description="Customers that are in another segment than before.")
    history_days: int | None
    edges: RFMEdgesResponse
    edges_run_id: Id | None = Field(description="The run that found the edges, if not this one.")
    distribution: list[RFMSegmentDistribution]


class CLVInputs(ResponseSchema):
    """The factors of a lifetime value: `net / orders x orders / age_days x lifespan_days`."""

    orders: int = Field(description="Valid orders up to `as_of`.")
    net: MoneyText = Field(description="Their totals less refunds; what the customer has brought so far.")
    days_since_first_order: int | None
    age_days: int | None = Field(description="The same, but at least the floor of the settings.")
    average_order_value: MoneyText | None
    orders_per_day: float | None
    segment: RFMSegment | None
    lifespan_days: float | None = Field(description="The lifespan of the settings, scaled by the multiplier.")
    multiplier: float | None = Field(description="Of the segment.")


class CLVModelInputs(ResponseSchema):
    """What a model knows of a customer, and what it makes of that."""

    repeat_days: int = Field(description="x: days with an order after the first one.")
    days_to_last: int = Field(description="t_x: from the first order to the last.")
    days_known: int = Field(description="T: from the first order to `as_of`.")
    probability_active: float = Field(description="That the customer has not stopped; for churn, see `p_buy`.")
    expected_orders: float = Field(description="In the window.")
    discounted_orders: float = Field(description="The same, later ones counted for less by `discount`.")
    expected_order_value: MoneyText | None = Field(description="Of a day with orders; null where nothing was brought.")
    last_period: MoneyText = Field(description="What the last `window_days` brought.")
    margin: float
    discount: float
    share: float = Field(description="The model's part of the value; the rest is what the last period brought.")
    parameters: dict[str, float] = Field(description="r, alpha (in weeks), a, b; p, q, gamma.")


class CLVResponse(ResponseSchema):
    """The lifetime value of a customer and what it is made of."""

    customer_id: Id
    clv: MoneyText | None = Field(
        description="Over the whole lifespan, by a model in the window; null until calculated."
    )
    clv_in_window: MoneyText | None = Field(description="The part that falls into the window; null without one.")
    clv_low: MoneyText | None = Field(
        description="What the customer spends in the window lies between this and `clv_high` in 8 of 10 cases."
    )
    clv_high: MoneyText | None
    window_days: int | None
    method: Method | None
    fallback: ModelRefusal | None = Field(description="Why `seed` took the place of a model.")
    fallback_sentence: str | None = Field(
        description="The same in words, with the parameters at which a search ended at its bound."
    )
    p_buy: float | None = Field(description="Chance of an order in the window, 0 to 1; 1 less the risk of churn.")
    expected_orders: float | None = Field(description="In the window.")
    median_wait_days: float | None = Field(
        description="In which half of such customers order again, if they are still active; null beyond 100 years."
    )
    next_order_on: Day | Literal["not_expected"] | None = Field(
        description="By when an order is more likely to have come than not; `not_expected` if that is never so."
    )
    reason: CLVReason | None = Field(description="Why the value is 0.")
    historic_value: MoneyText = Field(description="What the customer has brought so far: net of refunds.")
    as_of: Day = Field(description="The store's day of the value; today until calculated.")
    run_id: Id | None = Field(description="The run that found or confirmed the value.")
    coverage: Coverage | None = Field(description="Whom that run wrote; `live`: one customer, as a purchase came.")
    calculated_at: Instant | None
    inputs: CLVInputs
    model: CLVModelInputs | None = Field(description="Null under `seed` and before the first order.")
    is_stale: bool = Field(description="Whether what is known by now gives another value.")


class CLVDistribution(ResponseSchema):
    """The customers whose values lie in one range."""

    lower: MoneyText = Field(description="Included.")
    upper: MoneyText | None = Field(description="Not included; null in the last range, which is open.")
    customers: int
    share: float = Field(description="Of the customers with orders, 0 to 1.")
    total: MoneyText


class CLVTopCustomer(ResponseSchema):
    """A customer at the top of the list by value."""

    customer_id: Id
    customer_number: str
    first_name: str | None
    last_name: str | None
    email: str | None
    segment: RFMSegment | None
    segment_label: str | None
    orders: int
    net_spent: MoneyText
    value: MoneyText = Field(description="In the window of the analysis; without one, over the whole lifespan.")
    clv: MoneyText = Field(description="Over the whole lifespan; by a model, in its window.")
    masked: bool = Field(description="Whether direct identifiers are hidden from this caller.")


class CLVConcentration(ResponseSchema):
    """How much of the value the best customers hold."""

    top_percent: int
    customers: int
    total: MoneyText
    share: float = Field(description="Of the value of all customers, 0 to 1.")


class CLVDecile(ResponseSchema):
    """A tenth of the customers with orders, by falling value."""

    decile: int = Field(description="1 is the best tenth.")
    customers: int
    total: MoneyText
    share: float = Field(description="Of the value of all, in steps of 0.1 %: the ten add up to 1, or are all 0.")
    cumulative_share: float = Field(description="Of this tenth and all better ones.")


class CLVAnalysisResponse(ResponseSchema):
    """The lifetime values of all customers."""

    run_id: Id | None = Field(description="This calculation, or the latest one that covered everyone.")
    as_of: Day | None
    coverage: Literal["full", "stale", "selected"] | None = Field(description="Whom the run wrote.")
    method: Method | None
    fallback: ModelRefusal | None = Field(description="Why `seed` took the place of a model.")
    fallback_sentence: str | None = Field(
        description="The same in words, with the parameters at which a search ended at its bound."
    )
    window_days: int | None = Field(description="Horizon of every value below; null for the whole lifespan.")
    scored: int | None = Field(description="Customers that the run covered, prospects included.")
    changed: int | None = Field(description="Customers among them with other scores or values than before.")
    calculated_at: Instant | None
    seconds: dict[str, float] = Field(description="By stage, and `total`.")
    customers: int = Field(description="Customers with orders and a value; all figures below are over them.")
    prospects: int = Field(description="Customers without orders, whose value is 0.")
    total: MoneyText
    average: MoneyText
    median: MoneyText
    distribution: list[CLVDistribution]
    concentration: list[CLVConcentration]
    deciles: list[CLVDecile] = Field(description="Ten rows, best first.")
    top_customers: list[CLVTopCustomer]


def run_members(run: ScoringRun) -> dict[str, object]:
    """The members of `RunResponse`."""
    return {
        "run_id": run.id,
        "as_of": run.as_of,
        "coverage": run.coverage,
        "scored": run.counts["scored"],
        "changed": run.counts["changed"],
        "calculated_at": run.finished_at,
        "seconds": dict(run.seconds),
    }
