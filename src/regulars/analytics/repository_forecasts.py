"""What models of lifetime value read of the staged facts, and how their forecasts come back: grouped numbers only."""

import numpy as np
from psycopg.sql import SQL

from regulars.analytics.binary_rows import write_columns
from regulars.analytics.repository_columns import ColumnsRepository
from regulars.analytics.value_models import Forecasts, Histories, OrderValues

_kinds = {"x": "i4", "t_x": "i4", "T": "i4"}
_forecasts = {
    "p_buy": "f8",
    "expected_orders": "f8",
    "median_wait_days": "f8",
    "next_order_days": "i4",
    "value_factor": "f8",
    "low_factor": "f8",
    "high_factor": "f8",
}


class ForecastRepository(ColumnsRepository):
    """Between `scoring_facts` and the models."""

    async def get_histories(self) -> Histories:
        """The kinds of customers with a valid order, and how many there are of each."""
        statement = SQL("""
            SELECT purchase_days - 1, age_days - recency_days, age_days, count(*)::integer
            FROM scoring_facts
            WHERE orders > 0
            GROUP BY 1, 2, 3
            ORDER BY 1, 2, 3
        """)
        return Histories(**await self._columns(statement, {**_kinds, "customers": "i4"}))

    async def get_order_values(self) -> OrderValues:
        """What a purchase day of a customer brings, in steps of less than a percent."""
        statement = SQL("""
            SELECT days, avg(log_mean), count(*)::integer
            FROM (
                SELECT purchase_days AS days, ln(net::double precision / purchase_days) AS log_mean
                FROM scoring_facts
                WHERE orders > 0 AND net > 0
            ) means
            GROUP BY days, floor(log_mean * 128)
            ORDER BY days, floor(log_mean * 128)
        """)
        return OrderValues(**await self._columns(statement, {"days": "i4", "log_mean": "f8", "customers": "i4"}))

    async def get_most_net(self) -> float:
        """What the customer who has brought most has brought; 0 if nobody has brought anything."""
        found: float = await self._value(
            "SELECT coalesce(max(greatest(net, 0)), 0)::double precision FROM scoring_facts WHERE orders > 0"
        )
        return found

    async def stage_forecasts(self, histories: Histories, forecasts: Forecasts) -> None:
        """Make `scoring_forecasts`, one row for each kind of customer."""
        await self._execute("""
            CREATE TEMPORARY TABLE scoring_forecasts (
                x integer, t_x integer, age_days integer, p_buy double precision, expected_orders double precision,
                median_wait_days double precision, next_order_days integer, value_factor double precision,
                low_factor double precision, high_factor double precision
            ) ON COMMIT DROP
        """)
        columns = {name: getattr(histories, name) for name in _kinds}
        columns |= {name: np.atleast_1d(getattr(forecasts, name)) for name in _forecasts}
        async with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY scoring_forecasts FROM STDIN (FORMAT BINARY)") as copy,
        ):
            for piece in write_columns(columns, {**_kinds, **_forecasts}):
                await copy.write(piece)
        await self._execute("ANALYZE scoring_forecasts")
