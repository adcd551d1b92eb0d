"""A caller of before, with the rights of now: for work that is done in somebody's name after the request."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from regulars.accounts.errors import SessionRevoked
from regulars.accounts.repository import UserRepository
from regulars.accounts.repository_clients import ApiClientRepository
from regulars.accounts.roles import scopes_of
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal, operator


async def principal_of(
    connection: Connection, clock: Clock, kind: Literal["user", "client", "operator"], principal_id: UUID | None
) -> Principal:
    """The principal as it would come in now, but for the session.

    Raises:
        SessionRevoked: it may not sign in any more.
    """
    if principal_id is None:
        return operator
    if kind == "user":
        return await _user(connection, principal_id)
    return await _client(connection, principal_id, clock.now())


async def _user(connection: Connection, user_id: UUID) -> Principal:
    user = await UserRepository(connection).get_open(user_id)
    if user is None:
        raise SessionRevoked
    return Principal(user.id, "user", user.role, scopes_of(user.role), customer_id=user.customer_id)


async def _client(connection: Connection, client_id: UUID, now: datetime) -> Principal:
    client = await ApiClientRepository(connection).get_by_id(client_id)
    if client is None or not client.is_open(now):
        raise SessionRevoked
    return Principal(
        id=client.id,
        kind="client",
        role="service",
        scopes=scopes_of("service").intersection(client.scopes),
        source=client.source,
        max_points_per_transaction=client.max_points_per_transaction,
        max_points_per_day=client.max_points_per_day,
    )
