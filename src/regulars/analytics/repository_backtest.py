"""What a back-test reads: customers as they were known on a day, and what they did after it."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from psycopg.sql import SQL, Literal

from regulars.analytics.models import Period
from regulars.analytics.repository_columns import ColumnsRepository
from regulars.analytics.repository_facts import purchase_facts
from regulars.analytics.value_models import Numbers
from regulars.formulas.rfm import RFMSegment

_columns = {
    "segment": "i4",
    "rate": "f8",
    "seed": "f8",
    "last": "f8",
    "known": "f8",
    "value_factor": "f8",
    "p_buy": "f8",
    "spent": "f8",
    "orders": "i4",
}


@dataclass(frozen=True)
class Outcomes:
    """Customers with an order by the day, one element each.

    Attributes:
        segment: Place of the segment in the order of `RFMSegment`.
        rate: What the customer had brought per day, by the rules of `seed`.
        seed: Lifetime value by the formula.
        last: What the last days before the day brought, as many as the window has.
        known: What the customer had brought by the day.
        value_factor: Of the model.
        p_buy: Chance to buy in the window, by the model.
        spent: What the customer brought in the window.
        orders: Orders in the window.
    """

    segment: npt.NDArray[np.int32]
    rate: Numbers
    seed: Numbers
    last: Numbers
    known: Numbers
    value_factor: Numbers
    p_buy: Numbers
    spent: Numbers
    orders: npt.NDArray[np.int32]


class BacktestRepository(ColumnsRepository):
    """Outcomes of customers whose facts, scores and forecasts are staged."""

    async def stage_outcomes(self, until: date, window_days: int) -> None:
        """Collect what everyone did in the days up to one, from the orders as they were known then."""
        facts = purchase_facts(Period(until, history_days=window_days))
        await self._execute(SQL("CREATE TEMPORARY TABLE scoring_outcomes ON COMMIT DROP AS {}").format(facts))

    async def get_outcomes(self, floor_days: int) -> Outcomes:
        """Everyone with an order by the day of the facts, in the order of their ids.

        Args:
            floor_days: Least age of a customer in the formula.
        """
        segments = [segment.value for segment in RFMSegment]
        statement = SQL("""
            SELECT array_position({segments}::text[], s.segment) - 1,
                   greatest(f.net, 0)::double precision / greatest(f.age_days, {floor_days}),
                   s.clv::double precision, greatest(f.last_net, 0)::double precision, f.net::double precision,
                   ahead.value_factor, ahead.p_buy, coalesce(o.recent_net, 0)::double precision,
                   coalesce(o.recent_orders, 0)
            FROM scoring_facts f
            JOIN scored_customers s ON s.customer_id = f.customer_id
            JOIN scoring_forecasts ahead
                ON ahead.x = f.purchase_days - 1 AND ahead.t_x = f.age_days - f.recency_days
                   AND ahead.age_days = f.age_days
            LEFT JOIN scoring_outcomes o ON o.customer_id = f.customer_id
            WHERE f.orders > 0
            ORDER BY f.customer_id
        """).format(segments=Literal(segments), floor_days=Literal(floor_days))
        return Outcomes(**await self._columns(statement, _columns))

    async def drop(self) -> None:
        """Drop the outcomes, for another back-test in the same transaction."""
        await self._execute("DROP TABLE IF EXISTS scoring_outcomes")
