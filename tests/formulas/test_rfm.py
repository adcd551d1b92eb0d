import csv
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import regulars.formulas.rfm
from regulars.formulas.rfm import (
    RFMEdges,
    RFMScores,
    RFMSegment,
    quintile_edges,
    quintile_score,
    recency_edges,
    rfm_edges,
    rfm_segment,
    segment_table,
)
from regulars.formulas.segment_rules import rule_of, segment_rules
from tests.factories.cdnow import cdnow

Span = tuple[int, int]
Rule = tuple[RFMSegment, Span, Span, Span]

rules: list[Rule] = [
    (RFMSegment.CHAMPION, (5, 5), (5, 5), (5, 5)),
    (RFMSegment.LOYAL, (4, 5), (4, 5), (3, 5)),
    (RFMSegment.POTENTIAL_LOYALIST, (4, 5), (3, 3), (3, 4)),
    (RFMSegment.NEW_CUSTOMER, (5, 5), (1, 2), (1, 2)),
    (RFMSegment.PROMISING, (4, 5), (2, 3), (2, 3)),
    (RFMSegment.NEED_ATTENTION, (3, 3), (3, 4), (3, 4)),
    (RFMSegment.ABOUT_TO_SLEEP, (2, 3), (2, 3), (2, 3)),
    (RFMSegment.AT_RISK, (1, 2), (3, 4), (3, 5)),
    (RFMSegment.CANT_LOSE_THEM, (1, 2), (5, 5), (5, 5)),
    (RFMSegment.HIBERNATING, (1, 2), (2, 3), (1, 2)),
    (RFMSegment.LOST, (1, 1), (1, 1), (1, 2)),
]
never_widened = {RFMSegment.CHAMPION, RFMSegment.CANT_LOSE_THEM}
cells = list(product(range(1, 6), repeat=3))


def steps(score: int, span: Span) -> int:
    return max(span[0] - score, 0, score - span[1])


def distances(cell: Sequence[int], rule: Rule) -> tuple[int, int, int]:
    r, f, m = (steps(score, span) for score, span in zip(cell, rule[1:], strict=True))
    return r, f, m


def matches(cell: Sequence[int]) -> list[RFMSegment]:
    return [rule[0] for rule in rules if distances(cell, rule) == (0, 0, 0)]


def nearest(cell: Sequence[int]) -> RFMSegment:
    candidates = [rule for rule in rules if rule[0] not in never_widened]
    return min(candidates, key=lambda rule: distances(cell, rule))[0]


def test_the_table_has_every_cell_once_and_agrees_with_its_file() -> None:
    path = Path(regulars.formulas.rfm.__file__).with_name("segments.csv")
    with path.open(newline="") as lines:
        rows = [tuple(row.values()) for row in csv.DictReader(lines)]
    assert len(rows) == len(segment_table()) == 125
    for recency, frequency, monetary, segment in rows:
        assert rfm_segment(int(recency), int(frequency), int(monetary)) == segment


def test_each_cell_is_explained_by_the_rule_that_made_its_segment() -> None:
    assert [(rule.segment, rule.recency, rule.frequency, rule.monetary) for rule in segment_rules] == rules
    assert [rule.number for rule in segment_rules] == list(range(1, 12))
    for scores, segment in segment_table().items():
        rule, cell = rule_of(scores), (scores.recency, scores.frequency, scores.monetary)
        assert rule.segment == segment
        assert (rule.steps_to(scores) == (0, 0, 0)) == bool(matches(cell))


def test_the_rules_leave_68_cells_open_and_give_8_cells_two_segments() -> None:
    found = [len(matches(cell)) for cell in cells]
    assert found.count(0) == 68
    assert found.count(2) == 8
    assert max(found) == 2


@pytest.mark.parametrize("rule", rules, ids=lambda rule: rule[0].value)
def test_a_rule_holds_on_its_cells_where_no_earlier_one_does(rule: Rule) -> None:
    own = [cell for cell in cells if matches(cell)[:1] == [rule[0]]]
    assert own
    assert {rfm_segment(*cell) for cell in own} == {rule[0]}


def test_an_open_cell_takes_the_nearest_rule() -> None:
    open_cells = [cell for cell in cells if not matches(cell)]
    assert {cell: rfm_segment(*cell) for cell in open_cells} == {cell: nearest(cell) for cell in open_cells}


def test_scores_outside_1_to_5_have_no_segment() -> None:
    with pytest.raises(KeyError):
        rfm_segment(0, 3, 3)


def test_every_segment_has_a_label_and_prospect_is_in_no_cell() -> None:
    assert {segment.label for segment in RFMSegment} >= {"Champion", "About to Sleep", "Can't Lose Them", "Prospect"}
    assert set(segment_table().values()) == set(RFMSegment) - {RFMSegment.PROSPECT}


# Few distinct values make heavy ties; large ones and negatives come too.
values = st.lists(st.integers(-3, 3) | st.integers(-(10**12), 10**12), min_size=1, max_size=60)


def share_score(value: int, population: Sequence[int]) -> int:
    worse = Fraction(sum(other < value for other in population), len(population))
    return min(5, 1 + floor(5 * worse))


