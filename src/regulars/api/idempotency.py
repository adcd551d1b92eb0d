"""Work that is done once under an Idempotency-Key, and its answer given again byte for byte.

    @router.post("/orders", status_code=201, response_model=OrderResponse)
    async def record_order(order: OrderCreate, caller: MayWrite, once: OnceDep, ...) -> Response:
        async def work() -> Answer:
            recorded = await flow.record(order, by=caller)
            return Answer(OrderResponse.of(recorded), status=201, concerns=recorded.customer_id)

        return await once.run(work)

What the caller may not see is refused before `run`: a replay skips the work and all rules inside it.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from regulars.api.deps import TransactionDep
from regulars.api.errors import IdempotencyKeyInvalid
from regulars.api.problems import respond
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import Refusal
from regulars.kit.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from regulars.kit.security import Principal
from regulars.kit.settings import Settings
from regulars.kit.validation import Validation

_kept_headers = ("content-type", "location", "etag", "preference-applied")
_kept_refusals = frozenset({403, 409, 422})


@dataclass(frozen=True)
class Answer:
    """What the work came to.

    Attributes:
        body: Sent as JSON.
        status: HTTP status.
        headers: Such as `Location` and `ETag`; both are given again with a replay.
        concerns: The customer in the answer: erasing the person deletes the kept copy.
    """

    body: BaseModel
    status: int = 201
    headers: Mapping[str, str] = field(default_factory=dict)
    concerns: UUID | None = None

    def response(self) -> Response:
        """The answer as it is sent."""
        content = self.body.model_dump_json(by_alias=True)
        return Response(content, self.status, headers=dict(self.headers), media_type="application/json")


class RefusedUnderKey(Exception):  # noqa: N818 - carries a refusal out of its transaction
    """The work of a request with a key was refused by the rules of the domain.

    On its way out it rolls back what the work wrote, and the claim with it; `keep_refusal()` then keeps the refusal. A
    savepoint that spares the claim would make every request pay, on both sides of the socket, for what few need.
    """

    def __init__(self, request: KeyedRequest, refusal: Refusal, concerns: UUID | None) -> None:
        super().__init__()
        self.request, self.refusal, self.concerns = request, refusal, concerns


@dataclass(frozen=True)
class Once:
    """Runs work at most once for a key; without a key it just runs it."""

    keys: IdempotencyKeys
    clock: Clock
    request: KeyedRequest | None

    async def run(self, work: Callable[[], Awaitable[Answer]], *, concerns: UUID | None = None) -> Response:
        """The answer of the work, or the one that was kept when the same request was answered before.

        A refusal by the rules of the domain is an answer too and is kept, so that a retry cannot succeed by luck. What
        the work wrote before it was refused is taken back. Everything else that is raised takes the claim with it.

        Args:
            work: What is done once.
            concerns: The customer whom the request names: a refusal says something of them too, and goes with them.

        Raises:
            IdempotencyKeyReused: the key was sent with another request.
            IdempotencyInProgress: the first request with the key is still running.
            RefusedUnderKey: the work was refused by a rule of the domain; `keep_refusal()` answers it.
            Refusal: whatever the work raises, when no key was sent or the refusal is not one of the domain's rules.
        """
        if self.request is None:
            return (await work()).response()
        if kept := await self.keys.claim(self.request, now=self.clock.now()):
            return replayed(kept)
        try:
            answer = await work()
        except Refusal as refusal:
            if refusal.status not in _kept_refusals or isinstance(refusal, Validation):
                raise
            raise RefusedUnderKey(self.request, refusal, concerns) from refusal
        response = answer.response()
        await self.keys.keep(self.request, kept_form_of(response), now=self.clock.now(), concerns=answer.concerns)
        return response


async def keep_refusal(request: Request, refused: RefusedUnderKey) -> Response:
    """Answer with the refusal and keep it, in a transaction after that of the work.

    Between the two the same request may have come again and been answered: then that answer counts.

    Raises:
        IdempotencyInProgress: the same request has come again and is still running.
    """
    state = request.app.state
    async with state.database.transaction() as connection:
        keys, now = keys_of(connection, state.settings), state.clock.now()
        if kept := await keys.claim(refused.request, now=now):
            return replayed(kept)
        response = respond(refused.refusal, request.state.trace_id)
        await keys.keep(refused.request, kept_form_of(response), now=now, concerns=refused.concerns)
    return response


def replayed(kept: StoredAnswer) -> Response:
    """A kept answer, given again."""
    return Response(kept.body, kept.status, headers={**kept.headers, "Idempotency-Replayed": "true"})


def keys_of(connection: Connection, settings: Settings) -> IdempotencyKeys:
    """The kept answers, for as long as the installation keeps them."""
    return IdempotencyKeys(connection, timedelta(days=settings.idempotency_days))


def kept_form_of(response: Response) -> StoredAnswer:
    """An answer as it is kept to be given again."""
    headers = {name: response.headers[name] for name in _kept_headers if name in response.headers}
    return StoredAnswer(response.status_code, headers, bytes(response.body))


KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="1 to 255 visible ASCII characters; makes a repeat harmless."),
]


async def under_key(request: Request, key: KeyHeader = None) -> KeyedRequest | None:
    """The request with the key that it carries, if any.

    Raises:
        IdempotencyKeyInvalid: the key is empty, too long, sent twice, or has other characters.
    """
    return None if key is None else keyed_request(request, await _request_hash(request))


async def once(request: Request, transaction: TransactionDep, key: KeyHeader = None) -> Once:
    """The runner for this request.

    Raises:
        IdempotencyKeyInvalid: the key is empty, too long, sent twice, or has other characters.
    """
    state = request.app.state
    return Once(keys_of(transaction, state.settings), state.clock, await under_key(request, key))


OnceDep = Annotated[Once, Depends(once)]
KeyedDep = Annotated[KeyedRequest | None, Depends(under_key)]


def keyed_request(request: Request, request_hash: bytes) -> KeyedRequest:
    """A request with its key.

    Args:
        request: As it came in; it carries the header.
        request_hash: Over everything that makes two requests the same.

    Raises:
        IdempotencyKeyInvalid: the key is empty, too long, sent twice, or has other characters.
    """
    given = request.headers.getlist("idempotency-key")
    if len(given) != 1 or not re.fullmatch(r"[!-~]{1,255}", given[0]):
        raise IdempotencyKeyInvalid
    caller: Principal = request.state.principal
    assert caller.id is not None  # noqa: S101 - the operator does not come through the API
    return KeyedRequest(given[0], caller.id, request_hash)


async def _request_hash(request: Request) -> bytes:
    """SHA-256 over method, path, sorted query and the body in one spelling."""
    body = await request.json() if await request.body() else None
    same = [request.method, request.scope["path"], sorted(request.query_params.multi_items()), body]
    return hashlib.sha256(json.dumps(same, sort_keys=True, separators=(",", ":")).encode()).digest()
