"""The audit log: who did what to whom. Rows are added, never changed.

An entry names fields and ids, never the values that a person gave.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from regulars.kit.database import Connection
from regulars.kit.logs import current_trace_id
from regulars.kit.security import Principal


async def record_audit(
    connection: Connection,
    action: str,
    *,
    by: Principal | None,
    at: datetime,
    object_kind: str,
    object_id: UUID | None = None,
    fields: Sequence[str] = (),
    facts: Mapping[str, object] | None = None,
) -> None:
    """Add an entry in the transaction of what it tells about.

    Args:
        connection: The transaction that does the thing.
        action: What was done, by the name of the operation: `create_customer`.
        by: Who did it; None for the program itself.
        at: When.
        object_kind: What it was done to, in the singular: `customer`.
        object_id: To which one; None for several, whose ids are then among the facts.
        fields: Names of the fields that were written or asked for.
        facts: Whatever else a reader needs; JSON values without personal data.
    """
    await connection.execute(
        """
        INSERT INTO audit_log
            (occurred_at, actor_kind, actor_id, action, object_kind, object_id, fields, facts, trace_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            at,
            by.kind if by else "system",
            by.id if by else None,
            action,
            object_kind,
            object_id,
            list(fields),
            Jsonb(dict(facts or {})),
            current_trace_id.get(),
        ],
    )