@given(values)
def test_edges_give_the_score_that_the_share_of_worse_customers_defines(population: list[int]) -> None:
    edges = quintile_edges(population)
    assert [quintile_score(value, edges) for value in population] == [share_score(v, population) for v in population]


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_customers_does_not_matter(population: list[int], random: object) -> None:
    shuffled = list(population)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert quintile_edges(shuffled) == quintile_edges(population)


@given(values)
def test_a_better_value_never_scores_less(population: list[int]) -> None:
    edges = quintile_edges(population)
    scores = [quintile_score(value, edges) for value in sorted(population)]
    assert scores == sorted(scores)


def test_one_customer_alone_scores_1_and_nobody_has_no_edges() -> None:
    assert quintile_edges([7]) == (7, 7, 7, 7)
    assert quintile_score(7, quintile_edges([7])) == 1
    assert quintile_edges([]) == ()


def test_fixed_frequency_edges_read_as_1_2_3_then_4_to_5_then_more() -> None:
    assert [quintile_score(orders, [1, 2, 3, 5]) for orders in range(1, 8)] == [1, 2, 3, 4, 4, 5, 5]


def test_fewer_days_since_the_last_order_are_better() -> None:
    edges = RFMEdges(recency_days=(365, 180, 90, 30), frequency=(1, 2, 3, 5), monetary=(Decimal(50),) * 4)
    assert edges.score(400, 1, Decimal(-5)) == RFMScores(1, 1, 1)
    assert edges.score(365, 6, Decimal(50)) == RFMScores(1, 5, 1)
    assert edges.score(0, 4, Decimal("50.01")) == RFMScores(5, 4, 5)


def test_ties_of_recency_rank_by_negated_days() -> None:
    # Three of five bought today, as recently as anybody; nobody is strictly worse than the oldest, one than the other.
    population = [(0, 1, Decimal(1)), (0, 1, Decimal(1)), (0, 1, Decimal(1)), (10, 1, Decimal(1)), (20, 1, Decimal(1))]
    edges = rfm_edges(population)
    assert [edges.score(*measures).recency for measures in population] == [5, 5, 5, 2, 1]
    assert edges.score(0, 1, Decimal(1)).segment == rfm_segment(5, 1, 1)


def recency_score(days: int, population: Sequence[int]) -> int:
    """The rule in words: the best value scores 5, another tie of more than a fifth by its middle, all else by share."""
    worse = [sum(other > value for other in population) for value in population if value == days]
    if days == min(population):
        return 5
    middle = Fraction(len(worse) - 1, 2) if Fraction(len(worse), len(population)) > Fraction(1, 5) else 0
    return 1 + floor(5 * (worse[0] + middle) / len(population))


few_days = st.lists(st.integers(0, 3) | st.integers(0, 10**4), min_size=1, max_size=60)


@given(few_days)
def test_edges_give_the_recency_score_that_the_rule_defines(population: list[int]) -> None:
    edges = [-edge for edge in recency_edges(population)]
    assert [quintile_score(-days, edges) for days in population] == [recency_score(d, population) for d in population]
    assert edges == sorted(edges)


@given(few_days, st.randoms(use_true_random=False))
def test_neither_the_order_of_customers_nor_a_worse_day_raises_a_recency_score(
    population: list[int], random: object
) -> None:
    shuffled = list(population)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    edges = recency_edges(population)
    assert recency_edges(shuffled) == edges
    scores = [quintile_score(-days, [-edge for edge in edges]) for days in sorted(population)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("days", "scores"),
    [
        ({0: 90, 5: 1, 9: 9}, {0: 5, 5: 1, 9: 1}),  # a day on which 90 % bought
        ({0: 1, 1: 90, 400: 9}, {0: 5, 1: 3, 400: 1}),  # one bought today, 90 yesterday
        ({7: 100}, {7: 5}),  # everybody on one day
        ({3: 20, 10: 20, 20: 20, 30: 20, 40: 20}, {3: 5, 10: 4, 20: 3, 30: 2, 40: 1}),  # fifths are no large ties
        ({3: 19, 10: 21, 20: 20, 30: 20, 40: 20}, {3: 5, 10: 4, 20: 3, 30: 2, 40: 1}),
        ({1: 10, 300: 90}, {1: 5, 300: 3}),  # nobody is worse than 90 %, who are in the middle of the places they take
    ],
)
def test_a_day_on_which_many_bought_is_scored_by_where_they_stand(days: dict[int, int], scores: dict[int, int]) -> None:
    edges = recency_edges([day for day, customers in days.items() for _ in range(customers)])
    assert {day: quintile_score(-day, [-edge for edge in edges]) for day in days} == scores
    assert quintile_score(0, [-edge for edge in edges]) == 5


@pytest.mark.parametrize("sample", [True, False])
def test_the_rule_for_ties_moves_nobody_of_cdnow(sample: bool) -> None:
    """There no day has more than a fifth of the customers."""
    shop = cdnow(sample=sample)
    days = (shop.T - shop.t_x).astype(int).tolist()
    assert recency_edges(days) == tuple(-edge for edge in quintile_edges(-day for day in days))
