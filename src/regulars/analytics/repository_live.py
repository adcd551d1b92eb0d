"""Scores of one customer, written as purchases change; and the run of the day that answers for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier, Placeholder
from psycopg.types.json import Jsonb

from regulars.analytics.models import PurchaseFacts
from regulars.analytics.repository_facts import purchase_facts_of_one
from regulars.analytics.repository_runs import turn
from regulars.kit.database import Repository


@dataclass(frozen=True)
class LiveBasis:
    """The latest full runs, by which customers are scored between them.

    Attributes:
        rfm_run_id: The run that has the edges.
        edges: As it keeps them.
        history_days: How far back orders count for frequency and monetary.
        parameters: Floor, lifespan and multipliers of lifetime values.
        clv_run_id: The run of lifetime values by the formula; None if there is none, or the latest is by a model.
        window_days: The horizon of lifetime values.
        live_run_id: The live run of this day and these runs; None before its first score.
    """

    rfm_run_id: UUID
    edges: Mapping[str, Any]
    history_days: int | None
    parameters: Mapping[str, Any]
    clv_run_id: UUID | None
    window_days: int | None
    live_run_id: UUID | None


@dataclass(frozen=True)
class Movement:
    """The segment of a customer before and after; None before the first."""

    segment_before: str | None
    segment: str


_latest = SQL("""
    SELECT * FROM scoring_runs
    WHERE kind IN ({}, 'all') AND coverage = 'full' AND finished_at IS NOT NULL
    ORDER BY finished_at DESC, id DESC LIMIT 1
""")
_basis = SQL("""
    WITH rfm AS ({rfm}), latest_clv AS ({clv}), clv AS (SELECT * FROM latest_clv WHERE method = 'seed')
    SELECT rfm.id AS rfm_run_id, rfm.edges, rfm.history_days,
        jsonb_build_object('rfm_run_id', rfm.id, 'clv_run_id', clv.id)
            || coalesce(clv.parameters, rfm.parameters) AS parameters,
        clv.id AS clv_run_id, clv.window_days, live.id AS live_run_id
    FROM rfm
    LEFT JOIN clv ON true
    LEFT JOIN scoring_runs AS live ON live.coverage = 'live' AND live.as_of = %(today)s
        AND live.parameters ->> 'rfm_run_id' = rfm.id::text
        AND live.parameters ->> 'clv_run_id' IS NOT DISTINCT FROM clv.id::text
""").format(rfm=_latest.format("rfm"), clv=_latest.format("clv"))

_rfm = ("recency_score", "frequency_score", "monetary_score", "segment", "rfm_run_id", "rfm_scored_at")
_forecast = ("p_buy", "expected_orders", "median_wait_days", "next_order_on", "clv_low", "clv_high")
_clv = ("clv", "clv_reason", "clv_method", "clv_run_id", "clv_scored_at", "clv_window_days", *_forecast)


def _write_of(columns: tuple[str, ...]) -> Composed:
    return SQL("""
        WITH written AS (
            INSERT INTO customer_scores (customer_id, {columns}) VALUES (%(customer_id)s, {values})
            ON CONFLICT (customer_id) DO UPDATE SET {assignments}
            RETURNING old.segment AS segment_before, new.segment
        ), moved AS (
            INSERT INTO segment_history (customer_id, run_id, segment_before, segment, changed_at)
            SELECT %(customer_id)s, %(rfm_run_id)s, segment_before, segment, %(rfm_scored_at)s
            FROM written WHERE segment_before IS DISTINCT FROM segment
            ON CONFLICT (customer_id, run_id, changed_at) DO UPDATE SET segment = excluded.segment
        )
        SELECT segment_before, segment FROM written
    """).format(
        columns=SQL(", ").join(map(Identifier, columns)),
        values=SQL(", ").join(map(Placeholder, columns)),
        assignments=SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(column)) for column in columns),
    )


_write_rfm, _write_both = _write_of(_rfm), _write_of(_rfm + _clv)


class LiveScoreRepository(Repository):
    """What live scoring reads and writes."""

    async def is_free(self) -> bool:
        """Whether no run is at work; if so, none begins until this transaction ends."""
        free: bool = await self._value("SELECT pg_try_advisory_xact_lock_shared(%s)", [turn])
        return free

    async def get_basis(self, today: date) -> LiveBasis | None:
        """What customers are scored by today; None before the first full run."""
        return await self._one(LiveBasis, _basis, {"today": today})

    async def start_day(self, basis: LiveBasis, *, today: date, now: datetime) -> None:
        """Record the live run of a day, unless somebody else was faster. It has no end: the day has."""
        await self._execute(
            """
            INSERT INTO scoring_runs (kind, coverage, as_of, method, history_days, window_days, edges, edges_run_id,
                parameters, started_by, started_at)
            VALUES (%(kind)s, 'live', %(today)s, %(method)s, %(history_days)s, %(window_days)s, %(edges)s,
                %(rfm_run_id)s, %(parameters)s, 'orders', %(now)s)
            ON CONFLICT DO NOTHING
            """,
            {
                "kind": "all" if basis.clv_run_id else "rfm",
                "today": today,
                "method": "seed" if basis.clv_run_id else None,
                "history_days": basis.history_days,
                "window_days": basis.window_days,
                "edges": Jsonb(basis.edges),
                "rfm_run_id": basis.rfm_run_id,
                "parameters": Jsonb(basis.parameters),
                "now": now,
            },
        )

    async def get_facts(
        self, customer_id: UUID, basis: LiveBasis, *, today: date, after: date | None
    ) -> PurchaseFacts | None:
        """The purchase facts of a customer today; None for a deleted or erased one."""
        return await self._one(
            PurchaseFacts,
            purchase_facts_of_one(with_history=basis.history_days is not None),
            {"customer_id": customer_id, "as_of": today, "after": after},
        )

    async def write_score(self, score: Mapping[str, Any], *, with_value: bool) -> Movement:
        """Write the scores of a customer, and the value with them, of which the formula forecasts nothing more.

        A segment that moved is history.
        """
        statement, forecast = (_write_both, dict.fromkeys(_forecast)) if with_value else (_write_rfm, {})
        movement = await self._one(Movement, statement, {**score, **forecast})
        assert movement is not None, "INSERT ... DO UPDATE returns its row"  # noqa: S101
        return movement
