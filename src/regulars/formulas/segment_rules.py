"""The eleven rules behind the segment table: which of them gave a cell its segment.

A rule holds for spans of the three scores, and the first that holds decides. Cells for which none holds take the
nearest: fewest steps in recency, then in frequency, then in monetary, the earlier rule on ties. Champion and Can't Lose
Them are never widened. `formulas.rfm.segment_table()` is the result, cell by cell.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from regulars.formulas.rfm import RFMScores, RFMSegment

Span: TypeAlias = tuple[int, int]
"""The least and the greatest score."""


@dataclass(frozen=True)
class SegmentRule:
    """For which scores a segment stands."""

    number: int
    segment: RFMSegment
    recency: Span
    frequency: Span
    monetary: Span

    def steps_to(self, scores: RFMScores) -> tuple[int, int, int]:
        """How far the scores lie outside the rule: recency, frequency, monetary; all 0 where it holds."""
        return (
            _outside(scores.recency, self.recency),
            _outside(scores.frequency, self.frequency),
            _outside(scores.monetary, self.monetary),
        )


segment_rules: Final = (
    SegmentRule(1, RFMSegment.CHAMPION, (5, 5), (5, 5), (5, 5)),
    SegmentRule(2, RFMSegment.LOYAL, (4, 5), (4, 5), (3, 5)),
    SegmentRule(3, RFMSegment.POTENTIAL_LOYALIST, (4, 5), (3, 3), (3, 4)),
    SegmentRule(4, RFMSegment.NEW_CUSTOMER, (5, 5), (1, 2), (1, 2)),
    SegmentRule(5, RFMSegment.PROMISING, (4, 5), (2, 3), (2, 3)),
    SegmentRule(6, RFMSegment.NEED_ATTENTION, (3, 3), (3, 4), (3, 4)),
    SegmentRule(7, RFMSegment.ABOUT_TO_SLEEP, (2, 3), (2, 3), (2, 3)),
    SegmentRule(8, RFMSegment.AT_RISK, (1, 2), (3, 4), (3, 5)),
    SegmentRule(9, RFMSegment.CANT_LOSE_THEM, (1, 2), (5, 5), (5, 5)),
    SegmentRule(10, RFMSegment.HIBERNATING, (1, 2), (2, 3), (1, 2)),
    SegmentRule(11, RFMSegment.LOST, (1, 1), (1, 1), (1, 2)),
)
_never_widened: Final = {RFMSegment.CHAMPION, RFMSegment.CANT_LOSE_THEM}


def rule_of(scores: RFMScores) -> SegmentRule:
    """The rule that decides the segment of these scores: the first that holds, or else the nearest."""
    nearest = [rule for rule in segment_rules if rule.segment not in _never_widened]
    holding = [rule for rule in segment_rules if rule.steps_to(scores) == (0, 0, 0)]
    return holding[0] if holding else min(nearest, key=lambda rule: rule.steps_to(scores))


def _outside(score: int, span: Span) -> int:
    return max(span[0] - score, 0, score - span[1])
