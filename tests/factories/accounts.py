"""People and programs who can sign in."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from regulars.accounts.clients import ApiClientService
from regulars.accounts.enrolment import Enrolment
from regulars.accounts.models import User
from regulars.accounts.passwords import PasswordHash, unknown_account_hash
from regulars.accounts.repository_sessions import SessionRepository
from regulars.accounts.roles import scopes_of
from regulars.accounts.schemas_clients import ApiClientCreate, ApiClientCreated
from regulars.accounts.tokens import Identity, TokenSigner
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.security import Principal, Role, operator
from regulars.kit.settings import Settings

password = "correct horse battery"
# Hashing takes 20 ms of work; tests that do not sign in with a password can do without.
password_hash = unknown_account_hash


async def make_user(
    connection: Connection,
    clock: Clock,
    *,
    role: Role = "staff",
    email: str | None = None,
    customer_id: UUID | None = None,
    hashed: PasswordHash = password_hash,
) -> User:
    """A person who can sign in; a customer gets a record of their own unless one is named."""
    if role == "customer" and customer_id is None:
        customer_id = uuid4()
    return await Enrolment(connection, clock).create_user(
        email or f"{role}-{uuid4().hex[:8]}@example.com", hashed, role=role, customer_id=customer_id
    )


async def make_client(
    connection: Connection,
    clock: Clock,
    *,
    source: str = "till",
    scopes: Sequence[str] = ("orders:write",),
    name: str = "till 4",
) -> ApiClientCreated:
    """A program that can sign in, with its secret."""
    data = ApiClientCreate(name=name, source=source, scopes=list(scopes))
    return await ApiClientService(connection, Settings(_env_file=None), clock).create_client(data, by=operator)


async def sign_in(
    connection: Connection,
    settings: Settings,
    clock: Clock,
    *,
    role: Role = "staff",
    customer_id: UUID | None = None,
    source: str = "till",
    scopes: frozenset[str] | None = None,
) -> tuple[str, Principal]:
    """An access token for a new user or API client of this role, and the caller it stands for."""
    now, sessions = clock.now(), SessionRepository(connection)
    expires_at = now + timedelta(days=1)
    if role == "service":
        held = scopes_of("service") if scopes is None else scopes
        client = await make_client(connection, clock, source=source, scopes=sorted(held))
        opened = await sessions.open_for_client(client.id, auth_epoch=1, now=now, expires_at=expires_at)
        subject, session_id = client.id, _opened(opened)
        caller = Principal(subject, "client", role, held, session_id, None, source)
    else:
        user = await make_user(connection, clock, role=role, customer_id=customer_id)
        opened = await sessions.open_for_user(user.id, auth_epoch=1, now=now, expires_at=expires_at)
        subject, session_id = user.id, _opened(opened)
        caller = Principal(subject, "user", role, scopes_of(role), session_id, user.customer_id)
    token = TokenSigner.from_settings(settings).sign(
        Identity(subject, session_id, 1), role=role, scopes=caller.scopes, now=now
    )
    return token, caller


def _opened(session_id: UUID | None) -> UUID:
    assert session_id is not None
    return session_id
