"""Stored scores held against what their runs say of the orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.sql import SQL

from regulars.kit.database import Repository

ScoreKind = Literal["rfm", "clv"]


@dataclass(frozen=True)
class Covering:
    """The latest full run, which confirmed everything that was scored before it began; None without one."""

    run_id: UUID | None
    started_at: datetime | None


@dataclass(frozen=True)
class ScoreDifference:
    """A customer whose stored score or value is not what its run says of the orders.

    Attributes:
        run_id: The run that answers for it.
        kept: What is stored, as text.
        computed: What follows from the orders.
    """

    customer_id: UUID
    run_id: UUID
    kept: str
    computed: str


class ScoreCheckRepository(Repository):
    """Which run answers for which scores, and which of them are wrong. Works on the tables of a scoring run."""

    async def find_runs(self, kind: ScoreKind, rfm: Covering, clv: Covering) -> list[UUID]:
        """The runs that answer for any stored score or value."""
        rows = await self._rows(_runs[kind], _covering(rfm, clv))
        return [run_id for (run_id,) in rows]

    async def choose(self, kind: ScoreKind, run_id: UUID, rfm: Covering, clv: Covering) -> None:
        """Keep the customers for whose scores a run answers, for the steps that look at them only."""
        await self._execute(
            "CREATE TEMPORARY TABLE chosen_customers (customer_id uuid PRIMARY KEY, scored_at timestamptz)"
            " ON COMMIT DROP"
        )
        await self._execute(_choose[kind], _covering(rfm, clv) | {"run_id": run_id})
        await self._execute("ANALYZE chosen_customers")

    async def compare(self, kind: ScoreKind, run_id: UUID) -> Sequence[ScoreDifference]:
        """What is stored otherwise than in `scored_customers`, if nobody has scored it anew meanwhile."""
        return await self._all(ScoreDifference, _compare[kind], {"run_id": run_id})


def _covering(rfm: Covering, clv: Covering) -> dict[str, object]:
    return {
        "rfm_run_id": rfm.run_id,
        "rfm_started_at": rfm.started_at,
        "clv_run_id": clv.run_id,
        "clv_started_at": clv.started_at,
    }


_run_of = "CASE WHEN {0}_scored_at <= %({0}_started_at)s::timestamptz THEN %({0}_run_id)s::uuid ELSE {0}_run_id END"
_run = {kind: SQL(_run_of).format(SQL(kind)) for kind in ("rfm", "clv")}
# A value rests on the segment; where that was scored after it, the value is known to be stale.
_has = {
    "rfm": SQL("rfm_run_id IS NOT NULL"),
    "clv": SQL("""
        clv_run_id IS NOT NULL AND clv_method = 'seed'
        AND greatest(rfm_scored_at, %(rfm_started_at)s::timestamptz)
            <= greatest(clv_scored_at, %(clv_started_at)s::timestamptz)
    """),
}
_runs = {
    kind: SQL("SELECT DISTINCT {run} AS run_id FROM customer_scores WHERE {has} ORDER BY run_id").format(
        run=_run[kind], has=_has[kind]
    )
    for kind in ("rfm", "clv")
}
_choose = {
    kind: SQL("""
        INSERT INTO chosen_customers
        SELECT customer_id, {scored_at} FROM customer_scores WHERE {has} AND {run} = %(run_id)s
    """).format(scored_at=SQL(scored_at), run=_run[kind], has=_has[kind])
    for kind, scored_at in (("rfm", "rfm_scored_at"), ("clv", "clv_scored_at"))
}
_rfm_text = "concat_ws(' ', {0}.recency_score, {0}.frequency_score, {0}.monetary_score, {0}.segment)"
_clv_text = "concat_ws(' ', {0}.clv, {0}.clv_reason)"
_compare = {
    kind: SQL("""
        SELECT customer_id, %(run_id)s::uuid AS run_id, {kept} AS kept, {computed} AS computed
        FROM scored_customers AS found
        JOIN chosen_customers AS chosen USING (customer_id)
        JOIN customer_scores AS kept USING (customer_id)
        WHERE kept.{scored_at} = chosen.scored_at AND {kept} <> {computed}
        ORDER BY customer_id
    """).format(kept=SQL(text).format(SQL("kept")), computed=SQL(text).format(SQL("found")), scored_at=SQL(scored_at))
    for kind, text, scored_at in (("rfm", _rfm_text, "rfm_scored_at"), ("clv", _clv_text, "clv_scored_at"))
}
