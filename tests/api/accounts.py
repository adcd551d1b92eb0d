"""What tests of accounts share."""

from typing import Any

import httpx

from regulars.kit.database import Connection

token_url, me_url, refresh_url = (f"/api/v1/auth/{name}" for name in ("token", "me", "refresh"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def sign_in(client: httpx.AsyncClient, username: str, password: str) -> dict[str, Any]:
    form = {"grant_type": "password", "username": username, "password": password}
    return dict((await client.post(token_url, data=form)).json())


async def audited(connection: Connection, action: str) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        "SELECT actor_kind, actor_id, object_kind, object_id, fields, facts FROM audit_log WHERE action = %s"
        " ORDER BY occurred_at, id",
        [action],
    )
    return await cursor.fetchall()
