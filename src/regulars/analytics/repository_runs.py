"""The record of scoring runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.analytics.models import Coverage, Method, RunKind, ScoringRequest, ScoringRun, StoredEdges
from regulars.kit.database import Repository

turn = 7265_0003
"""The number that a run locks, and nothing else."""


class ScoringRunRepository(Repository):
    """Runs, from their start to their figures."""

    async def wait_for_turn(self) -> None:
        """Let no other run work until this transaction ends; wait for one that does."""
        await self._execute("SELECT pg_advisory_xact_lock(%s)", [turn])

    async def start(self, request: ScoringRequest, coverage: Coverage, started_at: datetime) -> UUID:
        """Record that a run has begun; answers its id."""
        run_id: UUID = await self._value(
            """
            INSERT INTO scoring_runs
                (kind, coverage, as_of, history_days, window_days, edges_run_id, started_by, started_at)
            VALUES
                (%(kind)s, %(coverage)s, %(as_of)s, %(history_days)s, %(window_days)s, %(edges_run_id)s,
                 %(started_by)s, %(started_at)s)
            RETURNING id
            """,
            vars(request) | {"coverage": coverage, "started_at": started_at, "customer_ids": None},
        )
        return run_id

    async def finish(
        self,
        run_id: UUID,
        *,
        method: Method | None,
        edges: StoredEdges,
        parameters: Mapping[str, Any],
        counts: Mapping[str, int],
        seconds: Mapping[str, float],
        finished_at: datetime,
    ) -> None:
        """Record what a run used and what came of it. From now on it can be the latest one."""
        await self._execute(
            """
            UPDATE scoring_runs
            SET method = %(method)s, edges = %(edges)s,
                parameters = %(parameters)s, counts = %(counts)s, seconds = %(seconds)s, finished_at = %(finished_at)s
            WHERE id = %(run_id)s
            """,
            {
                "run_id": run_id,
                "method": method,
                "edges": Jsonb(edges.as_json()),
                "parameters": Jsonb(parameters),
                "counts": Jsonb(counts),
                "seconds": Jsonb(seconds),
                "finished_at": finished_at,
            },
        )

    async def get(self, run_id: UUID) -> ScoringRun | None:
        """A run by its id."""
        return await self._one(ScoringRun, "SELECT * FROM scoring_runs WHERE id = %s", [run_id])

    async def get_latest(self, kind: RunKind) -> ScoringRun | None:
        """The latest finished run of this kind, or of both kinds, that covered everyone."""
        return await self._one(
            ScoringRun,
            """
            SELECT * FROM scoring_runs
            WHERE kind = ANY (%s) AND coverage = 'full' AND finished_at IS NOT NULL
            ORDER BY finished_at DESC, id DESC
            LIMIT 1
            """,
            [[kind, "all"]],
        )
