"""Jobs that callers follow, in the database, with what was given to them and what came of them."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import IO, Any, Final, Literal, LiteralString, TypeAlias
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from regulars.kit.database import Repository
from regulars.kit.models_jobs import Job, State

Part: TypeAlias = Literal["input", "result"]

piece_bytes: Final = 1 << 20

_columns = SQL(
    "id, kind, creator_kind, creator_id, created_at, customer_id, arguments, is_fetched_once, also_asked_by, state,"
    " progress, attempts, started_at, finished_at, result_until, result_media_type, result_name, error"
)


class JobRepository(Repository):
    """Rows of jobs and the pieces of their inputs and results."""

    async def add(self, job: Job, *, same_as: str | None) -> Job:
        """The job as it stands now, or the unfinished one with the same `same_as`, which the creator has joined."""
        found = await self._one(
            Job,
            SQL("""
                INSERT INTO jobs AS kept (id, kind, creator_kind, creator_id, created_at, customer_id, arguments,
                    is_fetched_once, same_as)
                VALUES (%(id)s, %(kind)s, %(creator_kind)s, %(creator_id)s, %(created_at)s, %(customer_id)s,
                    %(arguments)s, %(is_fetched_once)s, %(same_as)s)
                ON CONFLICT (same_as) WHERE finished_at IS NULL DO UPDATE
                SET also_asked_by = array_remove(array_append(
                    array_remove(kept.also_asked_by, excluded.creator_id), excluded.creator_id), NULL)
                RETURNING {}
            """).format(_columns),
            {**vars(job), "arguments": Jsonb(job.arguments), "same_as": same_as},
        )
        assert found is not None, "it was either added or there"  # noqa: S101
        return found

    async def join_unfinished(self, same_as: str, principal_id: UUID | None) -> Job | None:
        """The unfinished job with this `same_as`, which the principal has joined."""
        return await self._one(
            Job,
            SQL(
                "UPDATE jobs SET also_asked_by ="
                " array_remove(array_append(array_remove(also_asked_by, %(by)s), %(by)s), NULL)"
                " WHERE same_as = %(same_as)s AND finished_at IS NULL RETURNING {}"
            ).format(_columns),
            {"same_as": same_as, "by": principal_id},
        )

    async def get(self, job_id: UUID) -> Job | None:
        """A job by its id."""
        return await self._one(Job, SQL("SELECT {} FROM jobs WHERE id = %s").format(_columns), [job_id])

    async def find_latest(self, kind: str, arguments: Mapping[str, str], state: State | None) -> Job | None:
        """The newest job of a kind, and of a state, with these arguments among others."""
        return await self._one(
            Job,
            SQL(
                "SELECT {} FROM jobs WHERE kind = %(kind)s AND arguments @> %(arguments)s"
                " AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY created_at DESC LIMIT 1"
            ).format(_columns),
            {"kind": kind, "arguments": Jsonb(dict(arguments)), "state": state},
        )

    async def begin(self, job_id: UUID, *, now: datetime) -> Job | None:
        """Count an attempt and set the job running, from zero; None if it has ended."""
        return await self._one(
            Job,
            SQL(
                "UPDATE jobs SET state = 'running', progress = 0, attempts = attempts + 1, heard_at = %(now)s,"
                " started_at = coalesce(started_at, %(now)s) WHERE id = %(id)s AND finished_at IS NULL RETURNING {}"
            ).format(_columns),
            {"id": job_id, "now": now},
        )

    async def put_back(self, job_id: UUID, *, attempt: int) -> None:
        """Take an attempt back that was interrupted through no fault of the job."""
        await self._execute(
            "UPDATE jobs SET state = 'queued', progress = 0, attempts = attempts - 1"
            " WHERE id = %s AND attempts = %s AND finished_at IS NULL",
            [job_id, attempt],
        )

    async def report(self, job_id: UUID, progress: int, *, attempt: int, now: datetime) -> None:
        """Tell that an attempt is alive and how far it is; only the latest one is heard."""
        await self._execute(
            "UPDATE jobs SET progress = %s, heard_at = %s WHERE id = %s AND attempts = %s AND finished_at IS NULL",
            [progress, now, job_id, attempt],
        )

    async def succeed(
        self, job_id: UUID, *, attempt: int, media_type: str, name: str | None, names_people: bool,
        now: datetime, until: datetime,
    ) -> bool:  # fmt: skip
        """End the job well; whether this attempt was still the one that may."""
        return await self._ended(
            job_id,
            "UPDATE jobs SET state = 'succeeded', progress = 100, finished_at = %(now)s, result_until = %(until)s,"
            " result_media_type = %(media_type)s, result_name = %(name)s, names_people = %(names_people)s"
            " WHERE id = %(id)s AND attempts = %(attempt)s AND finished_at IS NULL",
            {
                "id": job_id, "attempt": attempt, "now": now, "until": until, "media_type": media_type, "name": name,
                "names_people": names_people,
            },
        )  # fmt: skip

    async def fail(self, job_id: UUID, error: Mapping[str, Any], *, attempt: int, now: datetime) -> bool:
        """End the job badly; whether this attempt was still the one that may."""
        return await self._ended(
            job_id,
            "UPDATE jobs SET state = 'failed', finished_at = %(now)s, error = %(error)s"
            " WHERE id = %(id)s AND attempts = %(attempt)s AND finished_at IS NULL",
            {"id": job_id, "attempt": attempt, "now": now, "error": Jsonb(dict(error))},
        )

    async def find_forsaken(self, *, unheard_since: datetime) -> list[Job]:
        """Unfinished jobs that nothing in the queue will run any more, and that no worker is heard of."""
        return await self._all(
            Job,
            SQL("""
                SELECT {} FROM jobs
                WHERE finished_at IS NULL AND coalesce(heard_at, created_at) < %s AND NOT EXISTS (
                    SELECT FROM procrastinate_jobs AS queue
                    WHERE queue.task_name = 'run_job' AND queue.status IN ('todo', 'doing')
                        AND queue.args ->> 'job_id' = jobs.id::text
                )
            """).format(_columns),
            [unheard_since],
        )

    async def remember(self, job_id: UUID, file: IO[bytes], *, attempt: int) -> None:
        """Keep what another run goes on from, in the place of what was given; only the latest run is heard."""
        locked = await self._value(
            "SELECT true FROM jobs WHERE id = %s AND attempts = %s AND finished_at IS NULL FOR UPDATE",
            [job_id, attempt],
        )
        if locked:
            await self._execute("DELETE FROM job_pieces WHERE job_id = %s AND part = 'input'", [job_id])
            await self.write_pieces(job_id, "input", file)

    async def take(self, job_id: UUID, *, now: datetime) -> bool:
        """Let a result be read for the last time; whether nobody did before."""
        return bool(
            await self._execute(
                "UPDATE jobs SET result_until = %(now)s WHERE id = %(id)s AND result_until > %(now)s",
                {"id": job_id, "now": now},
            )
        )

    async def write_pieces(self, job_id: UUID, part: Part, file: IO[bytes]) -> None:
        """Keep a file that is read from where it stands."""
        number = 0
        while content := file.read(piece_bytes):
            await self._execute(
                "INSERT INTO job_pieces (job_id, part, number, content) VALUES (%s, %s, %s, %s)",
                [job_id, part, number, content],
            )
            number += 1

    async def read_pieces(self, job_id: UUID, part: Part) -> AsyncIterator[bytes]:
        """A file that is kept, piece by piece."""
        number = 0
        while content := await self._value(
            "SELECT content FROM job_pieces WHERE job_id = %s AND part = %s AND number = %s", [job_id, part, number]
        ):
            yield content
            number += 1

    async def forget_customer(self, customer_id: UUID, *, now: datetime) -> None:
        """Delete what is kept of jobs about a person, and results that name people."""
        await self._execute(
            "DELETE FROM job_pieces WHERE job_id IN (SELECT id FROM jobs WHERE customer_id = %s OR names_people)",
            [customer_id],
        )
        await self._execute(
            "UPDATE jobs SET result_until = %(now)s"
            " WHERE (customer_id = %(customer)s OR names_people) AND result_until > %(now)s",
            {"customer": customer_id, "now": now},
        )

    async def purge_results(self, now: datetime, *, at_most: int) -> int:
        """Delete pieces of results that are gone; how many."""
        return await self._execute(
            """
            DELETE FROM job_pieces WHERE (job_id, part, number) IN (
                SELECT p.job_id, p.part, p.number FROM jobs AS j JOIN job_pieces AS p ON p.job_id = j.id
                WHERE j.result_until <= %s LIMIT %s FOR UPDATE OF p SKIP LOCKED
            )
            """,
            [now, at_most],
        )

    async def purge(self, before: datetime, *, at_most: int) -> int:
        """Delete jobs that ended before an instant; how many."""
        return await self._execute(
            "DELETE FROM jobs WHERE id IN"
            " (SELECT id FROM jobs WHERE finished_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED)",
            [before, at_most],
        )

    async def count(self) -> Mapping[str, Any]:
        """How many wait, run and failed, and since when the oldest unfinished one is there."""
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "SELECT count(*) FILTER (WHERE state = 'queued') AS queued,"
                " count(*) FILTER (WHERE state = 'running') AS running,"
                " count(*) FILTER (WHERE state = 'failed') AS failed,"
                " min(created_at) FILTER (WHERE finished_at IS NULL) AS oldest FROM jobs"
            )
            return await cursor.fetchone() or {}

    async def _ended(self, job_id: UUID, query: LiteralString, parameters: Mapping[str, Any]) -> bool:
        is_ended = bool(await self._execute(query, parameters))
        if is_ended:
            await self._execute("DELETE FROM job_pieces WHERE job_id = %s AND part = 'input'", [job_id])
        return is_ended
