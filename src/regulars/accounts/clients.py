"""Programs that may sign in: tills, shops, importers, as administrators see and change them."""

import secrets
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from uuid import UUID

from regulars.accounts.models import ApiClient
from regulars.accounts.repository_clients import ApiClientRepository
from regulars.accounts.repository_sessions import SessionRepository
from regulars.accounts.schemas_clients import (
    ApiClientCreate,
    ApiClientCreated,
    ApiClientPage,
    ApiClientResponse,
    ApiClientUpdate,
)
from regulars.accounts.tokens import hash_token
from regulars.kit.audit import record_audit
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound
from regulars.kit.schemas import Page
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation

_ends_tokens = frozenset({"scopes", "source", "is_enabled"})


class ApiClientService:
    """API clients in the caller's transaction. A secret is random and shown once; what is kept is its hash."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._overlap = timedelta(days=settings.client_secret_overlap_days)
        self._clock = clock
        self._clients = ApiClientRepository(connection)

    async def list_clients(self, page: ApiClientPage) -> Page[ApiClientResponse]:
        """A page of all clients, newest first."""
        found, total = await self._clients.search(limit=page.limit, offset=page.offset)
        items = [ApiClientResponse.model_validate(client) for client in found]
        return Page[ApiClientResponse](
            items=items, total=total, total_is_estimate=False, limit=page.limit, offset=page.offset
        )

    async def get_client(self, client_id: UUID) -> ApiClientResponse:
        """A client by id.

        Raises:
            NotFound: there is none.
        """
        return ApiClientResponse.model_validate(await self._get(client_id))

    async def create_client(self, data: ApiClientCreate, by: Principal) -> ApiClientCreated:
        """Add a client, with its first secret.

        Raises:
            Validation: it would have ended already.
        """
        self._require_future(data.expires_at)
        secret = _new_secret()
        client = await self._clients.add(
            name=data.name,
            source=data.source,
            scopes=data.scopes,
            secret_hash=hash_token(secret),
            max_points_per_transaction=data.max_points_per_transaction,
            max_points_per_day=data.max_points_per_day,
            expires_at=data.expires_at,
            now=self._clock.now(),
        )
        await self._audit("create_api_client", client, sorted(data.model_fields_set), by)
        return _with_secret(client, secret)

    async def update_client(self, client_id: UUID, change: ApiClientUpdate, by: Principal) -> ApiClientResponse:
        """Change what a client may do.

        Raises:
            NotFound: there is no such client.
            Validation: it would end in the past.
        """
        if "expires_at" in change.model_fields_set:
            self._require_future(change.expires_at)
        return ApiClientResponse.model_validate(await self._change(client_id, change, by, "update_api_client"))

    async def disable_client(self, client_id: UUID, by: Principal) -> None:
        """Let a client sign in no more; its tokens end.

        Raises:
            NotFound: there is no such client.
        """
        await self._change(client_id, ApiClientUpdate(is_enabled=False), by, "disable_api_client")

    async def rotate_secret(
        self, client_id: UUID, by: Principal, *, overlap: timedelta | None = None
    ) -> ApiClientCreated:
        """Give a client a new secret.

        Args:
            client_id: Which one.
            by: Who asks.
            overlap: How long the present secret lives on; by default as the setting says. Without any, what was signed
                in with it ends too: for a secret that got into wrong hands.

        Raises:
            NotFound: there is no such client.
        """
        now, secret = self._clock.now(), _new_secret()
        lives_on = self._overlap if overlap is None else overlap
        client = await self._clients.rotate_secret(
            client_id, hash_token(secret), previous_until=now + lives_on, now=now
        )
        if client is None:
            raise NotFound
        if not lives_on:
            await SessionRepository(self._connection).close_all_of(client.id, now=now)
        await self._audit("rotate_api_client_secret", client, ["client_secret"], by)
        return _with_secret(client, secret)

    async def _change(self, client_id: UUID, change: ApiClientUpdate, by: Principal, action: str) -> ApiClient:
        before = await self._get(client_id, lock=True)
        wanted = {name: getattr(change, name) for name in change.model_fields_set}
        changed = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not changed:
            return before
        now = self._clock.now()
        after = replace(before, **changed, updated_at=now)
        await self._clients.change(after, ends_tokens=not _ends_tokens.isdisjoint(changed), now=now)
        if not after.is_enabled:
            await SessionRepository(self._connection).close_all_of(after.id, now=now)
        await self._audit(action, after, sorted(changed), by)
        return after

    async def _get(self, client_id: UUID, *, lock: bool = False) -> ApiClient:
        client = await self._clients.get_by_id(client_id, lock=lock)
        if client is None:
            raise NotFound
        return client

    def _require_future(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._clock.now():
            raise Validation.at("/expires_at", "range", "must be in the future")

    async def _audit(self, action: str, client: ApiClient, fields: list[str], by: Principal) -> None:
        await record_audit(
            self._connection,
            action,
            by=by,
            at=self._clock.now(),
            object_kind="api_client",
            object_id=client.id,
            fields=fields,
            facts={"scopes": client.scopes, "source": client.source, "is_enabled": client.is_enabled},
        )


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _with_secret(client: ApiClient, secret: str) -> ApiClientCreated:
    return ApiClientCreated.model_validate({**asdict(client), "client_secret": secret})
