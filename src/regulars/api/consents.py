"""Privacy: what customers allow."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query

from regulars.api.access import public, requires
from regulars.api.cursors import CursorsDep
from regulars.api.deps import ClockDep, SettingsDep, TransactionDep
from regulars.api.errors import InvalidCursor
from regulars.api.routing import Router
from regulars.customers.errors import CustomerErased, InvalidOrExpiredToken
from regulars.kit.schemas import Accepted, Id
from regulars.kit.security import Principal
from regulars.privacy.consents import ConsentService
from regulars.privacy.consents_unsubscribe import UnsubscribeTokens, unsubscribe_headers
from regulars.privacy.models_consents import ConsentChannel
from regulars.privacy.schemas_consents import ConsentChange, ConsentHistoryQuery, CustomerCommunicationPreferences

router = Router(tags=["Privacy"])

path = "/retail-customers/{customer_id}/consents"
MayRead = Annotated[Principal, requires("consent:read", own=True)]
MayWrite = Annotated[Principal, requires("consent:write", own=True)]
Token = Annotated[str, Path(min_length=1, max_length=200)]


async def consent_service(connection: TransactionDep, clock: ClockDep) -> ConsentService:
    """Consents in the request's transaction."""
    return ConsentService(connection, clock)


class ConsentReader:
    """Shows consents the way every operation here answers."""

    def __init__(
        self,
        consents: Annotated[ConsentService, Depends(consent_service)],
        cursors: CursorsDep,
        settings: SettingsDep,
    ) -> None:
        self._consents = consents
        self._cursors = cursors
        self._settings = settings

    async def read(
        self, customer_id: UUID, query: ConsentHistoryQuery, by: Principal
    ) -> CustomerCommunicationPreferences:
        """The flags of now, and the part of the history that a query asks for."""
        bound_to = ("consents", str(customer_id))
        before = _position(self._cursors.read(query.cursor, bound_to=bound_to)) if query.cursor is not None else None
        customer, events, waiting = await self._consents.get_consents(
            customer_id, before=before, limit=query.limit + 1, by=by
        )
        shown, has_more = events[: query.limit], len(events) > query.limit
        following = f"{shown[-1].occurred_at.isoformat()}|{shown[-1].seq}" if has_more else None
        return CustomerCommunicationPreferences.of(
            customer,
            shown,
            waiting,
            by=by,
            next_cursor=self._cursors.write(following, bound_to=bound_to) if following else None,
            email_headers=unsubscribe_headers(self._settings, customer_id, ConsentChannel.EMAIL),
        )


ConsentsDep = Annotated[ConsentService, Depends(consent_service)]
ReaderDep = Annotated[ConsentReader, Depends()]


@router.get(path, operation_id="get_consents", summary="Read consents", refusals=[CustomerErased, InvalidCursor])
async def get_consents(
    customer_id: Id, query: Annotated[ConsentHistoryQuery, Query()], reader: ReaderDep, caller: MayRead
) -> CustomerCommunicationPreferences:
    """What the customer allows now, and the events that say so, newest first."""
    return await reader.read(customer_id, query, caller)


@router.post(path, operation_id="record_consent", summary="Grant or withdraw a consent", refusals=[CustomerErased])
async def record_consent(
    customer_id: Id, change: ConsentChange, consents: ConsentsDep, reader: ReaderDep, caller: MayWrite
) -> CustomerCommunicationPreferences:
    """Both alike, and at once. What was said already is not written again; nothing that was written ever changes.

    A grant for an address or number that was only typed waits until it is proved.
    """
    await consents.record_consent(customer_id, change, by=caller)
    return await reader.read(customer_id, ConsentHistoryQuery(), caller)


# No rate: mailbox providers send the clicks of all their users from few addresses, and none may be lost.
@router.post(
    "/unsubscribe/{token}",
    operation_id="unsubscribe",
    summary="Unsubscribe with one click",
    dependencies=[public],
    refusals=[InvalidOrExpiredToken],
)
async def unsubscribe(token: Token, consents: ConsentsDep, settings: SettingsDep) -> Accepted:
    """The link of a List-Unsubscribe header (RFC 8058): any body, no login, as often as one likes, the same answer."""
    customer_id, channel = UnsubscribeTokens.from_settings(settings).read(token)
    await consents.unsubscribe(customer_id, channel)
    return Accepted()


def _position(text: str) -> tuple[datetime, int]:
    time, _, seq = text.partition("|")
    return datetime.fromisoformat(time), int(seq)
