"""Customer Management: what became of mails."""

from typing import Annotated

from regulars.api.access import requires
from regulars.api.deps import ClockDep, TransactionDep
from regulars.api.routing import Router
from regulars.customers.errors import CustomerErased
from regulars.customers.schemas_engagement import (
    EmailEngagementEvent,
    EmailEngagementResult,
    EngagementBatch,
    EngagementBatchResult,
)
from regulars.flows import record_engagement as flow
from regulars.kit.schemas import Id
from regulars.kit.security import Principal

router = Router(tags=["Customer Management"])

MayReport = Annotated[Principal, requires("engagement:write")]


@router.post(
    "/retail-customers/{customer_id}/engagement",
    operation_id="record_engagement",
    summary="Report what became of a mail",
    refusals=[CustomerErased],
)
async def record_engagement(
    customer_id: Id, event: EmailEngagementEvent, connection: TransactionDep, clock: ClockDep, caller: MayReport
) -> EmailEngagementResult:
    """In any order, and safely again. A mail counts once for each stage, and a later stage implies those before it.

    A hard bounce stops mail to the address until something gets through to it; who unsubscribes or complains has
    withdrawn the consent.
    """
    return await flow.record_engagement(connection, customer_id, event, by=caller, clock=clock)


@router.post("/engagement/events", operation_id="record_engagements", summary="Report what became of many mails")
async def record_engagements(
    batch: EngagementBatch, connection: TransactionDep, clock: ClockDep, caller: MayReport
) -> EngagementBatchResult:
    """1 to 1,000 events, each told apart. One that cannot be taken does not touch the others."""
    return await flow.record_engagements(connection, batch, by=caller, clock=clock)
