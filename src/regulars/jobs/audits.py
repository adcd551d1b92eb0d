"""The audit of the ledger as a job: every quarter of an hour for the customers whose points moved lately."""

import logging
from datetime import timedelta
from typing import Final

from regulars.jobs.runs import JobResult, JobRun
from regulars.jobs.toolbox import Toolbox
from regulars.kit.jobs import Jobs, kept_for
from regulars.kit.security import operator
from regulars.loyalty.audit import AuditService, audit_kind
from regulars.loyalty.schemas_reports import LoyaltyAuditResponse

looks_back: Final = timedelta(hours=1)
"""How far before the last audit the next one begins: longer than any transaction that it could not see yet."""

log = logging.getLogger(__name__)


async def audit_ledger(run: JobRun) -> JobResult:
    """Check every rule for customers whose points moved since the last audit; who breaks one redeems no more."""
    tools, now = run.toolbox, run.toolbox.clock.now()
    async with tools.database.transaction() as connection:
        last = await Jobs(connection, tools.clock).find_latest(audit_kind, state="succeeded")
        since = (last.started_at if last and last.started_at else now - kept_for) - looks_back
        review = await AuditService(connection).review_ledger(now=now, since=since)
    if review.audit.violations:
        log.error("the ledger does not add up", extra={"trace_id": run.job.id.hex})
    return JobResult.of(LoyaltyAuditResponse.model_validate(review.audit))


async def start_audit_of_touched(toolbox: Toolbox) -> None:
    """Start an audit unless one is under way."""
    async with toolbox.database.transaction() as connection:
        await Jobs(connection, toolbox.clock).start(audit_kind, by=operator, same_as=audit_kind)
