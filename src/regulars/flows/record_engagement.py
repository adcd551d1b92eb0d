"""Senders report what became of mails: rates follow, and whoever wants no more of them is written to no more."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from regulars.customers.engagement import EngagementEvent, EngagementKind
from regulars.customers.repository import RetailCustomerRepository
from regulars.customers.schemas_engagement import (
    EmailEngagementEvent,
    EmailEngagementResult,
    EngagementBatch,
    EngagementBatchItem,
    EngagementBatchResult,
)
from regulars.customers.service_engagement import EngagementService, Outcome
from regulars.kit.bulk import BulkProblem
from regulars.kit.clock import Clock
from regulars.kit.database import Connection
from regulars.kit.errors import NotFound, Refusal
from regulars.kit.security import Principal
from regulars.privacy.consents import ConsentJournal
from regulars.privacy.models_consents import ConsentAction, ConsentChannel, ConsentStatement

_said_no_by: Mapping[EngagementKind, str] = {
    EngagementKind.UNSUBSCRIBED: "mail-unsubscribe",
    EngagementKind.COMPLAINED: "spam-complaint",
}


async def record_engagement(
    connection: Connection, customer_id: UUID, report: EmailEngagementEvent, *, by: Principal, clock: Clock
) -> EmailEngagementResult:
    """Take in what became of one mail.

    Raises:
        NotFound, CustomerErased: there is no such customer, for this caller.
        Validation: it is told of the future.
    """
    [outcome] = await _record(connection, [report.about(customer_id)], by=by, clock=clock)
    if isinstance(outcome, Refusal):
        raise outcome
    return EmailEngagementResult.of(await RetailCustomerRepository(connection).get(customer_id), outcome, clock)


async def record_engagements(
    connection: Connection, batch: EngagementBatch, *, by: Principal, clock: Clock
) -> EngagementBatchResult:
    """Take in what became of many mails; an event that cannot be taken is told and does not touch the others."""
    addresses = sorted({report.email for report in batch.events if report.customer_id is None and report.email})
    owners = await RetailCustomerRepository(connection).find_claims("email", addresses)
    whose = [report.customer_id or owners.get(report.email or "") for report in batch.events]
    events = [report.about(id_) for report, id_ in zip(batch.events, whose, strict=True) if id_ is not None]
    told = iter(await _record(connection, events, by=by, clock=clock))
    outcomes: list[Outcome] = [NotFound() if id_ is None else next(told) for id_ in whose]
    return _result(batch, outcomes)


async def _record(
    connection: Connection, events: Sequence[EngagementEvent], *, by: Principal, clock: Clock
) -> list[Outcome]:
    """Write the events, and as withdrawals those by which somebody wants no more mail."""
    outcomes = await EngagementService(connection, clock).record(events, by=by)
    withdrawals = [
        ConsentStatement(
            customer_id=event.customer_id,
            channel=ConsentChannel.EMAIL,
            action=ConsentAction.WITHDRAWN,
            when=min(event.occurred_at, clock.now()),
            source=_said_no_by[event.kind],
        )
        for event, outcome in zip(events, outcomes, strict=True)
        if outcome == "recorded" and event.kind in _said_no_by
    ]
    if withdrawals:
        await ConsentJournal(connection, clock).record(withdrawals, by=by)
    return outcomes


def _result(batch: EngagementBatch, outcomes: Sequence[Outcome]) -> EngagementBatchResult:
    items = [
        EngagementBatchItem(event_id=report.event_id, outcome="failed", problem=BulkProblem.of(outcome))
        if isinstance(outcome, Refusal)
        else EngagementBatchItem(event_id=report.event_id, outcome=outcome, problem=None)
        for report, outcome in zip(batch.events, outcomes, strict=True)
    ]
    counts = {word: sum(item.outcome == word for item in items) for word in ("recorded", "unchanged", "failed")}
    return EngagementBatchResult(received=len(items), items=items, **counts)
