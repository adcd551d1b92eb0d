"""What a scoring run is asked for, what it finds, and how its results are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal, Self
from uuid import UUID

from regulars.formulas.rfm import RFMEdges, RFMScores

RunKind = Literal["rfm", "clv", "all"]
Coverage = Literal["full", "stale", "selected", "live"]
EdgesBasis = Literal["quintiles", "fixed"]
Method = Literal["seed", "model", "blend"]

stored_digits = Decimal("0.0001")
"""Of lifetime values."""


def as_stored(value: Decimal) -> Decimal:
    """A value as a run writes it: cut, not rounded, so that the one rounding, at output, still sees what was there."""
    return value.quantize(stored_digits, ROUND_DOWN)


@dataclass(frozen=True)
class Period:
    """The orders that are looked at: everything up to a day.

    Attributes:
        as_of: The last day.
        history_days: The part of it in which frequency and monetary are measured; None for all of it.
        last_days: The part of it that models of lifetime value tell apart, and for whose sake days are counted; None
            where no model asks.
    """

    as_of: date
    history_days: int | None = None
    last_days: int | None = None

    @property
    def history_after(self) -> date | None:
        """The last day that no longer counts for frequency and monetary; None if all do."""
        return self._before(self.history_days)

    @property
    def last_after(self) -> date | None:
        """The last day before the last ones; None if all are."""
        return self._before(self.last_days)

    def _before(self, days: int | None) -> date | None:
        return None if days is None else date.fromordinal(max(1, self.as_of.toordinal() - days))


@dataclass(frozen=True)
class ScoringRequest:
    """What a run shall do.

    Attributes:
        kind: Scores, lifetime values, or both in one pass.
        as_of: The store's day on which the world is looked at.
        started_by: Who asked, for the record.
        recalculate: True scores everyone asked for with new edges; False only those whose score is stale, with the
            edges of the latest full run.
        customer_ids: Who is written; None for all. Never changes who sets the edges.
        history_days: How far back orders count for frequency and monetary; None for all of them.
        window_days: Horizon of lifetime values; None for the whole lifespan, which a model does not know: it then takes
            the window of the settings.
        edges_run_id: An earlier run whose edges and history are used again.
        method: How lifetime values are made.
        margin: The part of the money that is kept, for a model; None for that of the settings.
        discount: What money is worth less for a year of waiting, for a model; None for that of the settings.
    """

    kind: RunKind
    as_of: date
    started_by: str
    recalculate: bool = True
    customer_ids: Sequence[UUID] | None = None
    history_days: int | None = None
    window_days: int | None = None
    edges_run_id: UUID | None = None
    method: Method = "seed"
    margin: float | None = None
    discount: float | None = None

    @property
    def uses_model(self) -> bool:
        """Whether values are asked for that a model makes."""
        return self.kind != "rfm" and self.method != "seed"

    @property
    def period(self) -> Period:
        """The orders to look at."""
        return Period(self.as_of, self.history_days, self.window_days if self.uses_model else None)


@dataclass(frozen=True)
class PurchaseFacts:
    """What a customer's valid orders amount to on a day.

    Attributes:
        orders: Number of valid orders: neither cancelled nor fully refunded by that day.
        net: Their totals less the refunds known by that day.
        age_days: Days since the first of them; None without one.
        recency_days: Days since the last of them; None without one.
        recent_orders: As `orders`, within the history that RFM looks at.
        recent_net: As `net`, within the history that RFM looks at.
        purchase_days: Days with a valid order; None where they were not counted.
        last_net: As `net`, within the last days that a model looks at; None likewise.
    """

    customer_id: UUID
    orders: int
    net: Decimal
    age_days: int | None
    recency_days: int | None
    recent_orders: int
    recent_net: Decimal
    purchase_days: int | None = None
    last_net: Decimal | None = None


@dataclass(frozen=True)
class StoredEdges:
    """Edges as a run keeps them, and whether they are quintiles of its population or the fixed ones of the settings."""

    basis: EdgesBasis
    edges: RFMEdges

    def as_json(self) -> dict[str, Any]:
        """Plain values for a jsonb column; money as text."""
        return {
            "basis": self.basis,
            "recency_days": list(self.edges.recency_days),
            "frequency": list(self.edges.frequency),
            "monetary": [str(edge) for edge in self.edges.monetary],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The edges that `as_json()` wrote."""
        monetary = tuple(Decimal(edge) for edge in stored["monetary"])
        edges = RFMEdges(tuple(stored["recency_days"]), tuple(stored["frequency"]), monetary)
        return cls(stored["basis"], edges)


