"""The tables on which a scoring run works: they belong to its transaction and are gone after it.

Facts come first, edges are read from them, scores are made of both. Each step stands alone, so that edges and scores
can be tried on any facts at all, whether or not there are orders to support them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import LiteralString
from uuid import UUID

from psycopg.sql import SQL, Composed, Literal

from regulars.analytics.models import Period
from regulars.analytics.repository_facts import everyone, purchase_facts
from regulars.formulas.clv import CLVReason, CLVRules
from regulars.formulas.rfm import RFMEdges, RFMSegment, segment_table
from regulars.kit.database import Repository

chosen = SQL("IN (SELECT customer_id FROM chosen_customers)")


@dataclass(frozen=True)
class _Quantiles:
    recency_days: list[int] | None
    frequency: list[int] | None
    monetary: list[Decimal] | None


@dataclass(frozen=True)
class Population:
    """Customers with and without a valid order."""

    ranked: int
    prospects: int


@dataclass(frozen=True)
class ForecastsUsed:
    """What turns the factors of `scoring_forecasts` into money and days.

    Attributes:
        gamma: Is added to what a customer has brought.
        share: The forecast's part of a value; the rest is what the last days brought.
        margin: The part of that money that is kept; the forecasts know it already.
        as_of: The day from which days are counted.
    """

    gamma: float
    share: float
    margin: float
    as_of: date


class ScoringStageRepository(Repository):
    """The steps of a run, each one statement over everyone who takes part."""

    async def prepare(self) -> None:
        """Give this transaction the memory and the time that a run over all customers needs."""
        await self._execute("""
            SELECT set_config('work_mem', '256MB', true),
                   set_config('statement_timeout', '0', true),
                   set_config('lock_timeout', '0', true)
        """)

    async def choose(self, customer_ids: Sequence[UUID]) -> None:
        """Keep who is to be scored, for the steps that look at them only."""
        await self._execute("CREATE TEMPORARY TABLE chosen_customers (customer_id uuid PRIMARY KEY) ON COMMIT DROP")
        await self._execute("INSERT INTO chosen_customers SELECT DISTINCT unnest(%s::uuid[])", [customer_ids])
        await self._execute("ANALYZE chosen_customers")

    async def stage_facts(self, period: Period, *, only_chosen: bool) -> None:
        """Collect the purchase facts of everyone, or of those who were chosen.

        For everyone the index that covers the facts is read in its order: nothing is sorted or hashed, so that memory
        does not grow with the shop. For some, each is looked up in it. The planner, which takes far fewer customers to
        have ordered than have, would rather hash in the first case, and read the whole index in the second.
        """
        facts = purchase_facts(period, chosen if only_chosen else everyone)
        async with self._without(*(("enable_mergejoin",) if only_chosen else ("enable_seqscan", "enable_hashagg"))):
            await self._execute(SQL("CREATE TEMPORARY TABLE scoring_facts ON COMMIT DROP AS {}").format(facts))

    @asynccontextmanager
    async def _without(self, *ways: LiteralString) -> AsyncIterator[None]:
        """Keep the planner from some of its ways until the block ends, or the transaction does."""
        for way in ways:
            await self._execute("SELECT set_config(%s, 'off', true)", [way])
        yield
        for way in ways:
            await self._execute("SELECT set_config(%s, 'on', true)", [way])

    async def count_customers(self, at_most: int) -> int:
        """All customers, counted up to a bound."""
        found: int = await self._value("SELECT count(*) FROM (SELECT FROM customers LIMIT %s) AS counted", [at_most])
        return found

    async def count_population(self) -> Population:
        """How many of the customers with facts have a valid order, and how many have none."""
        population = await self._one(
            Population,
            """
            SELECT count(*) FILTER (WHERE orders > 0) AS ranked, count(*) FILTER (WHERE orders = 0) AS prospects
            FROM scoring_facts
            """,
        )
        return population or Population(0, 0)

    async def get_quintile_edges(self) -> RFMEdges:
        """The edges of everyone with a valid order, as `rfm_edges()` finds them."""
        found = await self._one(
            _Quantiles,
            """
            WITH ties AS (
                SELECT recency_days AS days, count(*) AS equal, sum(count(*)) OVER () AS customers,
                       sum(count(*)) OVER (ORDER BY recency_days DESC) - count(*) AS worse
                FROM scoring_facts
                WHERE orders > 0
                GROUP BY recency_days
            ), scores AS (
                SELECT days, CASE WHEN worse + equal = customers THEN 5
                                  WHEN 5 * equal > customers THEN 1 + div(5 * (2 * worse + equal - 1), 2 * customers)
                                  ELSE 1 + div(5 * worse, customers) END AS score
                FROM ties
            ), recency AS (
                SELECT array_agg(edge ORDER BY score) AS edges
                FROM (
                    SELECT wanted.score,
                           coalesce(min(days) FILTER (WHERE scores.score < wanted.score), max(days) + 1) AS edge
                    FROM scores CROSS JOIN generate_series(2, 5) AS wanted (score)
                    GROUP BY wanted.score
                ) AS found
            )
            SELECT (SELECT edges FROM recency) AS recency_days,
                   percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY recent_orders) AS frequency,
                   percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY recent_net) AS monetary
            FROM scoring_facts
            WHERE orders > 0
            """,
        )
        if found is None:
            return RFMEdges((), (), ())
        return RFMEdges(tuple(found.recency_days or ()), tuple(found.frequency or ()), tuple(found.monetary or ()))

    async def fill_scores(
        self,
        edges: RFMEdges,
        rules: CLVRules,
        *,
        only_chosen: bool = False,
        keep_segments: bool = False,
        forecasts: ForecastsUsed | None = None,
    ) -> int:
        """Score everyone with facts into `scored_customers`; answers how many.

        A value is cut, not rounded, to the four digits that are stored: the one rounding, at output, then still sees
        on which side of one half it lies.

        Scores come in the order of the facts, which is that of customers: a third of the time of writing a large shop's
        first ones. To merge forecasts would sort by them.

        Args:
            edges: What the facts are compared with.
            rules: Of lifetime values.
            only_chosen: Leave out everyone who was not chosen.
            keep_segments: Take the segment that a customer already has for the lifespan, where there is one.
            forecasts: Take values from `scoring_forecasts` instead of the formula.
        """
        kept = SQL("LEFT JOIN customer_scores kept ON kept.customer_id = f.customer_id AND kept.segment <> 'prospect'")
        statement = _fill_scores.format(
            recency=_score("f.recency_days <", edges.recency_days),
            frequency=_score("f.recent_orders >", edges.frequency),
            monetary=_score("f.recent_net >", edges.monetary),
            segment=SQL("coalesce(kept.segment, cell.segment)") if keep_segments else SQL("cell.segment"),
            kept=kept if keep_segments else SQL(""),
            chosen=chosen if only_chosen else everyone,
            **(_by_model if forecasts else _by_formula),
        )
        cells = [(cell.recency, cell.frequency, cell.monetary, segment) for cell, segment in segment_table().items()]
        recency, frequency, monetary, segments = (list(column) for column in zip(*cells, strict=True))
        buyers = [segment for segment in RFMSegment if segment is not RFMSegment.PROSPECT]
        parameters = {
            "recency": recency,
            "frequency": frequency,
            "monetary": monetary,
            "segments": segments,
            "buyers": buyers,
            "lifespans": [rules.lifespan_of(segment) for segment in buyers],
            "floor_days": rules.floor_days,
            "prospect": RFMSegment.PROSPECT,
            "no_orders": CLVReason.NO_ORDERS,
            "non_positive_net": CLVReason.NON_POSITIVE_NET,
            **(vars(forecasts) if forecasts else {}),
        }
        async with self._without("enable_mergejoin"):
            return await self._execute(statement, parameters)

    async def drop(self) -> None:
        """Drop what this run made, for another one in the same transaction."""
        await self._execute("DROP TABLE IF EXISTS chosen_customers, scoring_facts, scored_customers, scoring_forecasts")


_fill_scores = SQL("""
    INSERT INTO scored_customers
        (customer_id, recency_score, frequency_score, monetary_score, segment, clv, clv_reason, p_buy, expected_orders,
         median_wait_days, next_order_on, clv_low, clv_high)
    SELECT f.customer_id, cell.recency_score, cell.frequency_score, cell.monetary_score,
           coalesce({segment}, %(prospect)s),
           CASE WHEN f.orders > 0 AND f.net > 0
                THEN {value}
                ELSE 0 END,
           CASE WHEN f.orders = 0 THEN %(no_orders)s WHEN f.net <= 0 THEN %(non_positive_net)s END,
           {forecast}
    FROM scoring_facts f
    LEFT JOIN unnest(%(recency)s::smallint[], %(frequency)s::smallint[], %(monetary)s::smallint[], %(segments)s::text[])
              AS cell (recency_score, frequency_score, monetary_score, segment)
        ON f.orders > 0 AND cell.recency_score = {recency} AND cell.frequency_score = {frequency}
           AND cell.monetary_score = {monetary}
    {kept}
    LEFT JOIN unnest(%(buyers)s::text[], %(lifespans)s::numeric[]) AS life (segment, lifespan_days)
        ON life.segment = {segment}
    {ahead}
    WHERE f.customer_id {chosen}
