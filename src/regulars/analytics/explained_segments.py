"""The scores of a customer told to the shop's staff: what was measured, which edges were passed, which rule holds."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from regulars.analytics.schemas import RFMScoresResponse
from regulars.analytics.schemas_explanation import ExplainedMeasure, ExplainedRule, Measure, SegmentExplanation
from regulars.formulas.rfm import RFMEdges, RFMScores, RFMSegment
from regulars.formulas.segment_rules import SegmentRule, Span, rule_of, segment_rules

_passed_with: Final[Mapping[Measure, str]] = {
    "recency": "fewer days",
    "frequency": "more orders",
    "monetary": "more money",
}


def explained_segment(told: RFMScoresResponse, currency: str) -> SegmentExplanation:
    """Why the customer is in this segment, from nothing but what `RFMScoresResponse` shows."""
    stored = _stored_scores(told)
    return SegmentExplanation(
        scores=told,
        measures=_measures(told, currency),
        rule=_rule(stored) if stored else None,
        summary=[*_state(told), *_origin(told)],
    )


def counted(number: float, word: str) -> str:
    """`1 day`, `2 days`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _stored_scores(told: RFMScoresResponse) -> RFMScores | None:
    if told.recency_score is None or told.frequency_score is None or told.monetary_score is None:
        return None
    return RFMScores(told.recency_score, told.frequency_score, told.monetary_score)


def _scores_now(told: RFMScoresResponse) -> RFMScores | None:
    """What the purchases known by now give by the edges; None without purchases or edges."""
    if told.recency_days is None or told.edges is None:
        return None
    monetary = tuple(Decimal(edge) for edge in told.edges.monetary)
    edges = RFMEdges(tuple(told.edges.recency_days), tuple(told.edges.frequency), monetary)
    return edges.score(told.recency_days, told.frequency, Decimal(told.monetary))


def _measures(told: RFMScoresResponse, currency: str) -> list[ExplainedMeasure]:
    if told.recency_days is None:
        return []
    within = f" in the {counted(told.history_days, 'day')} until {told.as_of}" if told.history_days else ""
    last = f"The last valid order was {counted(told.recency_days, 'day')} before {told.as_of}."
    orders = f"{counted(told.frequency, 'valid order')}{within}."
    money = f"What was bought{within} comes to {told.monetary} {currency} after refunds."
    known: tuple[tuple[Measure, int | str, str], ...] = (
        ("recency", told.recency_days, last),
        ("frequency", told.frequency, orders),
        ("monetary", told.monetary, money),
    )
    edges: Mapping[Measure, Sequence[int | str]] = {}
    if told.edges:
        by_money = told.edges.monetary
        edges = {"recency": told.edges.recency_days, "frequency": told.edges.frequency, "monetary": by_money}
    scores = _scores_now(told)
    found: Mapping[str, int] = vars(scores) if scores else {}
    return [_measure(name, value, said, edges.get(name), found.get(name)) for name, value, said in known]


def _measure(
    name: Measure, value: int | str, known: str, edges: Sequence[int | str] | None, score: int | None
) -> ExplainedMeasure:
    if edges is None or score is None:
        return ExplainedMeasure(measure=name, value=value, edges=[], passed=None, score=None, sentence=known)
    listed = ", ".join(str(edge) for edge in edges)
    scored = f"That passes {score - 1} of the {len(edges)} edges ({listed}), each passed with {_passed_with[name]}"
    return ExplainedMeasure(
        measure=name,
        value=value,
        edges=list(edges),
        passed=score - 1,
        score=score,
        sentence=f"{known} {scored}: score {score} of 5.",
    )


def _rule(scores: RFMScores) -> ExplainedRule:
    rule = rule_of(scores)
    steps = rule.steps_to(scores)
    cell = f"{scores.recency}-{scores.frequency}-{scores.monetary}"
    named = f"rule {rule.number} of {len(segment_rules)}, {rule.segment.label} ({_spans_of(rule)})"
    away = " and ".join(
        f"{counted(number, 'step')} in {name}" for name, number in zip(_passed_with, steps, strict=True) if number
    )
    return ExplainedRule(
        number=rule.number,
        segment=rule.segment,
        recency=list(rule.recency),
        frequency=list(rule.frequency),
        monetary=list(rule.monetary),
        holds=not away,
        sentence=f"No rule has the scores {cell}; the nearest is {named}, {away} away."
        if away
        else f"The first rule that has the scores {cell} is {named}.",
    )


def _spans_of(rule: SegmentRule) -> str:
    spans = zip(_passed_with, (rule.recency, rule.frequency, rule.monetary), strict=True)
    return ", ".join(f"{name} {_span(span)}" for name, span in spans)


def _span(span: Span) -> str:
    least, greatest = span
    return str(least) if least == greatest else f"{least} to {greatest}"


def _state(told: RFMScoresResponse) -> list[str]:
    """Which segment it is, and whether it still would be."""
    if told.segment is None:
        return ["No run has scored this customer yet."]
    if told.segment is RFMSegment.PROSPECT:
        lines = ["A prospect: someone without a valid order has no scores."]
    else:
        lines = [f"{told.segment_label}, by the scores {_cell(_stored_scores(told))} of 5."]
    return [*lines, _outdated(told)] if told.is_stale else lines


def _outdated(told: RFMScoresResponse) -> str:
    now = _scores_now(told)
    if now is None:
        return "This is out of date: by now there is no valid order. The next run makes the customer a prospect."
    by_now = f"what is known by now of the orders until {told.as_of} gives {now.segment.label} ({_cell(now)})"
    return f"This is out of date: {by_now}. The next run scores the customer anew."


def _cell(scores: RFMScores | None) -> str:
    return f"{scores.recency}-{scores.frequency}-{scores.monetary}" if scores else "none"


def _origin(told: RFMScoresResponse) -> list[str]:
    """Which run found the scores, and where its edges come from."""
    if told.edges is None:
        return []
    if told.edges.basis == "fixed":
        edges = "The edges are the fixed thresholds of the settings."
    else:
        edges = "The edges part the shop's customers with orders into fifths."
    if told.coverage == "live":
        return [f"Scored on {told.as_of}, as a purchase changed, by the edges of the last run over everyone.", edges]
    return [f"Scored as of {told.as_of}.", edges]