@dataclass(frozen=True)
class ScoringRun:
    """A run as it is recorded: enough to explain each of its scores and to compute them again.

    Attributes:
        counts: `ranked` customers with a valid order in the population, `prospects` without, `scored` customers that
            the run covered, `changed` scores or values among them, `moved` to another segment.
        seconds: By stage, and `total`.
        edges_run_id: The run that found the edges, if this one took them over.
    """

    id: UUID
    kind: RunKind
    coverage: Coverage
    as_of: date
    method: str | None
    history_days: int | None
    window_days: int | None
    edges: Mapping[str, Any] | None
    edges_run_id: UUID | None
    parameters: Mapping[str, Any]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    started_by: str
    started_at: datetime
    finished_at: datetime | None

    @property
    def stored_edges(self) -> StoredEdges | None:
        """The edges of the run; None if it neither found nor used any."""
        return StoredEdges.from_json(self.edges) if self.edges else None

    @property
    def period(self) -> Period:
        """The orders the run looked at."""
        return Period(self.as_of, self.history_days)

    def is_older_than(self, days: int, today: date) -> bool:
        """Whether the run shows the world of more than this many days ago."""
        return today - self.as_of > timedelta(days=days)


@dataclass(frozen=True)
class CustomerScore:
    """The scores and the value of a customer as they are stored."""

    customer_id: UUID
    recency_score: int | None
    frequency_score: int | None
    monetary_score: int | None
    segment: str | None
    rfm_run_id: UUID | None
    rfm_scored_at: datetime | None
    clv: Decimal | None
    clv_method: str | None
    clv_reason: str | None
    clv_run_id: UUID | None
    clv_scored_at: datetime | None
    p_buy: float | None
    expected_orders: float | None
    median_wait_days: float | None
    next_order_on: date | None
    clv_low: Decimal | None
    clv_high: Decimal | None

    @property
    def scores(self) -> RFMScores | None:
        """The three scores; None for a prospect and before the first run."""
        if self.recency_score is None or self.frequency_score is None or self.monetary_score is None:
            return None
        return RFMScores(self.recency_score, self.frequency_score, self.monetary_score)


@dataclass(frozen=True)
class SegmentChange:
    """A change of a customer's segment, and the run that made it; `segment_before` is None for the first one."""

    changed_at: datetime
    segment_before: str | None
    segment: str
    run_id: UUID


@dataclass(frozen=True)
class ValueSummary:
    """Lifetime values of all customers with orders.

    Attributes:
        customers: Customers with a value and at least one valid order.
        prospects: Customers with a value and no valid order: always 0, counted apart.
        high: 95th percentile, from which the ranges are made.
    """

    customers: int
    prospects: int
    total: Decimal
    average: Decimal
    median: Decimal
    high: Decimal


@dataclass(frozen=True)
class ValueRange:
    """Customers whose value is at least the range's lower bound and below the next one's.

    Attributes:
        number: Place of the range, from 0.
    """

    number: int
    customers: int
    total: Decimal


@dataclass(frozen=True)
class ValuePercentile:
    """A hundredth of the customers with orders, by falling value.

    Attributes:
        number: 1 for the best.
    """

    number: int
    customers: int
    total: Decimal
