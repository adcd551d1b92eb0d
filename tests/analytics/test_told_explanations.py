"""Explanations against the formulas: what is shown, worked out by hand, gives the segment and the value."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.analytics.clv import CLVService
from regulars.analytics.customer import AnalyticsService
from regulars.analytics.live import LiveScoring
from regulars.analytics.models import ScoringRequest
from regulars.analytics.schemas_explanation import (
    CustomerAnalyticsExplanation,
    SegmentExplanation,
    ValueExplanation,
)
from regulars.customers.errors import CustomerErased
from regulars.formulas import buytilldie, gammagamma
from regulars.formulas.buytilldie import Fitted
from regulars.formulas.clv import window_share
from regulars.formulas.gammagamma import FittedValues
from regulars.formulas.rfm import RFMEdges, rfm_segment
from regulars.formulas.segment_rules import rule_of
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.security import operator
from regulars.kit.settings import Settings
from tests.analytics.test_explanations import analyst
from tests.analytics.test_models import by_model, odd_customers
from tests.analytics.test_runs import asking, shop_of
from tests.analytics.test_scoring_properties import in_one_transaction, open_shop, shops
from tests.factories.customers import make_customer, set_columns
from tests.factories.orders import Refund, make_order
from tests.factories.shops import make_many_customers
from tests.factories.statements import counted_statements

cent = Decimal("0.01")


@pytest.fixture
def analytics(connection: Connection, settings: Settings, clock: Clock) -> AnalyticsService:
    return AnalyticsService(connection, settings, clock)


def facts_of(told: ValueExplanation) -> Mapping[str, Any]:
    assert len({fact.name for fact in told.facts}) == len(told.facts)
    return {fact.name: fact.value for fact in told.facts}


def require_told_segment(told: SegmentExplanation) -> None:
    """The segment follows from the measures and the edges that are shown."""
    if told.scores.segment == "prospect":
        assert (told.measures, told.rule) == ([], None)
        return
    edges = {row.measure: row.edges for row in told.measures}
    values: dict[str, Any] = {row.measure: row.value for row in told.measures}
    scores = RFMEdges(
        tuple(edges["recency"]),  # type: ignore[arg-type]
        tuple(edges["frequency"]),  # type: ignore[arg-type]
        tuple(map(Decimal, edges["monetary"])),
    ).score(values["recency"], values["frequency"], Decimal(values["monetary"]))
    assert [row.score for row in told.measures] == list(vars(scores).values())
    assert rfm_segment(*vars(scores).values()) == told.scores.segment
    assert told.rule is not None
    assert told.rule.segment == told.scores.segment
    spans = (told.rule.recency, told.rule.frequency, told.rule.monetary)
    inside = [least <= score <= most for score, (least, most) in zip(vars(scores).values(), spans, strict=True)]
    assert told.rule.holds == all(inside)
    assert told.rule.number == rule_of(scores).number


def require_told_value(told: ValueExplanation) -> None:
    """The value of the formula follows from the facts that are shown, to the cent."""
    facts, value = facts_of(told), told.value
    assert told.result == value.clv
    if not facts["orders"] or Decimal(facts["net"]) <= 0:
        assert (value.clv, told.formula) == ("0.00", None)
        return
    net, lifespan = Decimal(facts["net"]), Decimal(str(facts["lifespan_days"]))
    expected = net / facts["orders"] * facts["orders"] / facts["age_days"] * lifespan
    assert abs(Decimal(str(value.clv)) - expected) <= cent / 2 + Decimal("0.0001")
    assert told.formula is not None
    assert told.formula.endswith(f" = {value.clv} EUR")
    assert evaluated(told.formula) == pytest.approx(float(expected))
    assert value.window_days is not None
    share = window_share(value.window_days, lifespan)
    assert facts["clv_in_window"] == str((expected * share).quantize(cent, ROUND_HALF_UP))


def evaluated(formula: str) -> float:
    """What the left side of a shown formula comes to: products and quotients, added up."""
    total = 0.0
    for term in formula.split(" = ", maxsplit=1)[0].split(" + "):
        product, operation = 1.0, "x"
        for word in term.split(" "):
            if word in "x/":
                operation = word
            else:
                product = product * float(word) if operation == "x" else product / float(word)
        total += product
    return total


@in_one_transaction
@given(shop=shops, days_ago=st.integers(0, 20), history_days=st.none() | st.integers(1, 25))
async def test_what_is_shown_gives_the_segment_and_the_value_of_the_formula(
    connection: Connection,
    settings: Settings,
    clock: Clock,
    clv: CLVService,
    shop: list[list[Any]],
    days_ago: int,
    history_days: int | None,
) -> None:
    as_of = clock.today() - timedelta(days=days_ago)
    async with connection.transaction(force_rollback=True):
        await open_shop(connection, shop)
        await clv.score_customers(ScoringRequest("all", as_of, "test", history_days=history_days, window_days=90))
        for number in range(len(shop)):
            told = await AnalyticsService(connection, settings, clock).explain_customer_analytics(
                UUID(int=number), by=operator
            )
            assert (told.segment.scores.is_stale, told.value.value.is_stale) == (False, False)
            require_told_segment(told.segment)
            require_told_value(told.value)
            require_sentences(told)


def require_sentences(told: CustomerAnalyticsExplanation) -> None:
    """Each ends as a sentence does, and none shows what only programs understand."""
    said = [row.sentence for row in (*told.segment.measures, *told.value.facts)]
    said += [*told.segment.summary, *told.value.summary, *([told.segment.rule.sentence] if told.segment.rule else [])]
    for sentence in said:
        assert sentence.endswith(".")
        assert not {"None", "nan", "inf", "_"} & set(sentence.replace(".", " ").split()), sentence


@pytest.mark.parametrize(
    ("method", "discount", "margin"), [("model", 0.2, 0.4), ("model", 0.0, 1.0), ("blend", 0.1, 0.5)]
)
@pytest.mark.parametrize("count", [530, 610])
async def test_what_is_shown_gives_the_value_of_the_model(
    connection: Connection,
    analytics: AnalyticsService,
    clv: CLVService,
    clock: Clock,
    count: int,
    method: str,
    discount: float,
    margin: float,
) -> None:
    shop = await make_many_customers(connection, clock, count)
    odd = [customer.id for customer in await odd_customers(connection, clock)]
    await clv.score_customers(by_model(clock, method=method, discount=discount, margin=margin))
    for customer_id in [*shop[::12], *odd]:
        told = await analytics.explain_customer_analytics(customer_id, by=operator)
        require_told_segment(told.segment)
        require_sentences(told)
        require_told_model_value(told.value)


def require_told_model_value(told: ValueExplanation) -> None:
    """The value and the forecast follow from parameters, terms and history that are shown, to the cent."""
    facts, value = facts_of(told), told.value
    assert told.result is not None
    assert value.clv is not None
    assert abs(Decimal(told.result) - Decimal(value.clv)) <= cent
    if not facts["orders"]:
        assert value.reason == "no_orders"
        return
    bought = Fitted(*(facts[name] for name in ("r", "alpha", "a", "b")))
    worth = FittedValues(*(facts[name] for name in ("p", "q", "gamma")))
    known, window = tuple(facts[name] for name in ("repeat_days", "days_to_last", "days_known")), value.window_days
    assert window is not None
    assert facts["expected_orders"] == pytest.approx(float(buytilldie.expected_purchases(bought, *known, window)))
    assert facts["p_buy"] == pytest.approx(float(buytilldie.probability_of_purchase(bought, *known, window)))
    assert facts["median_wait_days"] == pytest.approx(float(buytilldie.median_wait(bought, *known)))
    net, days = float(facts["net"]), facts["repeat_days"] + 1
    if net <= 0:
        assert (value.clv, value.reason, told.formula) == ("0.00", "non_positive_net", None)
        return
    orders = float(buytilldie.discounted_purchases(bought, *known, window, facts["discount"]))
    ahead = facts["margin"] * orders * float(gammagamma.expected_mean(worth, days, net / days))
    last = facts["margin"] * max(float(facts.get("last_period", 0)), 0.0)
    share = facts.get("share", 1.0)
    assert share * ahead + (1 - share) * last == pytest.approx(float(value.clv), abs=0.0051)
    factors = facts["margin"] * facts["discounted_orders"] * facts["expected_order_value"]
    assert factors == pytest.approx(ahead)
    assert evaluated(str(told.formula)) == pytest.approx(float(value.clv), rel=1e-4, abs=0.006)


async def test_a_prospect_is_told_as_one(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    told = await analytics.explain_customer_analytics(customer.id, by=operator)
    assert told.segment.summary == ["No run has scored this customer yet."]
    assert told.value.summary == ["No run has valued this customer yet."]
    assert (told.value.formula, told.value.result) == (None, None)
    await clv.score_customers(asking(clock))
    told = await analytics.explain_customer_analytics(customer.id, by=operator)
    assert (told.segment.measures, told.segment.rule, told.value.result) == ([], None, "0.00")
    assert told.segment.summary[0] == "A prospect: someone without a valid order has no scores."
    assert told.value.summary[0] == "0.00 EUR, since there was no valid order."
    assert [fact.name for fact in told.value.facts] == ["orders"]


async def test_orders_before_the_first_run_are_measures_without_scores(
    connection: Connection, analytics: AnalyticsService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "10", days_ago=3)
    told = await analytics.explain_customer_analytics(customer.id, by=operator)
    assert [(row.value, row.score, row.edges) for row in told.segment.measures] == [
        (3, None, []),
        (1, None, []),
        ("10.00", None, []),
    ]
    assert told.segment.measures[0].sentence == "The last valid order was 3 days before 2026-06-15."
    assert [fact.name for fact in told.value.facts] == ["orders", "net"]


async def test_every_fact_is_told_in_a_sentence(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await clv.score_customers(asking(clock, window_days=90))
    told = await analytics.explain_customer_analytics(shop[5].id, by=operator)
    assert [row.sentence for row in told.segment.measures] == [
        "The last valid order was 10 days before 2026-06-15. That passes 4 of the 4 edges (50, 40, 30, 20), each passed"
        " with fewer days: score 5 of 5.",
        "6 valid orders. That passes 4 of the 4 edges (2, 3, 4, 5), each passed with more orders: score 5 of 5.",
        "What was bought comes to 60.00 EUR after refunds. That passes 4 of the 4 edges (20.00, 30.00, 40.00, 50.00),"
        " each passed with more money: score 5 of 5.",
    ]
    assert told.segment.rule is not None
    assert told.segment.rule.sentence == (
        "The first rule that has the scores 5-5-5 is rule 1 of 11, Champion (recency 5, frequency 5, monetary 5)."
    )
    assert told.segment.summary == [
        "Champion, by the scores 5-5-5 of 5.",
        "Scored as of 2026-06-15.",
        "The edges part the shop's customers with orders into fifths.",
    ]
    assert [fact.sentence for fact in told.value.facts] == [
        "6 valid orders until 2026-06-15.",
        "They brought 60.00 EUR, refunds off.",
        "That is 10.00 EUR an order.",
        "The first order was 15 days before 2026-06-15; 90 are counted at the least.",
        "6 in 90 days are 0.06667 a day.",
        "The lifespan of the segment Champion is multiplied by 2.",
        "A customer of this segment is expected to stay 730 days.",
        "Of all that, 1 - exp(-90 / 730) = 11.6 % falls into the next 90 days: 56.45 EUR.",
    ]
    assert told.value.formula == "60.00 / 6 x 6 / 90 x 730 = 486.67 EUR"
    assert told.value.summary[0] == "486.67 EUR over the whole time that the customer is expected to stay."


async def test_scores_that_no_rule_has_are_told_by_the_nearest(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    for _ in range(9):
        await make_order(connection, clock, shop[0].id, "0.01", days_ago=1)
    await clv.score_customers(asking(clock))
    told = (await analytics.explain_customer_analytics(shop[0].id, by=operator)).segment
    assert [row.score for row in told.measures] == [5, 5, 1]
    assert told.rule is not None
    assert not told.rule.holds
    assert told.rule.sentence == (
        "No rule has the scores 5-5-1; the nearest is rule 2 of 11, Loyal (recency 4 to 5, frequency 4 to 5,"
        " monetary 3 to 5), 2 steps in monetary away."
    )


async def test_what_is_out_of_date_says_so_and_what_would_be_now(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await clv.score_customers(asking(clock))
    for _ in range(9):
        await make_order(connection, clock, shop[0].id, "100")
    told = await analytics.explain_customer_analytics(shop[0].id, by=operator)
    assert told.segment.scores.segment == "lost"
    assert [row.score for row in told.segment.measures] == [5, 5, 5]
    assert told.segment.summary[1] == (
        "This is out of date: what is known by now of the orders until 2026-06-15 gives Champion (5-5-5). The next run"
        " scores the customer anew."
    )
    assert told.value.result == "1107.17"
    assert told.value.summary[-1] == (
        "This is out of date: what is known by now gives 1107.17 EUR. The next run values the customer anew."
    )
    assert told.value.value.clv == "12.17"


async def test_who_has_no_valid_order_any_more_will_be_a_prospect(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    order = await make_order(connection, clock, customer.id)
    await clv.score_customers(asking(clock))
    await connection.execute("UPDATE orders SET status = 'cancelled', cancelled_on = ordered_on WHERE id = %s", [order])
    told = await analytics.explain_customer_analytics(customer.id, by=operator)
    assert told.segment.summary[1].startswith("This is out of date: by now there is no valid order.")
    assert told.segment.summary[-1] == "The edges are the fixed thresholds of the settings."
    assert told.value.result == "0.00"
    assert "what is known by now gives 0.00 EUR" in told.value.summary[-1]


async def test_refunds_that_leave_nothing_are_told(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await make_order(connection, clock, customer.id, "0")
    await clv.score_customers(asking(clock))
    told = (await analytics.explain_customer_analytics(customer.id, by=operator)).value
    assert told.summary[0] == "0.00 EUR, since nothing is left of what was paid."


async def test_a_live_score_is_told_as_one(
    connection: Connection, settings: Settings, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await clv.score_customers(asking(clock))
    tomorrow = replace(clock, stopped_at=clock.now() + timedelta(days=1))
    await make_order(connection, tomorrow, shop[0].id, "40")
    await LiveScoring(connection, settings, tomorrow).rescore(shop[0].id)
    told = await AnalyticsService(connection, settings, tomorrow).explain_customer_analytics(shop[0].id, by=operator)
    require_told_segment(told.segment)
    assert told.segment.scores.coverage == told.value.value.coverage == "live"
    assert "Scored on 2026-06-16, as a purchase changed, by the edges of the last run over everyone." in (
        told.segment.summary
    )
    assert "Valued on 2026-06-16, as a purchase changed, by the rules of the last run over everyone." in (
        told.value.summary
    )
    assert told.value.result == told.value.value.clv


async def test_why_there_is_no_model_is_told(
    connection: Connection, analytics: AnalyticsService, clv: CLVService, clock: Clock
) -> None:
    shop = await shop_of(connection, clock)
    await clv.score_customers(by_model(clock))
    told = (await analytics.explain_customer_analytics(shop[3].id, by=operator)).value
    assert told.summary[1] == (
        "A model was asked for, but fewer than 500 customers have ordered: the formula took its place."
    )
    assert told.formula is not None
    assert (told.value.method, told.result) == ("seed", told.value.clv)


async def test_only_visible_customers_are_told(
    connection: Connection, analytics: AnalyticsService, clock: Clock
) -> None:
    customer = await make_customer(connection, clock)
    await set_columns(connection, customer, deleted_at=clock.now(), erased_at=clock.now())
    with pytest.raises(CustomerErased):
        await analytics.explain_customer_analytics(customer.id, by=operator)
    with pytest.raises(NotFound):
        await analytics.explain_customer_analytics(customer.id, by=analyst)


async def test_an_explanation_takes_as_many_statements_for_much_as_for_nothing(
    connection: Connection,
    analytics: AnalyticsService,
    clv: CLVService,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = await make_customer(connection, clock)
    taken = []
    for _ in range(2):
        await clv.score_customers(asking(clock))
        with counted_statements(monkeypatch) as statements:
            await analytics.explain_customer_analytics(customer.id, by=operator)
        taken.append(len(statements))
        for days_ago in range(20):
            await make_order(connection, clock, customer.id, "10", days_ago=days_ago, refunds=[Refund("1")])
    assert taken[0] == taken[1] <= 10
