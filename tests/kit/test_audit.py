"""What an audit entry tells."""

from uuid import uuid4

import pytest

from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.logs import current_trace_id
from regulars.kit.security import Principal, operator

till = Principal(uuid4(), "client", "service", frozenset())


@pytest.mark.parametrize(
    ("by", "kind", "actor_id"), [(till, "client", till.id), (operator, "operator", None), (None, "system", None)]
)
async def test_an_entry_says_who_did_what_to_whom(
    connection: Connection, clock: Clock, by: Principal | None, kind: str, actor_id: object
) -> None:
    object_id = uuid4()
    current_trace_id.set("0199c1de7a107c3e9d550c5b4f1e2a77")
    await record_audit(
        connection,
        "erase_customer",
        by=by,
        at=clock.now(),
        object_kind="customer",
        object_id=object_id,
        fields=["email"],
        facts={"rows": 3},
    )
    cursor = await connection.execute(
        "SELECT occurred_at, actor_kind, actor_id, action, object_kind, object_id, fields, facts, trace_id"
        " FROM audit_log"
    )
    assert await cursor.fetchall() == [
        (
            clock.now(),
            kind,
            actor_id,
            "erase_customer",
            "customer",
            object_id,
            ["email"],
            {"rows": 3},
            "0199c1de7a107c3e9d550c5b4f1e2a77",
        )
    ]