""")
_by_formula = {
    "value": SQL("div(f.net * life.lifespan_days * 10000, greatest(f.age_days, %(floor_days)s)) * 0.0001"),
    "forecast": SQL("NULL, NULL, NULL, NULL, NULL, NULL"),
    "ahead": SQL(""),
}
_by_model = {
    "value": SQL("""
                     trunc((
                         %(share)s * (%(gamma)s + f.net::double precision) * ahead.value_factor
                         + (1 - %(share)s) * %(margin)s * greatest(f.last_net, 0)::double precision
                     )::numeric, 4)
    """),
    "forecast": SQL("""
           ahead.p_buy, ahead.expected_orders, nullif(ahead.median_wait_days, 'NaN'),
           %(as_of)s + nullif(ahead.next_order_days, -1),
           trunc(((%(gamma)s + greatest(f.net, 0)::double precision) * ahead.low_factor)::numeric, 4),
           trunc(((%(gamma)s + greatest(f.net, 0)::double precision) * ahead.high_factor)::numeric, 4)
    """),
    "ahead": SQL("""
    LEFT JOIN scoring_forecasts ahead
        ON f.orders > 0 AND ahead.x = f.purchase_days - 1 AND ahead.t_x = f.age_days - f.recency_days
           AND ahead.age_days = f.age_days
    """),
}


def _score(passes: LiteralString, edges: Sequence[int] | Sequence[Decimal]) -> Composed:
    """1 plus one for each edge that the measure passes."""
    passed = [SQL("({} {})::integer").format(SQL(passes), Literal(edge)) for edge in edges]
    return SQL(" + ").join([SQL("1"), *passed])
