"""Recency, frequency, monetary: scores from 1 to 5, and the segment that follows from them.

A score counts who is strictly worse, so that equal values always get equal scores and the order of rows never matters.
Recency has two rules besides, for days on which many bought: the most recent buyers score 5 however many they are, and
any other tie of more than a fifth of the customers scores by the middle of the places that it takes.
Four edges per measure say the same: they are what a run keeps, and what SQL compares with.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, TypeVar


class RFMSegment(StrEnum):
    """The eleven segments of customers who buy, and the one of those who have not."""

    CHAMPION = "champion"
    LOYAL = "loyal"
    POTENTIAL_LOYALIST = "potential_loyalist"
    NEW_CUSTOMER = "new_customer"
    PROMISING = "promising"
    NEED_ATTENTION = "need_attention"
    ABOUT_TO_SLEEP = "about_to_sleep"
    AT_RISK = "at_risk"
    CANT_LOSE_THEM = "cant_lose_them"
    HIBERNATING = "hibernating"
    LOST = "lost"
    PROSPECT = "prospect"

    @property
    def label(self) -> str:
        """The name people read."""
        return _labels[self]


_labels: dict[RFMSegment, str] = {
    RFMSegment.CHAMPION: "Champion",
    RFMSegment.LOYAL: "Loyal",
    RFMSegment.POTENTIAL_LOYALIST: "Potential Loyalist",
    RFMSegment.NEW_CUSTOMER: "New Customer",
    RFMSegment.PROMISING: "Promising",
    RFMSegment.NEED_ATTENTION: "Need Attention",
    RFMSegment.ABOUT_TO_SLEEP: "About to Sleep",
    RFMSegment.AT_RISK: "At Risk",
    RFMSegment.CANT_LOSE_THEM: "Can't Lose Them",
    RFMSegment.HIBERNATING: "Hibernating",
    RFMSegment.LOST: "Lost",
    RFMSegment.PROSPECT: "Prospect",
}


@dataclass(frozen=True)
class RFMScores:
    """Three scores from 1 (worst fifth) to 5 (best fifth)."""

    recency: int
    frequency: int
    monetary: int

    @property
    def segment(self) -> RFMSegment:
        """The segment of this cell."""
        return rfm_segment(self.recency, self.frequency, self.monetary)


@cache
def segment_table() -> Mapping[RFMScores, RFMSegment]:
    """The segment of each of the 125 cells, as `segments.csv` beside this module lists them."""
    lines = (files(__package__) / "segments.csv").read_text(encoding="utf-8").splitlines()
    return {
        RFMScores(int(row["recency"]), int(row["frequency"]), int(row["monetary"])): RFMSegment(row["segment"])
        for row in csv.DictReader(lines)
    }


def rfm_segment(recency: int, frequency: int, monetary: int) -> RFMSegment:
    """The segment of a customer with these scores.

    Raises:
        KeyError: a score is not between 1 and 5.
    """
    return segment_table()[RFMScores(recency, frequency, monetary)]


class Ordered(Protocol):
    """A value that can be compared with its like."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401 - what the standard library's own types accept


Value = TypeVar("Value", bound=Ordered)


def quintile_edges(values: Iterable[Value]) -> tuple[Value, ...]:
    """The four quantiles at 1/5 to 4/5, by the inverted distribution function: each is one of the values.

    Edges repeat where many values are equal. Without values there are no edges.
    """
    ordered = sorted(values)
    return tuple(ordered[-(-fifth * len(ordered) // 5) - 1] for fifth in range(1, 5)) if ordered else ()


def quintile_score(value: Value, edges: Sequence[Value]) -> int:
    """1 plus the number of edges strictly below the value.

    With the edges of `quintile_edges()` this is `1 + floor(5 x share of values strictly below)`.
    """
    return 1 + sum(edge < value for edge in edges)


def recency_edges(days: Iterable[int]) -> tuple[int, ...]:
    """The four edges of days since the last order, falling: a score is 1 plus the number of edges above the days.

    Each is the fewest days of those who score less than 2, 3, 4, 5; where nobody does, a day more than anybody's.
    Without customers there are no edges.
    """
    counts = Counter(days)
    scores: dict[int, int] = {}
    worse = 0
    for value in sorted(counts, reverse=True):
        scores[value] = _recency_score(worse, counts[value], counts.total())
        worse += counts[value]
    if not scores:
        return ()
    longest = max(scores)
    return tuple(min((v for v in scores if scores[v] < score), default=longest + 1) for score in range(2, 6))


def _recency_score(worse: int, equal: int, customers: int) -> int:
    """The score of customers with equal days, of whom there are so many among all, with so many strictly worse."""
    if worse + equal == customers:
        return 5
    if 5 * equal > customers:
        return 1 + 5 * (2 * worse + equal - 1) // (2 * customers)
    return 1 + 5 * worse // customers


@dataclass(frozen=True)
class RFMEdges:
    """What scores are compared with: at most four edges for each measure.

    Attributes:
        recency_days: Falling; a customer passes an edge with *fewer* days since the last order.
        frequency: Rising; passed with more orders.
        monetary: Rising; passed with more money, net of refunds.
    """

    recency_days: tuple[int, ...]
    frequency: tuple[int, ...]
    monetary: tuple[Decimal, ...]

    def score(self, recency_days: int, frequency: int, monetary: Decimal) -> RFMScores:
        """The scores of a customer: days since the last order, number of orders, net money."""
        return RFMScores(
            quintile_score(-recency_days, [-edge for edge in self.recency_days]),
            quintile_score(frequency, self.frequency),
            quintile_score(monetary, self.monetary),
        )


def rfm_edges(measures: Iterable[tuple[int, int, Decimal]]) -> RFMEdges:
    """The edges of a population: for each customer the days since the last order, number of orders, net money."""
    rows = list(measures)
    return RFMEdges(
        recency_edges(days for days, _, _ in rows),
        quintile_edges(orders for _, orders, _ in rows),
        quintile_edges(net for _, _, net in rows),
    )
